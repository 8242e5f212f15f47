"""What became of the candidates before: read from the events of the results store."""

from __future__ import annotations

from collections.abc import Iterable

from monitors.records import Event

KINDS = ("retrain", "rollout")
MANUAL = "manual"
_LOST = frozenset({("retrain", "rejected"), ("retrain", "failed"), ("rollout", "rolled_back")})


def rejected(events: Iterable[Event]) -> int:
    """Count the candidates that were lost in a row, back to the last one that was promoted.

    A retrain that a person started begins the count anew: whoever looks into it is not held up.

    Parameters
    ----------
    events
        Of one model and the two kinds, oldest first.
    """
    lost = 0
    for event in events:
        outcome = (event.kind, event.payload.get("outcome"))
        if outcome in _LOST:
            lost += 1
        elif outcome == ("rollout", "promoted") or _by_a_person(event):
            lost = 0
    return lost


def _by_a_person(event: Event) -> bool:
    request = event.payload.get("request") or {}
    return (
        event.kind == "retrain"
        and event.payload.get("outcome") == "started"
        and request.get("reason") == MANUAL
    )
