"""The Wasserstein distance in units of the reference's deviation."""

from __future__ import annotations

from typing import NamedTuple

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
    sides = checked(reference, current)
    known = isinstance(low, tuple) and isinstance(high, tuple)
    return histograms_apart(
        *sides, np.asarray(edges, dtype=np.float64), scale, (lows, highs), atoms, known=known
    )


def histograms_apart(
    reference: Floats,
    current: Floats,
    edges: Floats,
    scale: float,
    reach: tuple[Ends, Ends],
    atoms: Flags | None = None,
    *,
    known: bool = True,
) -> tuple[float, float]:
    """Return what `wasserstein_measured` does, of counts and a scale that need no check.

    Parameters
    ----------
    reach
        The smallest values of both sides, and the largest.
    known
        Whether these are rows of their sides.
    """
    (ours, theirs), (lows, highs) = _sides(reference, current, reach, known=known), reach
    closed = np.clip(edges, min(lows), max(highs))
    with np.errstate(over="ignore"):
        widths = np.minimum((closed[1:] - closed[:-1]) / scale, _FARTHEST)
    heights = np.zeros(len(edges))
    np.cumsum(ours.mass - theirs.mass, out=heights[1:])
    means = _means(heights, atoms)
    loose = ours.mass + theirs.mass
    if atoms is not None:
        loose[atoms] = 0.0
    distance = within = 0.0
    for index in {ours.first, ours.last, theirs.first, theirs.last}:
        middle = None if atoms is None or not atoms[index] else float(edges[index] / 2 + edges[index + 1] / 2)
        left, width = float(closed[index]), float(widths[index])
        pieces = [side.piece(index, left, width, scale, middle) for side in (ours, theirs)]
        distance += area(width, float(heights[index]), *pieces)
        within += pieces[0].doubt + pieces[1].doubt
        means[index] = loose[index] = 0.0
    return distance + float(widths @ means), within + float(widths @ loose) / 2


def _sides(reference: Floats, current: Floats, reach: tuple[Ends, Ends], *, known: bool) -> list[_Side]:
    sides = zip((reference, current), *reach, strict=True)
    return [_Side.of(counts, low, high, known=known) for counts, low, high in sides]


class _Side(NamedTuple):
    """One side's shares; the bins where they begin and end, and a `row` known to lie at either end."""

    mass: Floats
    row: float
    low: float
    high: float
    first: int
    last: int

    @classmethod
    def of(cls, counts: Floats, low: float, high: float, *, known: bool) -> _Side:
        filled = counts.nonzero()[0]
        size = float(counts.sum())
        row = 1 / size if known else 0.0
        return cls(counts / size, row, float(low), float(high), int(filled[0]), int(filled[-1]))

    def piece(self, index: int, left: float, width: float, scale: float, middle: float | None) -> Piece:
        """Return what the side does in a bin, in units of the scale from the bin's left edge."""
        spread = float(self.mass[index])
        first = min(self.row, spread) if index == self.first else 0.0
        last = min(self.row, spread - first) if index == self.last else 0.0
        low = self.low if index == self.first else left
        begin = min(max(((low if middle is None else middle) - left) / scale, 0.0), width)
        end = begin
        if middle is None:
            end = max(min((self.high - left) / scale, width), begin) if index == self.last else width
        return Piece(begin, end, first, spread - first - last, last)


def _means(heights: Floats, atoms: Flags | None) -> Floats:
    """Return the mean of |F - G| in each bin: along a straight line or, in an atom, a step in the middle."""
    size = np.abs(heights)
    means: Floats = (size[:-1] + size[1:]) / 2
    crossing = heights[:-1] * heights[1:] < 0
    if atoms is not None:
        crossing &= ~atoms
    places = crossing.nonzero()[0]
    if len(places):
        means[places] -= size[places] * size[places + 1] / (2 * means[places])
    return means
