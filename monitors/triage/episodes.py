"""Decisions in the results store: one result a window, and one event an episode."""

from __future__ import annotations

from datetime import datetime, timedelta

from monitors.results.records import Measurement, WindowResult
from monitors.results.store import Store
from monitors.revision import code_revision
from monitors.triage.records import KIND, Action, Triage

_REPAIRS = (Action.FIX_DATA.value, Action.FIX_INFRA.value)
_NEEDS_SOMEBODY = frozenset(Action) - {Action.NONE, Action.WATCH}


def latest(store: Store, model: str) -> Triage | None:
    """Return the decision of the model's present episode; None before the first."""
    event = store.last_event(model, KIND)
    return None if event is None else Triage.of_payload(event.payload)


def standing(store: Store, model: str) -> Triage | None:
    """Return the newest decision that was no repair of data or service: repairs settle no other question."""
    event = store.last_event(model, KIND, without=_REPAIRS)
    return None if event is None else Triage.of_payload(event.payload)


def begins(before: Triage | None, triage: Triage) -> bool:
    """Return whether a decision begins an episode.

    The decision that nothing is wrong begins one only where it ends another.
    """
    if before is None:
        return triage.action is not Action.NONE
    return before.episode != triage.episode


def save(store: Store, triage: Triage, window: timedelta, now: datetime, duration_s: float) -> bool:
    """Store a decision; return whether an episode began with it."""
    numbers = (
        Measurement("triage", 1.0, method=triage.action.value, text=triage.why),
        *(Measurement("evidence", number, text=text) for number, text in enumerate(triage.evidence, 1)),
        *triage.numbers,
    )
    store.save(
        WindowResult(
            triage.model,
            triage.version,
            "triage",
            triage.at - window,
            triage.at,
            0,
            "alarm" if triage.action in _NEEDS_SOMEBODY else "ok",
            numbers,
            computed_at=now,
            duration_s=duration_s,
            reference=None,
            code_revision=code_revision(),
            reason=triage.cause.value,
        )
    )
    if not begins(latest(store, triage.model), triage):
        return False
    key = f"{KIND}/{triage.model}/{'/'.join(triage.episode)}/{triage.at.isoformat()}"
    text = f"{triage.action}: {triage.why}"
    return store.record_event(triage.model, KIND, text, now, triage.payload(), key=key)
