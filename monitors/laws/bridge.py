"""The law of the two-sample Wasserstein distance: a norm of the Brownian bridge of the pooled profile.

√(nm/(n+m))·W depends, under H₀, on the pooled shape alone: it tends to ∫ |B(F(x))| dx for a Brownian
bridge B. Two facts make its p-value cheap and right at 1e-8, where no simulation reaches:

* the draws of |B| are common to all columns: a column costs one product of a matrix with its bin widths;
* the covariance of B is positive, so that of all ways to be large the likeliest is a shift of the mean. Hence
  P(∫|B| ≥ t) = C(t)·2Φ̄(t/s) with s the pooled standard deviation and C(t) ≥ 1 nearly constant: C is taken
  where the draws are plenty and held beyond.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, ndtr

from monitors.laws.saddlepoint import two_sided_tail
from monitors.laws.tables import TINIEST, Array, Table
from monitors.laws.tilted_draws import wasserstein_tail
from spec.errors import DataError, Problem

_DRAWS = 4_096
_SEED = 20_260_102
_BODY = 0.05
"""Down to this probability the draws decide; the tail's constant is taken there."""
_FAR = 0.1
"""Below this the largest single rows are weighed too."""
_DRAWN, _SURE = 0.01, 1e-12
"""Between these, samples in which so large a distance is common are drawn; surer ones no factor changes."""
_FAR_ROW = 0.3
"""Chance deviations of a mean that one row must move it by for its tail not to be normal."""


def p_value(
    counts: Table, edges: npt.ArrayLike, low: float | None = None, high: float | None = None
) -> float:
    """Return P(W ≥ the observed) when both rows of counts come from one law.

    W = ∫ |F − G| over positions that stand for the bins: their midpoints, and for an open bin at the end
    the midpoint between its finite edge and `low` or `high`. The scale of W cancels. Where p < 0.1, the
    p-value is at least the saddlepoint tail of the mean of the observed optimal potential and of its mirror
    image (`saddlepoint`): the bridge is normal, and one extreme row among few is not. No p-value is thus made
    of one row. Where p < 0.01 and single rows matter, samples as far apart are drawn too (`tilted_draws`).
    Nor is it less than one in all orders of the rows, which three rows a side have 20 of.

    Parameters
    ----------
    counts
        Shape (bins,) each.
    edges
        Shape (bins + 1,), not decreasing; the first may be −inf and the last +inf. In the column's unit.
    low, high
        Smallest and largest value of both samples together; None puts an open bin's rows half a neighbour's
        width beyond its finite edge.

    Returns
    -------
    In (0, 1]: 1 for equal shares and for a constant column. Error about 10 % of p down to 1e-5; a fifth of
    it where samples are drawn, which 20 to 40 ms of 500 bins are spent on.

    Raises
    ------
    DataError
        Edges that decrease or do not fit the counts.

    References
    ----------
    del Barrio, Giné and Matrán (1999), Annals of Probability 27; Marcus and Shepp (1972) on the tail.
    """
    where = positions(np.asarray(edges, dtype=float), len(counts.reference), low, high)
    # Beyond the rows a sum that is 1 but for rounding would meet gaps of any width.
    where, counts = where[counts.reference + counts.current > 0], counts.occupied()
    gaps = np.diff(where)
    moved = (np.cumsum(counts.reference) / counts.n - np.cumsum(counts.current) / counts.m)[:-1]
    distance = float(np.abs(moved) @ gaps)
    root = math.sqrt(counts.n * counts.m / (counts.n + counts.m))
    p = norm_tail(root * distance, np.cumsum(counts.pooled)[:-1], gaps)
    if p < _FAR:
        potential = np.concatenate(([0.0], np.cumsum(np.sign(moved) * gaps)))
        p = max(p, min(_FAR, two_sided_tail(potential, counts)), _least(counts))
        if _SURE < p < _DRAWN and _rows_matter(where, counts):
            p = max(p, min(_DRAWN, wasserstein_tail(distance, where, potential, counts)))
    return min(1.0, max(TINIEST, p))


def _rows_matter(where: Array, counts: Table) -> bool:
    """Say whether the farthest row alone moves the mean by a part of its chance deviation."""
    deviation = math.sqrt(max(0.0, float(counts.pooled @ (where - counts.pooled @ where) ** 2)))
    return float(np.ptp(where)) > _FAR_ROW * deviation * math.sqrt(min(counts.n, counts.m))


def _least(counts: Table) -> float:
    """Return the probability of one order of all rows: no test of exchangeable rows knows a smaller one."""
    n, m = round(counts.n), round(counts.m)
    return math.exp(min(0.0, math.log1p(n + m) + float(betaln(n + 1, m + 1))))


def norm_tail(size: float, levels: Array, gaps: Array) -> float:
    """Return P(Σ_b |B(levels_b)|·gaps_b ≥ size) for a Brownian bridge B.

    Parameters
    ----------
    size
        ≥ 0, in the unit of `gaps`.
    levels
        Shape (k,), in [0, 1], ascending: the pooled distribution function at the inner borders.
    gaps
        Shape (k,), ≥ 0: the distance between the positions on both sides of each border.

    Returns
    -------
    In (0, 1]; 1 where nothing can vary.
    """
    grid, bridges = _bridges()
    draws = bridges @ _onto(grid, np.clip(levels, 0.0, 1.0), gaps)
    spread = _deviation(levels, gaps)
    if spread <= 0 or size <= 0:
        return 1.0
    border = float(np.partition(draws, -int(_BODY * _DRAWS))[-int(_BODY * _DRAWS)])
    if size <= border:
        return float((1 + np.count_nonzero(draws >= size)) / (1 + _DRAWS))
    constant = max(1.0, _BODY / _two_sided(border / spread))
    return min(_BODY, constant * _two_sided(size / spread))


def positions(edges: Array, bins: int, low: float | None = None, high: float | None = None) -> Array:
    """Return a value that stands for each bin, shape (bins,), ascending, in some unit."""
    if edges.shape != (bins + 1,) or not (edges[1:] >= edges[:-1]).all():
        found = f"shape {edges.shape} for {bins} bins"
        raise DataError([Problem("edges", "must not decrease and be one more than the bins", found)])
    ends = [end for end in (low, high) if end is not None]
    inner = np.concatenate((edges[np.isfinite(edges)], ends))
    # The unit cancels in the p-value; within [-1, 1] no difference of two positions overflows.
    unit = float(np.abs(inner).max(initial=0.0)) or 1.0
    closed = edges / unit
    inner = closed[np.isfinite(closed)]
    if not len(inner):
        return np.zeros(bins)
    widths = np.diff(inner) if len(inner) > 1 else np.ones(1)
    if not np.isfinite(closed[0]):
        closed[0] = inner[0] - widths[0] if low is None else min(low / unit, inner[0])
    if not np.isfinite(closed[-1]):
        closed[-1] = inner[-1] + widths[-1] if high is None else max(high / unit, inner[-1])
    return np.asarray((closed[:-1] + closed[1:]) / 2)


@cache
def _bridges() -> tuple[Array, npt.NDArray[np.float32]]:
    """Return points of (0, 1), denser at both ends, and |B| there, shape (draws, points)."""
    ends = 0.005 * 2.0 ** (-np.arange(1, 31) / 2)
    grid = np.concatenate((ends[::-1], np.arange(1, 200) / 200, 1 - ends))
    steps = np.sqrt(np.diff(np.concatenate(([0.0], grid, [1.0]))))
    walk = np.cumsum(np.random.default_rng(_SEED).standard_normal((_DRAWS, len(steps))) * steps, axis=1)
    return grid, np.abs(walk[:, :-1] - grid * walk[:, -1:]).astype(np.float32)


def _onto(grid: Array, levels: Array, gaps: Array) -> npt.NDArray[np.float32]:
    """Share each gap between the grid points next to its level; beyond the ends |B| shrinks as √t."""
    right = np.clip(np.searchsorted(grid, levels), 1, len(grid) - 1)
    inside = np.clip(levels, grid[0], grid[-1])
    part = (inside - grid[right - 1]) / (grid[right] - grid[right - 1])
    shrunk = gaps * np.sqrt(np.minimum(1.0, np.minimum(levels, 1 - levels) / grid[0]))
    weights = np.bincount(right, shrunk * part, len(grid)) + np.bincount(
        right - 1, shrunk * (1 - part), len(grid)
    )
    return weights.astype(np.float32)


def _deviation(levels: Array, gaps: Array) -> float:
    """Return the pooled standard deviation of the positions."""
    shares = np.diff(np.concatenate(([0.0], levels, [1.0])))
    values = np.concatenate(([0.0], np.cumsum(gaps)))
    return math.sqrt(max(0.0, float(shares @ (values - shares @ values) ** 2)))


def _two_sided(z: float) -> float:
    return 2 * float(ndtr(-z))
