"""What happens next to a model, and who does it: from the decision, the spec and what happened before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from alerts import history
from alerts.airflow import Run
from alerts.decision import Outcome, decide
from alerts.requests import RetrainRequest
from monitors.results.records import Event
from monitors.triage import Action, Triage
from spec import ModelSpec
from spec.retrain import Scheduled
from trimtab.under_way import unfinished

KINDS = history.KINDS
"""Kinds of the events that `next_action` reads."""
_BY_A_PERSON = {
    Action.FIX_DATA: "A person repairs the source. A retrain waits until a window's data are sound.",
    Action.FIX_INFRA: "A person looks at the service and at what calls it. No retrain is started for it.",
    Action.COLLECT_LABELS: "A person brings labels: trimtab labels append {model} FILE.",
}


def next_action(spec: ModelSpec, triage: Triage | None, events: Sequence[Event], now: datetime) -> str:
    """Say in a sentence what happens next, as far as the results store can know; pure.

    Parameters
    ----------
    triage
        The decision of the present episode.
    events
        Of the model and of `KINDS`, oldest first.
    now
        Processing time.
    """
    for kind in ("rollout", "retrain"):
        if (running := unfinished(events, kind)) is not None:
            return f"A {kind} is under way since {_at(running.at)}: {running.text}."
    if triage is None or triage.action is Action.NONE:
        return f"Nothing{_calendar(spec, now)}."
    if triage.action is Action.WATCH:
        return f"Nothing but another look at the next window{_calendar(spec, now)}."
    if triage.action is Action.RETRAIN:
        return _retrain(spec, triage, events, now)
    return _BY_A_PERSON[triage.action].format(model=spec.model)


def _retrain(spec: ModelSpec, triage: Triage, events: Sequence[Event], now: datetime) -> str:
    """Say what the alert's receiver would answer now."""
    request = RetrainRequest(
        spec.model, triage.cause.value, "", triage.version, now, triage.why, "", episode=""
    )
    answer = decide(spec, request, _retrains(events), (), history.rejected(events))
    match answer.outcome:
        case Outcome.TRIGGERED:
            return "The alert starts a retrain as soon as Alertmanager delivers it."
        case Outcome.COOLDOWN:
            last = max(run.requested_at for run in _retrains(events) if run.requested_at <= now)
            ends = last + spec.retrain.cooldown
            return f"The cooldown ends at {_at(ends)}; then a retrain starts if it is still needed."
        case Outcome.DISABLED:
            return f"Nobody retrains by itself: {answer.reason}. To start one: trimtab retrain {spec.model}."
    return f"{answer.reason[0].upper()}{answer.reason[1:]}."


def _retrains(events: Sequence[Event]) -> list[Run]:
    """Return the retrains that began, as their events tell them; none of them is under way."""
    began = (event for event in events if _is(event, "retrain", "started"))
    return [Run(f"the retrain of {_at(event.at)}", "success", _asked(event)) for event in began]


def _asked(event: Event) -> datetime:
    told = (event.payload.get("request") or {}).get("requested_at")
    return datetime.fromisoformat(told) if told else event.at


def _is(event: Event, kind: str, outcome: str) -> bool:
    return event.kind == kind and event.payload.get("outcome") == outcome


def _calendar(spec: ModelSpec, now: datetime) -> str:
    line = next((cause.schedule for cause in spec.retrain.on if isinstance(cause, Scheduled)), None)
    if line is None:
        return ""
    from croniter import croniter

    due: datetime = croniter(line, now.astimezone(UTC)).get_next(datetime)
    return f"; the calendar asks for a retrain at {_at(due)}"


def _at(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"
