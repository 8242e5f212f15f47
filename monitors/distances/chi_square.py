"""The effect size that belongs to the χ² test of two samples."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from monitors.distances.counts import Floats, checked, shares


def chi_square(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Return Cramér's V of the 2 × bins table with both sides of equal weight, √(½ Σ (p - q)² / (p + q)).

    That is √(χ² / 2) of the table of shares; for sides of equal size it is √(χ² / (n + m)) of the table of
    counts, Cramér's V. With each side weighing the same it does not change with the ratio of the sizes
    either, which V of the counts does: a million rows against a hundred have a V near 0 however different
    they are.

    A metric without a unit; range [0, 1], 0 if and only if the shares are equal, 1 if no bin is shared.
    Merging bins never raises it. It does not depend on the order of the bins. A row in a bin that the
    reference never filled never lowers it. It is an effect, not a test: the p-value of the two actual sizes
    is in `monitors.laws`.

    Parameters
    ----------
    reference, current
        Counts of the same bins, shape (bins,).

    Raises
    ------
    DataError
        See `counts.checked`.

    References
    ----------
    Cramér (1946), Mathematical Methods of Statistics, section 21.9; Vincze (1981) and Le Cam (1986) for the
    distance of equal weights.
    """
    return float(chi_square_of_many(*checked(reference, current)))


def chi_square_of_many(reference: Floats, current: Floats) -> Floats:
    """Return the distance of many pairs of counts at once: shape (…, bins) to (…,)."""
    p, q = shares(reference), shares(current)
    both = p + q
    apart = np.divide((p - q) ** 2, both, out=np.zeros_like(both), where=both > 0)
    distance: Floats = np.sqrt(np.minimum(apart.sum(axis=-1) / 2, 1.0))
    return distance
