"""The total variation distance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from monitors.distances.counts import Floats, checked, shares


def total_variation(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Return the total variation distance, ½ Σ |p - q|: the share of rows that would have to move.

    A metric; range [0, 1], 0 if and only if the shares are equal, 1 if no bin is shared. Merging bins never
    raises it. It does not depend on the order of the bins. A row in a bin that the reference never filled
    never lowers it.

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
    Levin, Peres and Wilmer (2009), Markov Chains and Mixing Times, proposition 4.2.
    """
    return float(total_variation_of_many(*checked(reference, current)))


def total_variation_of_many(reference: Floats, current: Floats) -> Floats:
    """Return the distance of many pairs of counts at once: shape (…, bins) to (…,)."""
    distance: Floats = np.abs(shares(reference) - shares(current)).sum(axis=-1) / 2
    return np.minimum(distance, 1.0)  # 1 + 1e-16 for sides that share nothing
