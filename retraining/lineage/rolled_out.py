"""What became of a version in its rollout, as sentences: its events, and each verdict gate by gate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from monitors.results.records import Event
from retraining.records import Rollout, StepVerdict
from retraining.registry import Version


def story(found: Version, events: Sequence[Event], kept: Rollout | None) -> tuple[str, ...]:
    """Return the sentences, by time; a verdict's headline is followed by an indented line a gate.

    Parameters
    ----------
    events
        Those of rollouts that are about the version.
    kept
        What the registry keeps with the version; it tells the verdicts also where their events are gone.
    """
    waiting = list(kept.steps) if kept else []
    told: list[str] = []
    for event in events:
        mine = _matching(event, waiting)
        if mine is not None:
            waiting.remove(mine)
        told += _event(event, mine)
    for verdict in waiting:
        told += _indented(verdict.told, _at(verdict))
    return (*told, *_end(found, told_by_judge=kept is not None)) or (
        f"None yet: the version is {found.status}.",
    )


def is_about(event: Event, version: str) -> bool:
    """Return whether an event of a rollout is about a version."""
    verdict = event.payload.get("verdict") or {}
    named = event.payload.get("version") or event.payload.get("challenger") or verdict.get("challenger")
    return str(named) == version


def _matching(event: Event, kept: Sequence[StepVerdict]) -> StepVerdict | None:
    said = event.payload.get("verdict")
    return next((one for one in kept if said and one.verdict == said), None)


def _event(event: Event, verdict: StepVerdict | None) -> Iterator[str]:
    """Yield an event; of a step its text is the verdict, of a roll-back it is one line."""
    lines = event.text.splitlines()
    if event.payload.get("outcome") != "step" and verdict is not None:
        lines = [lines[0], *verdict.told]
    yield from _indented(lines, f"{event.at:%Y-%m-%d %H:%M} ")


def _at(verdict: StepVerdict) -> str:
    at = (verdict.verdict or {}).get("at")
    return f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M} " if at else ""


def _indented(lines: Sequence[str], prefix: str) -> Iterator[str]:
    yield f"{prefix}{lines[0]}"
    yield from (f"  {line}" for line in lines[1:])


def _end(found: Version, *, told_by_judge: bool) -> Iterator[str]:
    tags = {name.removeprefix("trimtab."): text for name, text in found.tags.items()}
    if promoted := tags.get("promoted_at"):
        instead = f" in place of version {tags['replaced']}" if tags.get("replaced") else ""
        by, because = tags.get("approved_by", ""), tags.get("approved_because", "")
        approved = f", approved by {by}{because and f' ({because})'}" if by else ""
        yield f"Champion since {promoted}{instead}{approved}; its status is {found.status}."
    elif verdict := tags.get("verdict"):
        told = "see the verdict above" if told_by_judge else verdict
        yield f"Rejected at {tags.get('rejected_at', 'an unknown time')}: {told}"
