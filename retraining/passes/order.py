"""Which passes may follow one another."""

from __future__ import annotations

from retraining.passes import PASSES

_ORDER = tuple(PASSES)
_EXCLUSIVE = frozenset({"half", "quantize"})
_NEVER_AFTER = {
    "distil": frozenset({"prune_cost_complexity"}),  # a teacher should be as good as it can be
}


def following(done: tuple[str, ...], passes: tuple[str, ...]) -> tuple[str, ...]:
    """Return which passes may come after others: later in the order, and of use there."""
    first = max((_ORDER.index(name) + 1 for name in done), default=0)
    return tuple(
        name
        for name in _ORDER[first:]
        if name in passes
        and not (name in _EXCLUSIVE and _EXCLUSIVE & set(done))
        and not _NEVER_AFTER.get(name, frozenset()) & set(done)
    )


def chains(passes: tuple[str, ...], done: tuple[str, ...] = ()) -> int:
    """Return how many chains of passes there may be after others."""
    return sum(1 + chains(passes, (*done, name)) for name in following(done, passes))
