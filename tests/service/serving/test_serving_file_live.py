from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.service

Start = Callable[..., Any]


def test_a_file_is_served_without_a_registry(start: Start, store: Path, home: Path) -> None:
    """Its version is its hash, its answers are logged, and no slot of the home remembers it."""
    file = store / "2.onnx"
    version = f"file-{hashlib.sha256(file.read_bytes()).hexdigest()[:12]}"

    server = start("green", file=file, mlflow_uri="http://127.0.0.1:9")
    status, answer = server.infer("a")

    assert (200, version) == (status, answer["model_version"])
    assert server.metric("trimtab_model_size_bytes") == file.stat().st_size
    assert server.stop() == 0
    assert [("a", version)] == [(row["prediction_id"], row["version"]) for row in server.rows()]
    assert not (home / "slots").exists()


def test_a_server_of_a_file_loads_nothing_else(start: Start, store: Path) -> None:
    """Whoever holds the token is told that it has one model."""
    server = start(file=store / "1.onnx")

    status, answer = server.load(version="2")

    assert status == 409
    assert answer["error"].endswith("1.onnx alone; start one without a file to load versions")
    assert server.infer("a")[1]["model_version"].startswith("file-")


def test_a_server_ends_with_whoever_started_it(start: Start, store: Path) -> None:
    """With --until-eof the end of standard input is a good end."""
    server = start(file=store / "1.onnx")
    server.process.stdin.close()

    assert server.process.wait(30) == 0


def test_a_file_that_cannot_be_served_ends_the_start(home: Path) -> None:
    """The process ends, and its log says why."""
    file = home / "torn.onnx"
    file.write_bytes(b"torn")
    options = ["--slot", "blue", "--port", "0", "--home", str(home), "--models", str(home)]

    program = [sys.executable, "-m", "trimtab", "serve", "tides", "--file", str(file), *options]
    ended = subprocess.run(program, env=os.environ, capture_output=True, text=True, check=False)

    assert ended.returncode == 3
    assert f"the model server cannot start: {file}: must be an ONNX model" in ended.stderr
    assert "Traceback" not in ended.stderr
