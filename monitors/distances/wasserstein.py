"""The Wasserstein distance in units of the reference's deviation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitors.distances.counts import Flags, Floats, checked
from monitors.distances.pieces import Piece, area
from spec import DataError, Problem

Ends = tuple[float, float]
"""One value of the reference, one of the current side."""
_FARTHEST = 1e290
"""No bin counts as wider than this many deviations: sums and products stay finite."""


def wasserstein(
    reference: npt.ArrayLike,
    current: npt.ArrayLike,
    edges: npt.ArrayLike,
    scale: float,
    low: float | Ends,
    high: float | Ends,
    atoms: Flags | None = None,
) -> float:
    """Return the normed Wasserstein distance, ∫ |F - G| dx / scale, in deviations of the reference.

    F and G are the distribution functions: known exactly at the bins' edges, taken as straight lines between
    them, and the integral of the straight lines is exact. The outermost rows of each side lie at its minimum
    and maximum where these are given. `wasserstein_measured` says how far the distance of the values may be.

    Symmetric for a given scale; range [0, ∞), 0 if the shares and the ends are equal, larger with drift: a
    shift of everything by one deviation has distance 1. A change of unit (of edges, scale, low and high
    together) keeps it. One extreme row among m raises it by its distance over m deviations; `scale` should be
    robust then, as the plan's winsorized one is.

    Parameters
    ----------
    reference, current
        Counts of the same bins in the order of the values, shape (bins,).
    edges
        Shape (bins + 1,), not decreasing; the outer ones may be infinite.
    scale
        Above 0, in the unit of the edges.
    low, high
        Smallest and largest value: (reference, current), each known to be a row of its side; or one for both.
    atoms
        Bins that hold a single value, in their middle; shape (bins,).

    Raises
    ------
    DataError
        See `counts.checked`; or the scale is not above 0: a constant reference has no unit to measure in.

    References
    ----------
    Vallender (1974), Calculation of the Wasserstein distance between probability distributions on the line;
    as ``scipy.stats.wasserstein_distance`` over the reference's deviation, which is Evidently's.
    """
    return wasserstein_measured(reference, current, edges, scale, low, high, atoms)[0]


def wasserstein_measured(
    reference: npt.ArrayLike,
    current: npt.ArrayLike,
    edges: npt.ArrayLike,
    scale: float,
    low: float | Ends,
    high: float | Ends,
    atoms: Flags | None = None,
) -> tuple[float, float]:
    """Return the distance, and by how much that of the values themselves may differ from it, at most.

    In a bin of width w a distribution function that gains p differs from the straight line by an area of at
    most pw/2: it is a mixture of steps, of which one at an edge is the farthest from the line. Both sides'
    areas over all bins bound the difference of the distances, by the triangle inequality. A bin of a single
    value adds nothing, nor do a side's smallest and largest row.

    Parameters and errors are those of `wasserstein`.
    """
    if not 0 < scale < np.inf:
        must = "must be above 0 and finite: it is the unit of the distance"
        raise DataError([Problem("scale", must, f"{scale}")])
    lows, highs = (end if isinstance(end, tuple) else (end, end) for end in (low, high))
    known = isinstance(low, tuple), isinstance(high, tuple)
    sides = zip(checked(reference, current), lows, highs, strict=True)
    ours, theirs = (_Side.of(counts, least, most, known) for counts, least, most in sides)
    edges = np.asarray(edges, dtype=np.float64)
    closed = np.clip(edges, min(lows), max(highs))
    with np.errstate(over="ignore"):
        widths = np.minimum(np.diff(closed) / scale, _FARTHEST)
    after = np.cumsum(ours.mass - theirs.mass)
    before = after - ours.mass + theirs.mass
    areas = widths * _heights(before, after, atoms)
    doubts = widths * (ours.mass + theirs.mass) / 2
    if atoms is not None:
        doubts[atoms] = 0.0
    for index in {ours.first, ours.last, theirs.first, theirs.last}:
        middle = None if atoms is None or not atoms[index] else float(edges[index] / 2 + edges[index + 1] / 2)
        left, width = float(closed[index]), float(widths[index])
        pieces = [side.piece(index, left, width, scale, middle) for side in (ours, theirs)]
        areas[index] = area(width, float(before[index]), *pieces)
        doubts[index] = pieces[0].doubt + pieces[1].doubt
    return float(areas.sum()), float(doubts.sum())


@dataclass(frozen=True, slots=True)
class _Side:
    """One side's shares; the bins where they begin and end, and what is known to lie at the very ends."""

    mass: Floats
    at_low: float
    at_high: float
    low: float
    high: float
    first: int
    last: int

    @classmethod
    def of(cls, counts: Floats, low: float, high: float, known: tuple[bool, bool]) -> _Side:
        filled = counts.nonzero()[0]
        size = float(counts.sum())
        at_low, at_high = (1 / size if row else 0.0 for row in known)
        return cls(counts / size, at_low, at_high, float(low), float(high), int(filled[0]), int(filled[-1]))

    def piece(self, index: int, left: float, width: float, scale: float, middle: float | None) -> Piece:
        """Return what the side does in a bin, in units of the scale from the bin's left edge."""
        spread = float(self.mass[index])
        first = min(self.at_low, spread) if index == self.first else 0.0
        last = min(self.at_high, spread - first) if index == self.last else 0.0
        low = self.low if index == self.first else left
        begin = min(max(((low if middle is None else middle) - left) / scale, 0.0), width)
        end = begin
        if middle is None:
            end = max(min((self.high - left) / scale, width), begin) if index == self.last else width
        return Piece(begin, end, first, spread - first - last, last)


def _heights(before: Floats, after: Floats, atoms: Flags | None) -> Floats:
    """Return the mean of |F - G| in each bin: along a straight line or, in an atom, a step in the middle."""
    left, right = np.abs(before), np.abs(after)
    mean = (left + right) / 2
    crossing = before * after < 0
    if atoms is not None:
        crossing &= ~atoms
    mean[crossing] -= left[crossing] * right[crossing] / (2 * mean[crossing])
    return mean
