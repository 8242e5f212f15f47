from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from retraining import Registry, adopt
from serving.loader import fetch
from spec import Unavailable

pytestmark = [pytest.mark.service, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A real MLflow server that keeps artifacts itself; its address and process."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    argv += [
        "--workers",
        "1",
        "--backend-store-uri",
        f"sqlite:///{folder / 'mlflow.db'}",
        "--serve-artifacts",
    ]
    argv += ["--artifacts-destination", str(folder / "artifacts")]
    env = {"PATH": "/usr/bin:/bin", "MLFLOW_DISABLE_TELEMETRY": "true"}
    env["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, env=env, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        _await_health(f"http://127.0.0.1:{port}/health", process, folder / "log")
        yield f"http://127.0.0.1:{port}", process
    finally:
        _stop(process)


@pytest.fixture
def house(server: tuple[str, Any], make_world: Callable[..., Any]) -> tuple[Any, pd.DataFrame, Pipeline]:
    """A world with that registry, labelled orders, and a pipeline that was fitted on them."""
    world = make_world()
    world.settings = replace(world.settings, mlflow_uri=server[0])
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "ordered_at": pd.date_range("2024-01-01", "2024-03-01", 2000, tz="UTC"),
            "amount": rng.normal(50, 10, 2000),
            "country": rng.choice(["de", "fr"], 2000),
            "member": rng.random(2000) < 0.5,
        }
    )
    frame["returned"] = frame["amount"] + 8 * frame["member"] + rng.normal(0, 8, 2000) > 55
    reals = ("reals", make_pipeline(SimpleImputer()), ["amount", "member"])
    texts = ("texts", OneHotEncoder(handle_unknown="ignore"), ["country"])
    pipeline = Pipeline([("columns", ColumnTransformer([reals, texts])), ("model", LogisticRegression())])
    return world, frame, pipeline.fit(frame.astype({"member": "float64"}), frame["returned"])


def test_what_is_registered_is_what_serving_loads(house: tuple, tmp_path: Path) -> None:
    """The model server's loader finds the very bytes, by alias and by version, through a real server."""
    world, frame, pipeline = house

    version = adopt(world.spec, world.settings, pipeline, frame)

    ours = Registry(world.settings).onnx("shop", version)
    theirs = fetch(world.settings.mlflow_uri, "shop", tmp_path, version=None)
    assert version == theirs.version
    assert ours.read_bytes() == theirs.file.read_bytes()
    shutil.rmtree(ours.parent)
    assert ours == Registry(world.settings).onnx("shop", version)
    (found,) = Registry(world.settings).versions("shop")
    assert ("champion",) == found.aliases
    assert world.settings.clock.now().isoformat() == found.tags["trimtab.promoted_at"]


def test_a_server_that_stops_is_unavailable_and_the_file_stays(
    house: tuple, server: tuple[str, subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version's file that was fetched once serves on; everything else asks for a later try."""
    world, frame, pipeline = house
    version = adopt(world.spec, world.settings, pipeline, frame)
    registry = Registry(world.settings)
    file = registry.onnx("shop", version)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    _stop(server[1])

    assert file == registry.onnx("shop", version)
    for call in (
        lambda: registry.version("shop", "champion"),
        lambda: registry.promote("shop", version),
        lambda: registry.reject("shop", version, "why"),
        lambda: adopt(world.spec, world.settings, pipeline, frame),
    ):
        with pytest.raises(Unavailable, match="did not answer"):
            call()


def _await_health(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = monotonic() + 120
    while process.poll() is None and monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            # the port tells nobody when it opens; wait for the process instead, briefly
            try:
                process.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
    pytest.fail(f"MLflow did not start:\n{log.read_text()[-2000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and its workers, which lead a session of their own."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)
