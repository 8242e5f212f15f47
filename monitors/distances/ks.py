"""The Kolmogorov-Smirnov statistic."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from monitors.distances.counts import Flags, Floats, checked, shares


def ks(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Return the Kolmogorov-Smirnov statistic, max |F - G|, of the distribution functions at the bins' edges.

    Range [0, 1], 0 if the shares are equal, 1 if one side lies wholly below the other. It depends on the
    order of the bins and on nothing else: any change of unit that keeps the order keeps it. Never larger than
    the statistic of the values themselves, and smaller by no more than `ks_within`. One row among m moves it
    by less than 1 / m, however extreme its value.

    Parameters
    ----------
    reference, current
        Counts of the same bins in the order of the values, shape (bins,).

    Raises
    ------
    DataError
        See `counts.checked`.

    References
    ----------
    Smirnov (1939), On the estimation of the discrepancy between empirical curves of distribution; as
    ``scipy.stats.ks_2samp``.
    """
    return float(ks_of_many(*checked(reference, current)))


def ks_of_many(reference: Floats, current: Floats) -> Floats:
    """Return the statistic of many pairs of counts at once: shape (…, bins) to (…,)."""
    statistic: Floats = np.abs(np.cumsum(shares(reference) - shares(current), axis=-1)).max(axis=-1)
    return np.minimum(statistic, 1.0)


def ks_within(reference: npt.ArrayLike, current: npt.ArrayLike, atoms: Flags | None = None) -> float:
    """Return by how much the statistic of the values themselves may exceed that of the bins, at most.

    Inside a bin F - G is at most its value at the left edge and all of p, and G - F at most that and all of
    q; the bound is the largest of these less the statistic. It is never more than the largest share of any
    bin.

    Parameters
    ----------
    reference, current
        Counts, as of `ks`.
    atoms
        Bins that hold a single value, shape (bins,): inside them there is nothing between the edges.
    """
    return ks_measured(*checked(reference, current), atoms)[1]


def ks_measured(reference: Floats, current: Floats, atoms: Flags | None = None) -> tuple[float, float]:
    """Return the statistic and its bound, of counts that need no check."""
    p, q = shares(reference), shares(current)
    after = np.cumsum(p - q)
    before = after - p + q
    inside = np.maximum(before + p, q - before)
    if atoms is not None:
        inside = inside[~atoms]
    statistic = min(float(np.abs(after).max()), 1.0)
    return statistic, max(float(inside.max(initial=0.0)) - statistic, 0.0)
