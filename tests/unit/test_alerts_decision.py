from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from alerts.airflow import Run
from alerts.decision import Outcome, decide
from alerts.requests import RetrainRequest, run_id
from spec import ModelSpec, loads

NOW = datetime(2013, 6, 1, 12, tzinfo=UTC)
EPISODE = "0123456789abcdef"
COOLDOWN = timedelta(days=1)


def model(on: str = "[performance]") -> ModelSpec:
    """Make a small spec with a cooldown of a day."""
    return loads(
        "{model: flights, task: binary, features: {x: numeric}, "
        f"retrain: {{on: {on}, cooldown: 1d}}, "
        "data: {inference_log: a, labels: b, id: id, time: t, target: {name: y}}}"
    )


def request(reason: str = "performance") -> RetrainRequest:
    """Make a request of `EPISODE` at `NOW`."""
    return RetrainRequest("flights", reason, "Alert", "3", NOW, "summary", "description", EPISODE)


def run(name: str, state: str = "success", ago: timedelta = 10 * COOLDOWN) -> Run:
    """Make a run that was requested `ago` before `NOW`."""
    return Run(name, state, NOW - ago)


def test_an_episodes_first_request_starts_its_run() -> None:
    """With nothing in the way the run is `alert-<episode>`."""
    decision = decide(model(), request(), [], [])

    assert (decision.outcome, decision.run_id) == (Outcome.TRIGGERED, f"alert-{EPISODE}")


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_run_of_the_episode_that_is_under_way_is_a_duplicate(state: str) -> None:
    """A second delivery starts nothing and names the run that exists."""
    decision = decide(model(), request(), [run(f"alert-{EPISODE}", state)], [])

    assert (decision.outcome, decision.run_id) == (Outcome.DUPLICATE, f"alert-{EPISODE}")


def test_any_retrain_or_rollout_under_way_is_busy() -> None:
    """One thing at a time happens to a model."""
    other = run("manual__1", "running")

    assert decide(model(), request(), [other], []).outcome is Outcome.BUSY
    assert decide(model(), request(), [], [other]).outcome is Outcome.BUSY


@pytest.mark.parametrize(
    ("ago", "outcome"),
    [
        (timedelta(0), Outcome.COOLDOWN),
        (COOLDOWN - timedelta(microseconds=1), Outcome.COOLDOWN),
        (COOLDOWN, Outcome.TRIGGERED),
        (-COOLDOWN / 2, Outcome.COOLDOWN),
        (-COOLDOWN, Outcome.TRIGGERED),
    ],
)
def test_the_cooldown_ends_to_the_microsecond(ago: timedelta, outcome: Outcome) -> None:
    """A run blocks the next for one cooldown; one of another clock, far in the future, blocks nothing."""
    assert decide(model(), request(), [run("manual__1", "failed", ago)], []).outcome is outcome


def test_the_refusal_says_which_run_and_until_when() -> None:
    """Who reads the answer learns when a retrain becomes possible."""
    runs = [run("old"), run("last", ago=COOLDOWN / 2), run("before", ago=COOLDOWN * 0.75)]
    decision = decide(model(), request(), runs, [])

    assert decision.run_id == "last"
    assert "cooldown of 1d ends at 2013-06-02T00:00:00+00:00" in decision.reason


def test_a_rollouts_age_is_no_cooldown() -> None:
    """The cooldown is between retrains."""
    assert decide(model(), request(), [], [run("alert-x", ago=timedelta(0))]).outcome is Outcome.TRIGGERED


@pytest.mark.parametrize(("earlier", "attempt"), [([1], 2), ([1, 2], 3), ([2], 3), ([1, 10, 9], 11)])
def test_an_unsolved_episode_gets_another_attempt(earlier: list[int], attempt: int) -> None:
    """After the cooldown the next number is tried, even if somebody deleted an earlier run."""
    runs = [run(run_id(EPISODE, number), "success") for number in earlier]
    decision = decide(model(), request(), runs, [])

    assert (decision.outcome, decision.run_id) == (Outcome.TRIGGERED, f"alert-{EPISODE}.{attempt}")


def test_what_the_spec_does_not_retrain_for_is_refused() -> None:
    """An empty `retrain.on`, or an alert of another monitor, starts nothing."""
    assert decide(model("[]"), request(), [], []).outcome is Outcome.DISABLED
    assert decide(model(), request("drift"), [], []).outcome is Outcome.DISABLED
