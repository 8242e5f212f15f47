"""A numeric column of two profiles as two histograms on one axis that people can read.

The fine bins of the plan are made for statistics: hundreds of equal mass. Here they are spread over some tens
of equal width on a robust range, and what lies beyond the range is told instead of drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from monitors.profiles.plan import Floats
from monitors.profiles.profile import NumericColumn

_TAIL = 0.005
_WIDE, _SKEWED = 30, 8  # ends so many times apart, an upper half so many times wider: a logarithmic axis
_TALL = 4  # a bar that is so many times higher than every other is cut off
_ROOM = 1.25
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Shares of the finite values of each side; `edges` has one entry more than the others.

    Parameters
    ----------
    below, above
        Shares beyond the first and the last edge: reference, current.
    ceiling
        Height of the axis; bars beyond it are cut off.
    logarithmic
        Whether the edges are evenly spaced in logarithms.
    """

    edges: Floats
    reference: Floats
    current: Floats
    below: tuple[float, float]
    above: tuple[float, float]
    ceiling: float
    logarithmic: bool


def histogram(reference: NumericColumn, current: NumericColumn, bins: int) -> Histogram | None:
    """Return at most `bins` bars a side; None if neither side has a finite value."""
    if not reference.n and not current.n:
        return None
    sides = (reference, current)
    low, high, logarithmic = _range(sides)
    step = 1.0 if reference.plan.whole else 0.0
    logarithmic = logarithmic and not step
    edges = _edges(low, high, bins, step, logarithmic=logarithmic)
    # A value on an edge is in the bar to its right, and in the last bar on the last edge.
    probes = np.append(np.nextafter(edges[:-1], -np.inf), np.nextafter(edges[-1], np.inf))
    levels = [cumulative(side, probes) for side in sides]
    heights = [_shares(level) for level in levels]
    below = (float(levels[0][0]), float(levels[1][0]))
    above = tuple(float(1 - level[-1]) if side.n else 0.0 for side, level in zip(sides, levels, strict=True))
    before, now = heights
    return Histogram(edges, before, now, below, (above[0], above[1]), ceiling(heights), logarithmic)


def _shares(levels: Floats) -> Floats:
    steps = np.diff(levels)
    return np.where(steps > _ROUNDING, steps, 0.0)


def cumulative(column: NumericColumn, at: Floats) -> Floats:
    """Return the share of the finite values below each place, shape (places,); 0 if there are none.

    Values are taken as evenly spread over their bin, and as lying between the column's extremes.
    """
    if not column.n:
        return np.zeros(len(at))
    edges, levels = _steps(column)
    return np.interp(at, edges, levels, left=0.0, right=1.0)


def quantiles(column: NumericColumn, shares: Iterable[float]) -> list[float]:
    """Return the values below which the shares lie, within their fine bin; nothing if there are no values."""
    if not column.n:
        return []
    edges, levels = _steps(column)
    found: Floats = np.interp(list(shares), levels, edges)
    shown: list[float] = (np.rint(found) if column.plan.whole else found).tolist()
    return shown


def ceiling(heights: Iterable[Floats]) -> float:
    """Return the height of an axis: the highest bar, or a little above the second if the first dwarfs it."""
    highest = np.sort(np.max(np.stack(list(heights)), axis=0))[::-1]
    first, second = float(highest[0]), float(highest[1]) if len(highest) > 1 else 0.0
    return second * _ROOM if second and first > _TALL * second else first


def _steps(column: NumericColumn) -> tuple[Floats, Floats]:
    low, high = float(column.minimum or 0), float(column.maximum or 0)
    margin = 0.5 if column.plan.whole else 0.0
    with np.errstate(over="ignore"):  # bins may lie farther out than floats go
        edges = np.clip(column.plan.edges, low - margin, high + margin)
    return edges, np.concatenate([[0.0], np.cumsum(column.counts) / column.n])


def _range(sides: tuple[NumericColumn, NumericColumn]) -> tuple[float, float, bool]:
    """Return where 99 % of both sides lie, or all where that is not much wider; whether in logarithms."""
    ends = [quantiles(side, (_TAIL, 0.5, 1 - _TAIL)) for side in sides if side.n]
    low, high = min(end[0] for end in ends), max(end[2] for end in ends)
    least = min(float(side.minimum) for side in sides if side.minimum is not None)
    most = max(float(side.maximum) for side in sides if side.maximum is not None)
    if least > 0 and low > 0 and high > _WIDE * low and _skewed(ends[0]):
        return low, high, True
    width = high - low
    low = least if low - least <= width / 4 else low
    high = most if most - high <= width / 4 else high
    return (low, high, False) if high > low else (least, most, False)


def _skewed(ends: list[float]) -> bool:
    """Return whether the upper half is much wider than the lower one."""
    low, middle, high = ends
    return high - middle > _SKEWED * (middle - low)


def _edges(low: float, high: float, bins: int, step: float, *, logarithmic: bool) -> Floats:
    if logarithmic:
        return np.geomspace(low, high, bins + 1)
    if step and low - 0.5 < low:  # whole numbers: a bar holds as many of them as any other
        width = math.ceil((high - low + 1) / bins)
        count = math.ceil((high - low + 1) / width)
        return low - 0.5 + width * np.arange(count + 1, dtype=np.float64)
    if not high - low > bins * np.spacing(max(abs(low), abs(high))):  # floats cannot tell the values apart
        half = abs(low) / 2 or 0.5
        return np.array([low - half, low + half])
    with np.errstate(over="ignore"):
        return np.linspace(low, high, bins + 1)
