"""The default detector: the last 1, 2, 4, 8, … windows against the reference, at a false-alarm budget.

The expected number of false alarms is the sum of the levels of all looks, whatever depends on whatever:
columns on one another, windows on one another, and all of them on the one finite reference. So the budget
is split over looks and holds by linearity of expectation. A product of the windows' evidence has no such
guarantee here: the error of the reference is the same in every window and is multiplied up until it
alarms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Generic, Protocol, Self, TypeVar

from monitors.finding import NoData
from spec.errors import DataError, Problem

_SINGLE = 0.5
"""Share of the error rate that the single window gets: the quickest alarm keeps most of its power."""


class Addable(Protocol):
    """What windows are made of: profiles, or arrays of counts."""

    def __add__(self, other: Self, /) -> Self:
        """Return both windows together."""
        ...


T = TypeVar("T", bound=Addable)


@dataclass(frozen=True, slots=True)
class Budget:
    """How many false alarms are accepted in expectation.

    Parameters
    ----------
    false_alarms
        More than 0; 1 with `per` a year is "one a year".
    per
        More than nothing.
    """

    false_alarms: float
    per: timedelta

    def __post_init__(self) -> None:
        problems = []
        if not (math.isfinite(self.false_alarms) and self.false_alarms > 0):
            problems.append(Problem("false_alarms", "must be above 0 and finite", str(self.false_alarms)))
        if self.per <= timedelta(0):
            problems.append(Problem("per", "must be longer than nothing", str(self.per)))
        if problems:
            raise DataError(problems)

    def of(self, window: timedelta) -> float:
        """Return the expected number of false alarms that one window may cause."""
        return self.false_alarms * (window / self.per)


@dataclass(frozen=True, slots=True)
class Scale:
    """One length of looking back.

    Parameters
    ----------
    length
        Windows looked at together: 1, 2, 4, …
    every
        A look is taken each time this many windows have closed: 1 for the single window, else length/2.
    level
        A column's p-value must be at most this, in (0, 1].
    """

    length: int
    every: int
    level: float


def levels(budget: Budget, window: timedelta, columns: int, longest: int) -> tuple[Scale, ...]:
    """Return the dyadic scales up to `longest` windows, with the level of each look at each column.

    Of the error rate of a window, budget·window, half goes to the single window and the rest in equal
    parts to the longer scales (all of it to the single window if there is no longer one). Length L is
    looked at every L/2 windows, so a look may spend L/2 windows' worth: Σ over scales of
    columns·level/every = budget·window.

    A longer memory makes every scale stricter by a little (log log in the p-value) and finds a shift √longest
    times smaller.

    Parameters
    ----------
    budget
        False alarms accepted, over all columns and scales together.
    window
        Length of one window; its event time, not how often the job runs.
    columns
        p-values at each look, ≥ 1.
    longest
        Longest lookback in windows, ≥ 1; cut down to a power of 2.

    Raises
    ------
    DataError
        A window that is not positive, or fewer than 1 columns or windows. All problems at once.

    Examples
    --------
    >>> year, hour = timedelta(days=365), timedelta(hours=1)
    >>> [(s.length, s.every, f"{s.level:.1e}") for s in levels(Budget(1, year), hour, columns=50, longest=8)]
    [(1, 1, '1.1e-06'), (2, 1, '3.8e-07'), (4, 2, '7.6e-07'), (8, 4, '1.5e-06')]
    """
    problems = [
        Problem(name, "must be at least 1", str(value))
        for name, value in (("columns", columns), ("longest", longest))
        if value < 1
    ]
    if window <= timedelta(0):
        problems.append(Problem("window", "must be longer than nothing", str(window)))
    if problems:
        raise DataError(problems)
    longer = longest.bit_length() - 1
    rate = budget.of(window) / columns
    weights = [_SINGLE if longer else 1.0, *((1 - _SINGLE) / longer for _ in range(longer))]
    every = [1, *(2 ** (j - 1) for j in range(1, longer + 1))]
    return tuple(
        Scale(2**j, step, min(1.0, rate * weight * step))
        for j, (step, weight) in enumerate(zip(every, weights, strict=True))
    )


@dataclass(frozen=True)  # without slots: Python cannot set them on Generic[T]()
class Block(Generic[T]):
    """Windows next to one another, added up; `content` is None if none of them had rows."""

    start: datetime
    end: datetime
    content: T | None

    def joined(self, later: Block[T]) -> Block[T]:
        """Return this block and the next as one."""
        if self.content is None or later.content is None:
            return Block(self.start, later.end, later.content if self.content is None else self.content)
        return Block(self.start, later.end, self.content + later.content)


@dataclass(frozen=True)
class Look(Generic[T]):
    """A lookback that is due: what to compare with the reference, and the scale to judge it by."""

    scale: Scale
    block: Block[T]


@dataclass(frozen=True)
class Memory(Generic[T]):
    """All that the scan keeps: of each length 1, 2, 4, … the last block and the one before it.

    Two blocks a scale, whatever the number of windows seen; picklable if `T` is. Immutable: what happened
    before a crash can be done again from the last stored one.

    Parameters
    ----------
    seen
        Windows so far.
    blocks
        For length 2^i at place i: (the last but one, the last), None where there is none yet.
    """

    seen: int = 0
    blocks: tuple[tuple[Block[T] | None, Block[T] | None], ...] = ()

    def closed(self, window: Block[T], scales: Sequence[Scale]) -> tuple[Memory[T], tuple[Look[T], ...]]:
        """Return the memory after one more window, and the looks that are due, the shortest first.

        Windows come in order of time and none is left out: one without rows comes with content None.
        Blocks of length 2^i close when a multiple of 2^i windows has been seen; a look at length 2^j is
        at the last two blocks of half its length. Merging costs two additions a window on average and a
        scale more at most.
        """
        seen = self.seen + 1
        kept = list(self.blocks) + [(None, None)] * (max(1, len(scales) - 1) - len(self.blocks))
        looks = [Look(scales[0], window)]
        block: Block[T] | None = window
        for i in range(len(kept)):
            if block is None or seen % 2**i:
                break
            kept[i] = (kept[i][1], block)
            before = kept[i][0]
            both = before.joined(block) if before is not None else None
            if both is not None and i + 1 < len(scales):
                looks.append(Look(scales[i + 1], both))
            block = both
        return replace(self, seen=seen, blocks=tuple(kept)), tuple(looks)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a comparison says of one column: the effect, and how likely it is when nothing moved."""

    effect: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Alarm:
    """A column that has moved.

    Parameters
    ----------
    column
        Its name.
    length
        Windows of the lookback with the strongest evidence.
    since, until
        That lookback, [since, until): `since` estimates the onset, early by up to half the length.
    effect, p_value, level
        The effect there, its p-value, and the level that it had to reach.
    """

    column: str
    length: int
    since: datetime
    until: datetime
    effect: float
    p_value: float
    level: float


Compare = Callable[[T], Mapping[str, Evidence | NoData]]
"""From the merged content of a lookback to the evidence of each column."""


def judge(looks: Sequence[Look[T]], compare: Compare[T], threshold: float = 0.0) -> tuple[Alarm, ...]:
    """Compare each lookback with the reference and return the columns that alarm, the strongest first.

    A column alarms on a lookback when its effect is at least `threshold` **and** p ≤ level. Of several
    lookbacks that alarm the one with the smallest p-value is told: it holds most of what has changed and
    least of what came before. A lookback without rows, and a column without data, never alarm.

    Nothing is reset: what has moved keeps alarming until it moves back or the reference changes. The
    budget counts every such alarm, also of one episode.

    Parameters
    ----------
    looks
        From `Memory.closed`.
    compare
        Must use the lookback's own number of rows; its p-values are valid one by one, in any dependence.
    threshold
        Effect that matters in practice, in the effect's own unit.
    """
    found: dict[str, Alarm] = {}
    for look in looks:
        if look.block.content is None:
            continue
        for column, evidence in compare(look.block.content).items():
            if isinstance(evidence, NoData) or not _reached(evidence, look.scale, threshold):
                continue
            alarm = Alarm(
                column,
                look.scale.length,
                look.block.start,
                look.block.end,
                evidence.effect,
                evidence.p_value,
                look.scale.level,
            )
            best = found.get(column)
            if best is None or alarm.p_value < best.p_value:
                found[column] = alarm
    return tuple(sorted(found.values(), key=lambda alarm: (alarm.p_value, alarm.column)))


def _reached(evidence: Evidence, scale: Scale, threshold: float) -> bool:
    return evidence.effect >= threshold and evidence.p_value <= scale.level
