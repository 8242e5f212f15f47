"""What is under way with a model, by the events of the results store. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dags.ending import SUPERSEDED, TAKEN_BACK
from monitors.results.records import Event
from spec.experiment import Experiment

if TYPE_CHECKING:
    from rollout.split import Split

KINDS = ("experiment", "rollout", "retrain")
"""Kinds of what takes a while, those that have traffic first."""
_ENDS = {
    "retrain": frozenset({"accepted", "rejected", "failed"}),
    "rollout": frozenset({"promoted", "rolled_back", "forced", SUPERSEDED, TAKEN_BACK}),
    "experiment": frozenset({"ended"}),
}


def unfinished(events: Sequence[Event], kind: str) -> Event | None:
    """Return the event that began what has not ended.

    Parameters
    ----------
    events
        Of one model, oldest first.
    kind
        One of `KINDS`.
    """
    for event in reversed(events):
        if event.kind == kind and event.payload.get("outcome") in _ENDS[kind]:
            return None
        if event.kind == kind and event.payload.get("outcome") == "started":
            return event
    return None


def told(events: Sequence[Event], split: Split | None) -> tuple[str, ...]:
    """Say in a line each what is under way, and whether the traffic says the same.

    Parameters
    ----------
    events
        Of one model and of `KINDS`, oldest first.
    split
        None where it is not known.
    """
    began = [event for kind in KINDS if (event := unfinished(events, kind)) is not None]
    lines = [_line(event, split) for event in began]
    divided = split is not None and not split.settled
    if divided and not any(event.kind != "retrain" for event in began):
        lines.append(f"the traffic is divided, and no rollout or experiment is known{_lease(split)}")
    return tuple(lines)


def _line(event: Event, split: Split | None) -> str:
    since = f"since {_at(event.at)}"
    if event.kind == "retrain":
        return f"retrain {since}: {event.text}"
    version = f"{event.kind} of version {event.payload.get('version')} {since}"
    by = f", asked for by {event.payload['asked_by']}" if event.payload.get("asked_by") else ""
    if event.kind == "experiment":
        terms = Experiment.model_validate(event.payload["terms"])
        version += f", held at {terms.share:.0%} until {_at(event.at + terms.lasts)} at the latest"
    return f"{version}{by}; {_traffic(event.kind, split)}"


def _traffic(kind: str, split: Split | None) -> str:
    if split is None:
        return "its traffic is not known"
    if not split.settled:
        return f"traffic now: {split}{_lease(split)}"
    if kind == "experiment":
        return "all traffic is the champion's: it has only just begun, or it ends"
    return "it has no traffic: it waits for a yes (Airflow, Required Actions), has only just begun, or ends"


def _lease(split: Split | None) -> str:
    if split is None or split.lease_until is None:
        return ""
    return f"; lease until {split.lease_until.astimezone(UTC):%H:%M:%S} UTC"


def _at(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"
