"""The links of a lineage in their order, from what asked for the retrain to what became of the version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from monitors.results.records import Event
from retraining.lineage import links
from retraining.lineage.links import Link
from retraining.lineage.stage_records import StageRecords
from retraining.records import Choice, Rollout, Snapshot, Tuning, Validation
from retraining.registry import Rejection, Version

_RETRAINED, _TRIGGER = "retrain/", "trimtab.trigger."
_ADOPTED = {
    "alert": "nobody asked for it by an alert",
    "triage": "nothing had to be decided",
    "run": "no retrain made it",
    "snapshot": "its rows were given, not read and frozen",
    "trials": "whoever made it searched",
    "passes": "it is served as it was given",
    "gates": "nothing held it to a champion",
}
_MAKERS = {
    "snapshot": ("prepare",),
    "trials": ("tune",),
    "passes": ("train", "optimize"),
    "gates": ("validate",),
}
"""The stages that a link tells of."""


def chain(
    model: str, found: Version | Rejection, records: StageRecords, events: Sequence[Event]
) -> Iterator[Link]:
    """Yield the links; of what a retrain that was refused did not reach, that it did not."""
    run = run_of(found)
    if run is None:
        yield from (_adopted(name, why) for name, why in _ADOPTED.items())
    else:
        yield from _made(model, found, run, records, events)
    if isinstance(found, Version):
        yield links.rollout(found, events, records.get(Rollout))
    else:
        yield links.rejected(found)


def run_of(found: Version | Rejection) -> str | None:
    """Return the name of the retrain that made a version, or ended without one; None of an adopted model."""
    return found.source.removeprefix(_RETRAINED) if found.source.startswith(_RETRAINED) else None


def _made(
    model: str, found: Version | Rejection, run: str, records: StageRecords, events: Sequence[Event]
) -> Iterator[Link]:
    """Yield the links of a retrain but for the last; after what refused it, that they were not reached."""
    trigger = {
        key.removeprefix(_TRIGGER): value for key, value in found.tags.items() if key.startswith(_TRIGGER)
    }
    taken = records.get(Snapshot)
    yield links.alert(trigger)
    yield links.triage(trigger, taken, events)
    yield links.run(model, run, trigger, taken, events)
    told = {
        "snapshot": links.snapshot(taken),
        "trials": links.trials(records.get(Tuning)),
        "passes": links.passes(records.get(Choice)),
        "gates": links.gates(records.get(Validation)),
    }
    by = found.tags.get("trimtab.rejected_by", "") if isinstance(found, Rejection) else ""
    ended = False
    for name, link in told.items():
        if ended:
            yield Link(name, (f"Not reached: {by} ended the retrain.",))
        elif by in _MAKERS[name]:
            ended = True
            yield Link(name, (f"Refused by {by}: {found.tags['trimtab.verdict']}",), {"refused_by": by})
        else:
            yield link


def _adopted(name: str, why: str) -> Link:
    return Link(name, (f"None: the model was adopted, and {why}.",))
