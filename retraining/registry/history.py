"""Who had the aliases `champion` and `challenger`, read back from events, which are only ever added to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from monitors.results.records import Event
from retraining.registry.records import Alias, Reign

KIND = "registry"
"""The kind of the events that changes of aliases are stored as."""
_FOLLOWED: tuple[Alias, ...] = ("champion", "challenger")


def reigns(events: Iterable[Event], now: Mapping[str, str]) -> tuple[Reign, ...]:
    """Return who had which alias, by the time of its beginning; those that nobody noted come last.

    Parameters
    ----------
    events
        Of one model and the kind `KIND`, the oldest first.
    now
        The aliases as the registry has them; where they differ from what was noted, somebody else has moved
        them: that reign has no start, and the one before it no known end.
    """
    ended: list[Reign] = []
    held: dict[Alias, Reign] = {}

    def end(alias: Alias, event: Event) -> None:
        if alias in held:
            ended.append(replace(held.pop(alias), end=event.at))

    def begin(alias: Alias, version: str, event: Event) -> None:
        if alias not in held or held[alias].version != version:
            end(alias, event)
            held[alias] = Reign(alias, version, event.at, approved=str(event.payload.get("approved", "")))

    for event in events:
        version, outcome = str(event.payload.get("version")), event.payload.get("outcome")
        if outcome == "published":
            begin("challenger", version, event)
        elif outcome == "promoted":
            begin("champion", version, event)
        if outcome in {"promoted", "rejected"} and _has(held, "challenger", version):
            end("challenger", event)
    found = sorted([*ended, *held.values()], key=lambda reign: (reign.start is None, reign.start))
    unknown = (
        Reign(alias, now[alias], None)
        for alias in _FOLLOWED
        if alias in now and not _has(held, alias, now[alias])
    )
    return (*found, *unknown)


def _has(held: Mapping[Alias, Reign], alias: Alias, version: str) -> bool:
    return alias in held and held[alias].version == version
