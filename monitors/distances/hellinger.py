"""The Hellinger distance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from monitors.distances.counts import Floats, checked, shares


def hellinger(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Return the Hellinger distance, √(½ Σ (√p - √q)²) = √(1 - Σ √(pq)), without a unit.

    A metric; range [0, 1], 0 if and only if the shares are equal, 1 if no bin is shared. Merging bins never
    raises it. It does not depend on the order of the bins. A row in a bin that the reference never filled
    never lowers it.

    Parameters
    ----------
    reference, current
        Counts of the same bins, shape (bins,); zeros need no smoothing.

    Raises
    ------
    DataError
        See `counts.checked`.

    References
    ----------
    Le Cam and Yang (2000), Asymptotics in Statistics: Some Basic Concepts.
    """
    return float(hellinger_of_many(*checked(reference, current)))


def hellinger_of_many(reference: Floats, current: Floats) -> Floats:
    """Return the distance of many pairs of counts at once: shape (…, bins) to (…,)."""
    apart = np.sqrt(shares(reference)) - np.sqrt(shares(current))
    distance: Floats = np.sqrt(np.minimum((apart * apart).sum(axis=-1) / 2, 1.0))
    return distance
