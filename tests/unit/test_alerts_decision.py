from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from alerts import history
from alerts.airflow import Run
from alerts.decision import Outcome, decide
from alerts.requests import RetrainRequest, run_id
from monitors.results.records import Event
from spec import ModelSpec, loads

NOW = datetime(2013, 6, 1, 12, tzinfo=UTC)
EPISODE = "0123456789abcdef"
COOLDOWN = timedelta(days=1)


def model(on: str = "[performance]") -> ModelSpec:
    """Make a small spec with a cooldown of a day."""
    return loads(
        "{model: flights, task: binary, features: {x: numeric}, "
        f"retrain: {{on: {on}, cooldown: 1d, budget: 3/week, give_up_after: 2}}, "
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


@pytest.mark.parametrize("cause", ["performance", "harmful_drift", "schedule", "new_labels"])
def test_every_cause_that_the_spec_names_starts_a_retrain(cause: str) -> None:
    """The words of the triage are the words of `retrain.on`."""
    named = "[performance, harmful_drift, {schedule: 0 3 * * 1}, {new_labels: 500}]"

    assert decide(model(named), request(cause), [], []).outcome is Outcome.TRIGGERED


def test_the_budget_of_a_week_holds_to_the_microsecond() -> None:
    """Three retrains in the last seven days refuse a fourth, and say when the oldest no longer counts."""
    ages = [timedelta(days=2), timedelta(days=5), timedelta(days=7) - timedelta(microseconds=1)]
    runs = [run(f"r{number}", ago=age) for number, age in enumerate(ages)]
    decision = decide(model(), request(), runs, [])

    assert (decision.outcome, decision.run_id) == (Outcome.BUDGET, "r2")
    assert "3/week" in decision.reason
    assert "2013-06-01T12:00:00.000001+00:00" in decision.reason
    older = [*runs[:2], run("r2", ago=timedelta(days=7))]
    assert decide(model(), request(), older, []).outcome is Outcome.TRIGGERED


def test_after_so_many_lost_candidates_nothing_starts_by_itself() -> None:
    """The circuit breaker opens at `give_up_after` and tells a person what to do."""
    assert decide(model(), request(), [], [], 1).outcome is Outcome.TRIGGERED
    decision = decide(model(), request(), [], [], 2)

    assert decision.outcome is Outcome.GAVE_UP
    assert "trimtab retrain flights" in decision.reason


def happened(kind: str, outcome: str, reason: str = "performance") -> Event:
    """One event of a retrain or a rollout."""
    return Event("flights", kind, "text", NOW, {"outcome": outcome, "request": {"reason": reason}})


@pytest.mark.parametrize(
    ("told", "lost"),
    [
        ([], 0),
        ([("retrain", "started"), ("retrain", "rejected")], 1),
        (
            [
                ("retrain", "rejected"),
                ("retrain", "failed"),
                ("retrain", "accepted"),
                ("rollout", "rolled_back"),
            ],
            3,
        ),
        ([("retrain", "rejected"), ("rollout", "promoted")], 0),
        ([("retrain", "rejected"), ("retrain", "accepted"), ("rollout", "step")], 1),
        ([("rollout", "promoted"), ("retrain", "rejected")], 1),
    ],
)
def test_lost_candidates_are_counted_back_to_the_last_promotion(
    told: list[tuple[str, str]], lost: int
) -> None:
    """A candidate is lost when it is rejected, rolled back or its retrain fails; a promotion ends the row."""
    assert history.rejected(happened(*event) for event in told) == lost


def test_a_retrain_by_a_person_closes_the_breaker() -> None:
    """Who starts one by hand has looked into it: the count begins anew."""
    events = [
        happened("retrain", "rejected"),
        happened("retrain", "started", "manual"),
        happened("retrain", "failed"),
    ]

    assert history.rejected(events) == 1


def of_run(kind: str, outcome: str, run: str) -> Event:
    """One event of a run that names itself."""
    return Event("flights", kind, "text", NOW, {"outcome": outcome, "run": run})


def test_a_run_counts_once_and_as_it_ended_last() -> None:
    """Cleared tasks, and the rollout of a lost run, make no second loss; one accepted at last is none."""
    twice = [of_run("retrain", "rejected", "a"), of_run("retrain", "rejected", "a")]
    failed_too = [of_run("retrain", "failed", "b"), of_run("rollout", "rolled_back", "b")]
    cleared = [of_run("retrain", "rejected", "c"), of_run("retrain", "accepted", "c")]

    assert history.rejected(twice) == 1
    assert history.rejected(twice + failed_too) == 2
    assert history.rejected(twice + cleared) == 1
