"""The same deaths with the real judge: a rollout of Airflow's, whose triggerer looks at Prometheus."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rollout.guard import INTERVAL_S

pytestmark = [pytest.mark.chaos, pytest.mark.service, pytest.mark.timeout(600)]

LEASE_S = 20.0
LOOK_S = 2.0
MARGIN_S = 5.0
STEP_S = 90.0
MODEL = f"""
model: tides
task: regression
data: {{inference_log: tides/log, labels: tides/labels, id: id, time: at, target: {{name: height}}}}
features: {{depth: numeric}}
rollout:
  steps: [25%, 100%]
  gates: {{errors: 1%}}
  min_requests: 1000000
  deadline: {STEP_S:.0f}s
  lease: {LEASE_S:.0f}s
"""


@pytest.fixture(scope="module")
def rollouts(rolling_out: Callable[..., Any], release: Callable[..., Any], onnx_file: Path) -> Iterator[Any]:
    """A champion in slot blue, whose challengers are each the same model again."""
    with rolling_out(MODEL, lambda number: release(onnx_file, number)) as made:
        yield made


def test_a_triggerer_that_dies_loses_the_canary(rollouts: Any, told: Callable[..., None]) -> None:
    """Kept down, it renews nothing: all traffic is the champion's within the lease; its run then ends."""
    with rollouts.canary() as (users, version, run):
        killed = rollouts.house.kill_for_good("airflow-triggerer")
        last = rollouts.returned(users, version, LEASE_S + INTERVAL_S + MARGIN_S)
        told(users, last - killed)
        rollouts.house.revive("airflow-triggerer")
        assert rollouts.ended(run, version) == "rejected"

    assert users.failures == []
    assert last - killed < LEASE_S + INTERVAL_S + MARGIN_S


def test_a_triggerer_that_hangs_loses_the_canary(rollouts: Any, told: Callable[..., None]) -> None:
    """When it goes on, it is refused and the version is rejected; the traffic stays."""
    with rollouts.canary() as (users, version, run):
        stopped = rollouts.house.signal("airflow-triggerer", signal.SIGSTOP)
        last = rollouts.returned(users, version, LEASE_S + INTERVAL_S + MARGIN_S)
        told(users, last - stopped)
        resumed = rollouts.house.signal("airflow-triggerer", signal.SIGCONT)
        assert rollouts.ended(run, version) == "rejected"
        assert version not in users.versions_since(resumed)

    assert users.failures == []


def test_a_judge_without_prometheus_loses_the_canary(rollouts: Any, told: Callable[..., None]) -> None:
    """It sees nothing, so it renews nothing, however young the step is."""
    with rollouts.canary() as (users, version, run):
        killed = rollouts.house.kill_for_good("prometheus")
        last = rollouts.returned(users, version, LEASE_S + LOOK_S + INTERVAL_S + MARGIN_S)
        told(users, last - killed)
        rollouts.house.revive("prometheus")
        assert rollouts.ended(run, version) == "rejected"

    assert users.failures == []


def test_a_scheduler_that_dies_loses_the_canary(rollouts: Any, told: Callable[..., None]) -> None:
    """The judge sees well, and vouches no further than for a lease from the scheduler's last heartbeat on.

    The step has most of its deadline left: it is not the judge who ended it.
    """
    with rollouts.canary() as (users, version, run):
        killed = rollouts.house.kill_for_good("airflow-scheduler")
        last = rollouts.returned(users, version, LEASE_S + LOOK_S + INTERVAL_S + MARGIN_S)
        told(users, last - killed)
        rollouts.house.revive("airflow-scheduler")
        assert rollouts.ended(run, version) == "rejected"

    assert users.failures == []
    assert last - killed < LEASE_S + LOOK_S + INTERVAL_S + MARGIN_S


def test_a_challenger_that_stays_down_is_rolled_back(rollouts: Any, told: Callable[..., None]) -> None:
    """The champion answers for it, the gateway counts what it hid, and the judge sees the harm."""
    with rollouts.canary() as (users, version, run):
        users.wait_for(500, 60)
        killed = rollouts.house.kill_for_good("tides-green")
        try:
            rollouts.returned(users, version, STEP_S)
            told(users, time.time() - killed)
            assert rollouts.ended(run, version) == "rejected"
        finally:
            rollouts.house.revive("tides-green")

    assert len(users.failures) <= users.clients


def test_a_challenger_that_hangs_is_rolled_back(rollouts: Any, told: Callable[..., None]) -> None:
    """Its requests are given up after ten seconds, and these errors end it; the champion's are answered."""
    with rollouts.canary() as (users, version, run):
        users.wait_for(500, 60)
        stopped = rollouts.house.signal("tides-green", signal.SIGSTOP)
        try:
            rollouts.returned(users, version, STEP_S)
            told(users, time.time() - stopped)
            assert rollouts.ended(run, version) == "rejected"
        finally:
            rollouts.house.signal("tides-green", signal.SIGCONT)

    assert all("504" in one.failure for one in users.failures), users.failures[0]
