"""What became of the candidates before: read from the events of the results store."""

from __future__ import annotations

from collections.abc import Iterable

from monitors.results.records import Event

KINDS = ("retrain", "rollout")
MANUAL = "manual"
_LOST = frozenset({("retrain", "rejected"), ("retrain", "failed"), ("rollout", "rolled_back")})


def rejected(events: Iterable[Event]) -> int:
    """Count the candidates that were lost in a row, back to the last one that was promoted.

    A run counts once, however often its tasks were tried, and as it ended last. A retrain that a person
    started begins the count anew: whoever looks into it is not held up.

    Parameters
    ----------
    events
        Of one model and the two kinds, oldest first.
    """
    lost: set[str | int] = set()
    for number, event in enumerate(events):
        outcome = (event.kind, event.payload.get("outcome"))
        run = event.payload.get("run", number)  # events of older versions do not name their run
        if outcome in _LOST:
            lost.add(run)
        elif outcome == ("retrain", "accepted"):
            lost.discard(run)
        elif outcome == ("rollout", "promoted") or _by_a_person(event):
            lost.clear()
    return len(lost)


def _by_a_person(event: Event) -> bool:
    request = event.payload.get("request") or {}
    return (
        event.kind == "retrain"
        and event.payload.get("outcome") == "started"
        and request.get("reason") == MANUAL
    )
