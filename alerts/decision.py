"""Whether a wanted retrain is started now: a pure function of the spec, the clock and Airflow's runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from alerts.airflow import Run
from alerts.requests import RetrainRequest, attempt_of, run_id
from spec import ModelSpec, format_duration


class Outcome(StrEnum):
    """What became of a delivery, or of one model's request in it; the label of the receiver's counter."""

    TRIGGERED = "triggered"
    DUPLICATE = "duplicate"
    BUSY = "busy"
    COOLDOWN = "cooldown"
    BUDGET = "budget"
    GAVE_UP = "gave_up"
    DISABLED = "disabled"
    IGNORED = "ignored"
    UNKNOWN_MODEL = "unknown_model"
    NOT_ACCEPTED = "not_accepted"
    PAUSED = "paused"
    UNAVAILABLE = "unavailable"
    UNAUTHORIZED = "unauthorized"
    BAD_REQUEST = "bad_request"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a request; `run_id` is the run to start (TRIGGERED) or the one that exists."""

    outcome: Outcome
    reason: str
    run_id: str = ""


def decide(
    spec: ModelSpec,
    request: RetrainRequest,
    retrains: Sequence[Run],
    rollouts: Sequence[Run],
    rejected: int = 0,
) -> Decision:
    """Decide on one model's request.

    An episode gets one run an attempt. The next attempt becomes possible when the one before has
    finished, no rollout is under way and the cooldown has passed: a rejected candidate does not
    silence an unsolved alert for ever.

    Parameters
    ----------
    spec
        The model; `retrain.on`, `cooldown`, `budget` and `give_up_after` are read.
    request
        The request; its `requested_at` is now.
    retrains, rollouts
        Runs of the model's two DAGs that Airflow knows, in any order.
    rejected
        Candidates lost in a row: rejected, rolled back, or their retrain failed; see `history.rejected`.
    """
    if request.reason not in spec.retrain.causes:
        listed = ", ".join(spec.retrain.causes) or "nothing"
        return Decision(Outcome.DISABLED, f"retrain.on of {spec.model} is {listed}, not {request.reason!r}")
    attempts = {number: run for run in retrains if (number := attempt_of(run.run_id, request.episode))}
    for run in attempts.values():
        if run.in_flight:
            return Decision(Outcome.DUPLICATE, f"{run.run_id} is {run.state}", run.run_id)
    for run in (*retrains, *rollouts):
        if run.in_flight:
            return Decision(Outcome.BUSY, f"{run.run_id} of {spec.model} is {run.state}", run.run_id)
    cooling = _in_cooldown(spec, request, retrains)
    if cooling is not None:
        ends = cooling.requested_at + spec.retrain.cooldown
        reason = (
            f"{cooling.run_id} was requested at {cooling.requested_at.isoformat()}; "
            f"the cooldown of {format_duration(spec.retrain.cooldown)} ends at {ends.isoformat()}"
        )
        return Decision(Outcome.COOLDOWN, reason, cooling.run_id)
    refusal = _gave_up(spec, rejected) or _spent(spec, request, retrains)
    if refusal is not None:
        return refusal
    attempt = max(attempts, default=0) + 1
    reason = f"attempt {attempt} of episode {request.episode}"
    return Decision(Outcome.TRIGGERED, reason, run_id(request.episode, attempt))


def _in_cooldown(spec: ModelSpec, request: RetrainRequest, retrains: Sequence[Run]) -> Run | None:
    """Return the last run whose cooldown has not passed.

    A run further ahead of the clock than one cooldown belongs to another clock (a replay that
    began anew, a run that a person started during a replay) and counts for nothing.
    """
    cooldown = spec.retrain.cooldown
    recent = [run for run in retrains if -cooldown < request.requested_at - run.requested_at < cooldown]
    return max(recent, key=lambda run: run.requested_at, default=None)


def _gave_up(spec: ModelSpec, rejected: int) -> Decision | None:
    most = spec.retrain.give_up_after
    if rejected < most:
        return None
    reason = (
        f"{rejected} candidates of {spec.model} in a row were no better (retrain.give_up_after is {most}): "
        f"a person must look, and may start the next one with `trimtab retrain {spec.model}`"
    )
    return Decision(Outcome.GAVE_UP, reason)


def _spent(spec: ModelSpec, request: RetrainRequest, retrains: Sequence[Run]) -> Decision | None:
    """Refuse what the budget does not hold; runs of another clock, far in the future, count for nothing."""
    budget = spec.retrain.budget
    ages = {run.run_id: request.requested_at - run.requested_at for run in retrains}
    recent = {name: age for name, age in ages.items() if -spec.retrain.cooldown < age < budget.per}
    if len(recent) < budget.count:
        return None
    oldest = max(recent, key=lambda name: recent[name])
    ends = request.requested_at - recent[oldest] + budget.per
    reason = f"the budget of {budget} retrains of {spec.model} is spent until {ends.isoformat()}"
    return Decision(Outcome.BUDGET, reason, oldest)
