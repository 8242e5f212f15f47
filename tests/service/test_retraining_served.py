from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import psutil
import pytest
from onnx import TensorProto, helper

from retraining.gates import served as gate
from retraining.graphs.scorer import Scorer
from retraining.measurement import protocol
from retraining.measurement.served import measure
from retraining.measurement.trial_server import trial_server
from spec import ModelSpec, Refused, loads

pytestmark = pytest.mark.service

ORPHAN = """
import sys
from pathlib import Path
from retraining.measurement.trial_server import trial_server
from spec import load
with trial_server(load(Path(sys.argv[1])), Path(sys.argv[2])) as server:
    print(server.process.pid, flush=True)
    sys.stdin.read()
"""
TIDES = """
model: tides
task: {task}
data:
  inference_log: {log}
  labels: tides/labels
  id: id
  time: at
  target: {{name: height{classes}}}
features: {{depth: numeric, spring: boolean, port: categorical}}
monitor:
  quality: {{door: reject}}
  cost: {{price_per_cpu_hour: 3600, price_per_kwh: 3600000}}
"""


@pytest.fixture
def tides(tmp_path: Path) -> Callable[..., ModelSpec]:
    """Return the spec of a model whose production log is at a full path, and whose door rejects rows."""

    def make(task: str = "regression") -> ModelSpec:
        classes = ", classes: [low, high]" if task == "multiclass" else ""
        return loads(TIDES.format(task=task, classes=classes, log=tmp_path / "production"))

    return make


@pytest.fixture
def rows() -> pd.DataFrame:
    """Real rows, a third of them with a null."""
    rng = np.random.default_rng(0)
    depth = rng.normal(3, 1, 400).astype("float32")
    depth[::3] = np.nan
    port = rng.choice(["Brest", "Cuxhaven"], 400).astype(object)
    return pd.DataFrame({"depth": depth, "spring": (depth > 3).astype("float32"), "port": port})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A model that answers the depth, or -1 where it is null."""
    return save(tmp_path / "tides.onnx", [])


def save(path: Path, more: list[Any], last: str = "depth") -> Path:
    """Write a graph: `more` nodes, then nulls of `last` replaced."""
    inputs = [
        helper.make_tensor_value_info(name, kind, [None, 1])
        for name, kind in (
            ("depth", TensorProto.FLOAT),
            ("spring", TensorProto.FLOAT),
            ("port", TensorProto.STRING),
        )
    ]
    nodes = [
        *more,
        helper.make_node("IsNaN", [last], ["null"]),
        helper.make_node("Where", ["null", "minus", last], ["variable"]),
    ]
    minus = helper.make_tensor("minus", TensorProto.FLOAT, [1], [-1.0])
    out = [helper.make_tensor_value_info("variable", TensorProto.FLOAT, [None, 1])]
    graph = helper.make_graph(nodes, "g", inputs, out, [minus])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))
    return path


def test_what_serving_takes_is_measured(
    tides: Callable[..., ModelSpec], file: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    """Every number is of its order of magnitude, prices add up, and production's log is untouched."""
    found = measure(tides(), file, rows)

    assert 1e-5 < found.served_p50 <= found.served_p99 < 1
    assert found.rows_per_second > 10 / found.served_p99
    assert 0 < found.load_seconds < found.cold_start_seconds < 60
    assert 30e6 < found.memory < 2e9
    assert 10 < found.cpu_per_million < 1e5
    assert found.joules_per_million > 0
    assert found.price_per_million == pytest.approx(found.cpu_per_million + found.joules_per_million)
    assert not (tmp_path / "production").exists()


def test_a_file_that_is_answered_as_by_its_graph_passes(
    tides: Callable[..., ModelSpec], file: Path, rows: pd.DataFrame
) -> None:
    """300 rows, those with nulls among them, and one more for each feature that is missing."""
    judged = gate.judge(tides(), file, rows)

    assert (True, 303) == (judged.passed, judged.rows)
    assert judged.value <= 1e-6
    assert judged.reason.startswith("a model server answered 303 rows, at most ")


def test_a_file_whose_nulls_break_it_is_rejected(
    tides: Callable[..., ModelSpec], tmp_path: Path, rows: pd.DataFrame
) -> None:
    """A graph that answers NaN is an error to the model server, and the gate repeats it."""
    loose = save(tmp_path / "loose.onnx", [helper.make_node("Identity", ["depth"], ["same"])], "same")
    model = onnx.load(str(loose))
    model.graph.node[-1].input[1] = "same"
    onnx.save(model, str(loose))

    judged = gate.judge(tides(), loose, rows)

    assert not judged.passed
    assert judged.reason.startswith("The model server answered 422: ")
    assert judged.reason.endswith("not a finite number; it may need a value where depth has none")


def test_a_file_that_no_server_starts_with_is_rejected(
    tides: Callable[..., ModelSpec], tmp_path: Path, rows: pd.DataFrame
) -> None:
    """The graph lacks a feature, which ONNX Runtime alone would not mind."""
    spec = tides()
    fewer = spec.model_copy(update={"features": dict(list(spec.features.items())[:2])})
    file = save(tmp_path / "more.onnx", [])

    judged = gate.judge(fewer, file, rows)

    assert not judged.passed
    assert judged.reason.startswith("The model server does not start with the file: ")
    assert "input port: must be a feature of the spec" in judged.reason


def test_answers_that_differ_are_rejected(
    tides: Callable[..., ModelSpec], file: Path, rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ten-thousandth beside the graph's own score is too much."""
    right = Scorer.predict
    monkeypatch.setattr(Scorer, "predict", lambda self, inputs: right(self, inputs) + 1e-4)

    judged = gate.judge(tides(), file, rows)

    assert not judged.passed
    assert judged.value > judged.limit


def test_the_server_ends_with_the_context_and_its_home_goes(
    tides: Callable[..., ModelSpec], file: Path, rows: pd.DataFrame
) -> None:
    """The process is gone, also where the context was left by an error."""
    with pytest.raises(ZeroDivisionError), trial_server(tides(), file) as server:  # noqa: PT012 - the promise
        home = Path(server.process.environ()["TRIMTAB_HOME"])
        answered = protocol.scores(tides().task, server.infer(protocol.request(tides(), rows[:2])))
        raise ZeroDivisionError

    assert [-1.0, rows["depth"][1]] == answered.tolist()
    assert not psutil.pid_exists(server.process.pid)
    assert not home.exists()


def test_no_server_survives_who_started_it(
    tides: Callable[..., ModelSpec], file: Path, tmp_path: Path
) -> None:
    """The parent is killed, and cannot clean up."""
    model = tmp_path / "tides.yaml"
    model.write_text(tides().model_dump_json(by_alias=True, exclude_unset=True))
    program = [sys.executable, "-c", ORPHAN, str(model), str(file)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        server = psutil.Process(int(parent.stdout.readline()))
        os.kill(parent.pid, signal.SIGKILL)

    server.wait(30)

    assert not server.is_running()


def test_an_error_of_the_server_is_told(tides: Callable[..., ModelSpec], file: Path) -> None:
    """A request that the server refuses comes back as its own words."""
    with (
        trial_server(tides(), file) as server,
        pytest.raises(Refused, match="answered 400: body: must be JSON"),
    ):
        server.infer(b"{")
