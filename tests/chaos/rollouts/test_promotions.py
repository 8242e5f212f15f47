"""Version after version goes through Airflow's rollout, to the end that its gates allow, while users ask.

Nothing is forced: the judge sees the users' requests in Prometheus and their pairs in the inference log, and
each step waits for the gates to pass on them. Each version answers with its own number in the score, so a
server that said another version than it asked would be seen.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from monitors.results.store import Store
from rollout import steps
from rollout.verdict import Decision, Outcome, Verdict

PROMOTIONS = int(os.environ.get("TRIMTAB_PROMOTIONS", "10"))
PROMOTED_WITHIN_S = 240.0
pytestmark = [
    pytest.mark.chaos,
    pytest.mark.service,
    pytest.mark.timeout(300 + PROMOTIONS * PROMOTED_WITHIN_S),
]

STEPS = ("shadow", "5%", "50%", "100%")
DAYS = 8
MARK = 1e-4
"""What a version's score is more than the depth, for each number of its release."""
MODEL = """
model: tides
task: binary
data: {inference_log: tides/log, labels: tides/labels, id: id, time: at, target: {name: height}}
features: {depth: numeric}
monitor: {performance: {metric: brier}}
rollout:
  steps: [shadow, {share: 5%, min_requests: 25}, 50%, 100%]
  gates: {errors: 5%, latency_p99: 1s, disagreement: 5%, drift: 20%, quality: 0.05}
  min_requests: 100
  lease: 40s
"""


@pytest.fixture
def rollouts(rolling_out: Callable[..., Any], release: Callable[..., Any], tmp_path: Path) -> Iterator[Any]:
    """A champion in slot blue, whose challengers tell them apart by their scores."""
    with rolling_out(
        MODEL, lambda number: release(marked(tmp_path / f"{number}.onnx", number), number)
    ) as made:
        yield made


def test_rollouts_in_a_row_fail_nobody_and_only_named_versions_answer(
    rollouts: Any, strangers: Callable[..., list[Any]], told: Callable[..., None]
) -> None:
    """Each run of the DAG promotes its version: no request fails, no answer is of an unnamed version."""
    seconds, again = [], 0
    with rollouts.house.users_of(bodies()) as users:
        for _ in range(PROMOTIONS):
            began = time.monotonic()
            version, run = rollouts.begin()
            assert rollouts.ended(run, version, PROMOTED_WITHIN_S) == "champion"
            seconds.append(time.monotonic() - began)
            promotion_is_kept(rollouts, version, run)
            tasks = rollouts.airflow("GET", f"dagRuns/{run}/taskInstances")["task_instances"]
            again += sum(max(0, task["try_number"] - 1) for task in tasks)
        users.wait_for(100)
    told(users)
    longest = f"{max(seconds):.0f} s the longest, {again} tasks tried again"
    print(f"{statistics.median(seconds):.0f} s a promotion, {longest}")  # noqa: T201 - docs/rollout.md

    assert users.failures == []
    assert strangers(users.answers, rollouts.registry.history("tides")) == []
    assert [one for one in users.answers if said_by(one) != one.version] == []
    assert users.versions_since(0) == {str(number) for number in range(1, PROMOTIONS + 2)}


def promotion_is_kept(rollouts: Any, version: str, run: str) -> None:
    """The registry's tags and the store's events have each step's verdict: gates, intervals, sample sizes."""
    tags = next(one.tags for one in rollouts.registry.versions("tides") if one.version == version)
    with Store(rollouts.settings.results_url) as store:
        events = [one.payload for one in store.events("tides", kinds=["rollout"])]
    assert tags["trimtab.approved_by"].startswith("automatic: gates errors, latency")
    begun = next(place for place, one in enumerate(events) if one.get("run") == run)
    outcomes = [one["outcome"] for one in events[begun:]]
    assert (outcomes[0], set(outcomes[1:-1]), outcomes[-1]) == ("started", {"step"}, "promoted")
    judged = [Verdict.model_validate(one["verdict"]) for one in events[begun + 1 : -1]]
    last = {steps.name(verdict.step): verdict for verdict in judged}
    assert list(last) == list(STEPS)
    for step, verdict in last.items():
        assert (verdict.challenger, verdict.decision) == (version, Decision.PROMOTE)
        assert tags[f"trimtab.rollout.{step.removesuffix('%')}"] == verdict.summary()
        for gate in verdict.gates:
            assert gate.outcome is Outcome.PASS
            assert gate.gate == "quality" or None not in (gate.value, gate.low, gate.high)
            assert gate.gate == "quality" or gate.n >= 25


def bodies() -> list[bytes]:
    """Requests of the last days, at which no version decides otherwise than another."""
    noon, made = datetime.now(UTC).replace(hour=12), []
    depths = np.concatenate([np.linspace(0.1, 0.4, 500), np.linspace(0.6, 0.9, 500)])
    for number, depth in enumerate(np.random.default_rng(6).permutation(depths).round(3).tolist()):
        inputs = [{"name": "depth", "shape": [1], "datatype": "FP64", "data": [depth]}]
        day = noon - timedelta(days=1 + number % DAYS)
        made.append(json.dumps({"inputs": inputs, "parameters": {"event_time": day.isoformat()}}).encode())
    return made


def said_by(answer: Any) -> str:
    """Return the version whose mark the score of an answer has."""
    depth = json.loads(answer.asked)["inputs"][0]["data"][0]
    outputs = {one["name"]: one["data"] for one in json.loads(answer.content)["outputs"]}
    return str(round((outputs["probabilities"][-1] - depth) / MARK))


def marked(path: Path, number: int) -> Path:
    """Write a classifier whose score is the depth, and a mark of its number."""
    depth = helper.make_tensor_value_info("depth", TensorProto.FLOAT, [None, 1])
    outputs = [
        helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2]),
    ]
    constants = {"mark": [MARK * number], "one": [1.0]}
    nodes = [
        helper.make_node("Add", ["depth", "mark"], ["yes"]),
        helper.make_node("Sub", ["one", "yes"], ["no"]),
        helper.make_node("Concat", ["no", "yes"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]
    held = [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in constants.items()]
    made = helper.make_graph(nodes, "g", [depth], outputs, held)
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))
    return path
