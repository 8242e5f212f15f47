from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.service

Start = Callable[..., Any]
SECRET = "Ada-Lovelace-7"
KEY = "0123456789abcdef0123456789abcdef"


def private(home: Path, feature: str, how: str, more: str = "") -> None:
    """Say in the model's YAML that a feature is private."""
    file = home / "tides.yaml"
    kind = {"port": "categorical", "depth": "numeric"}[feature]
    text = file.read_text().replace(f"{feature}: {kind}", f"{feature}: {{type: {kind}, private: {how}}}")
    file.write_text(text + more)


def ask(server: Any, identity: str, port: str, depth: float = 2.5) -> tuple[int, Any]:
    """Ask for one prediction."""
    inputs = [
        {"name": "depth", "shape": [1], "datatype": "FP64", "data": [depth]},
        {"name": "spring", "shape": [1], "datatype": "BOOL", "data": [True]},
        {"name": "port", "shape": [1], "datatype": "BYTES", "data": [port]},
    ]
    return server.call("POST", "/v2/models/tides/infer", {"id": identity, "inputs": inputs})


def files_with(home: Path, text: str) -> list[Path]:
    """The files of a home that hold a text: spool, Delta's files, server's log."""
    return [file for file in home.rglob("*") if file.is_file() and text.encode() in file.read_bytes()]


def test_a_tokenized_value_never_touches_the_disk(start: Start, home: Path) -> None:
    """No file of a killed and restarted server holds the value; equal values have one token throughout."""
    private(home, "port", "tokenize")
    (home / "secrets/private").write_text(KEY)
    server = start()
    assert ask(server, "a", SECRET)[0] == 200
    assert ask(server, "b", "Brest")[0] == 200
    spooled = [file for file in (home / "spool").rglob("*.spool") if b'"a"' in file.read_bytes()]
    assert files_with(home, SECRET) == []
    server.stop(9)
    server = start()
    assert ask(server, "c", SECRET)[0] == 200
    assert server.stop() == 0

    tokens = {row["prediction_id"]: row["f_port"] for row in server.rows()}
    assert spooled or tokens["a"]
    assert tokens["a"] == tokens["c"] != tokens["b"]
    assert files_with(home, SECRET) == []
    assert [file.name for file in files_with(home, KEY)] == ["private"]


def test_the_model_sees_the_token_too(start: Start, home: Path) -> None:
    """A category that the model knows by its plain name is a stranger to it once it is tokenized."""
    plain = start()
    known, stranger = (ask(plain, "x", port)[1]["outputs"][1]["data"] for port in ("Brest", "nowhere at all"))
    plain.stop()
    assert known != stranger

    private(home, "port", "tokenize")
    (home / "secrets/private").write_text(KEY)
    assert ask(start(), "y", "Brest")[1]["outputs"][1]["data"] == stranger


def test_a_dropped_value_is_used_and_forgotten(start: Start, home: Path) -> None:
    """The answer depends on it; neither spool nor table has a column of it."""
    private(home, "depth", "drop", "retrain: {on: []}\n")
    server = start()
    answers = [ask(server, str(depth), "Brest", depth)[1]["outputs"][1]["data"] for depth in (-3.25, 3.25)]
    assert server.stop() == 0

    assert answers[0] != answers[1]
    assert [set(row) & {"f_depth", "f_port"} for row in server.rows()] == [{"f_port"}] * 2
    assert files_with(home, "f_depth") == []


def test_no_key_no_server(home: Path) -> None:
    """Without its key the server ends at once and names the file; nothing was answered or written."""
    private(home, "port", "tokenize")
    code = "import sys, spec; from serving import server; from pathlib import Path; "
    code += "server.run(spec.load(Path(sys.argv[1])), "
    code += "'blue', spec.Settings.from_env({'TRIMTAB_HOME': sys.argv[2]}), '127.0.0.1', 0)"
    program = [sys.executable, "-c", code, str(home / "tides.yaml"), str(home)]
    done = subprocess.run(program, check=False, capture_output=True, text=True, timeout=60)

    assert done.returncode == 3
    assert f"TRIMTAB_PRIVATE_KEY_FILE: {home / 'secrets/private'}: must be a readable key" in done.stderr
    assert list(home.rglob("*.spool")) == []
