"""What a turn of requests is answered, and that the log holds it before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter

import onnx
import orjson
import pytest
from onnx import TensorProto, helper

import spec
from serving.answers import Answers
from serving.http import Response
from serving.job import Job
from serving.lane import Outcome
from serving.log import packing
from serving.log.inference_log import Answered, InferenceLog
from serving.log.spool import read_segment
from serving.metrics import ServingMetrics
from serving.model import OnnxModel
from serving.origin import Origin
from serving.slot import Live

TIDES = spec.loads("""
model: tides
task: regression
data: {inference_log: log, labels: labels, id: id, time: at, target: {name: height}}
features: {depth: numeric}
""")
Turn = Callable[..., list[Outcome]]


class Picky(InferenceLog):
    """A log that cannot write down whoever is named "odd"."""

    asked = 0

    def append(self, answered: Sequence[Answered], version: str) -> None:
        """Write the others."""
        self.asked += 1
        if any(one.request.id == "odd" for one in answered):
            message = "odd"
            raise ValueError(message)
        super().append(answered, version)


@pytest.fixture
def metrics() -> ServingMetrics:
    """What the slot counts."""
    return ServingMetrics(TIDES, "blue")


@pytest.fixture
def log(tmp_path: Path, metrics: ServingMetrics) -> Iterator[Picky]:
    """A log in a temporary folder."""
    home = spec.Settings.from_env({"TRIMTAB_HOME": str(tmp_path)})
    made = Picky(TIDES, "blue", home, metrics)
    yield made
    made.close()


@pytest.fixture
def model(tmp_path: Path) -> OnnxModel:
    """A graph that answers the depth."""
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in ("depth", "variable")
    ]
    node = helper.make_node("Identity", ["depth"], ["variable"])
    graph = helper.make_graph([node], "tides", ends[:1], ends[1:])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(made, str(tmp_path / "model.onnx"))
    return OnnxModel(tmp_path / "model.onnx", TIDES)


@pytest.fixture
def turn(log: Picky, model: OnnxModel, metrics: ServingMetrics) -> Turn:
    """Answer requests of these ids in one turn."""
    live = Live(
        "7",
        model,
        metrics.requests("7"),
        metrics.batch_rows("7"),
        metrics.cached_rows("7"),
        None,
    )
    answers = Answers(TIDES, log)

    def run(*ids: str) -> list[Outcome]:
        return answers.of(live, [job(one) for one in ids])

    return run


def job(identity: str) -> Job:
    """One row of a live user's."""
    tensor = {"name": "depth", "shape": [1], "datatype": "FP64", "data": [2.0]}
    body = orjson.dumps({"id": identity, "inputs": [tensor]})
    now, loop = perf_counter(), asyncio.new_event_loop()
    future: asyncio.Future[Response] = loop.create_future()
    loop.close()

    async def receive() -> dict[str, str]:
        return {"type": "http.request"}

    return Job(body, None, identity, Origin.LIVE, None, now, now + 9, receive, future)


def test_a_turn_is_one_record_of_the_spool(turn: Turn, tmp_path: Path) -> None:
    """Requests that are answered together are written together, before anybody has an answer."""
    assert [200] * 3 == [one.status for one in turn("a", "b", "c") if isinstance(one, Response)]

    (path,) = tmp_path.glob("spool/*/*.spool")
    segment = read_segment(path)
    assert ([3], 3) == ([packing.rows_of(record) for record in segment.records], segment.rows)


def test_a_request_that_cannot_be_logged_fails_alone(turn: Turn, tmp_path: Path) -> None:
    """Those of the same turn are answered, and each of them is in the log."""
    first, odd, last, bad = turn("a", "odd", "b", "")

    assert isinstance(first, Response)
    assert isinstance(odd, ValueError)
    assert isinstance(last, Response)
    assert isinstance(bad, spec.RequestError)
    (path,) = tmp_path.glob("spool/*/*.spool")
    assert 2 == read_segment(path).rows


def test_nobody_is_answered_while_the_spool_takes_nothing(
    turn: Turn, log: Picky, metrics: ServingMetrics, tmp_path: Path
) -> None:
    """A spool that cannot be written is asked once a turn; all of the turn hear of it, and are counted."""
    (folder,) = tmp_path.glob("spool/*")
    folder.rename(tmp_path / "gone")

    outcomes = turn("a", "b", "c")

    assert [spec.Unavailable] * 3 == [type(one) for one in outcomes]
    assert 1 == log.asked
    labels = {"model": "tides", "slot": "blue"}
    assert 3 == metrics.registry.get_sample_value("trimtab_log_write_failures_total", labels)
