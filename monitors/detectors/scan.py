"""The levels of the default detector, which holds the last 1, 2, 4, 8, … windows against the reference.

`monitors.drift.lookback` says what each look is at, `monitors.drift.drift` what it finds.

The expected number of false alarms is the sum of the levels of all looks, whatever depends on whatever:
columns on one another, windows on one another, and all of them on the one finite reference. So the budget
is split over looks and holds by linearity of expectation. A product of the windows' evidence has no such
guarantee here: the error of the reference is the same in every window and is multiplied up until it
alarms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from spec.errors import DataError, Problem

_SINGLE = 0.5
"""Share of the error rate that the single window gets: the quickest alarm keeps most of its power."""


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
