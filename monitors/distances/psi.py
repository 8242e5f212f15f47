"""The population stability index."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from monitors.distances.counts import Floats, checked, smoothed


def psi(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Return the population stability index, Σ (p - q) ln(p / q), in nats.

    Both sides' shares p and q are smoothed by half a row of the smaller side in every bin that holds a row
    (see `counts.smoothed`), which vanishes as both sides grow. Symmetric; range [0, ∞), 0 if and only if the
    shares are equal, larger with drift. Merging bins lowers it but for the smoothing.

    A row in a bin that the reference never filled raises it. It does not depend on the order of the bins.

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
    Kullback and Leibler (1951), On information and sufficiency: the symmetric divergence J.
    """
    return float(psi_of_many(*checked(reference, current)))


def psi_of_many(reference: Floats, current: Floats) -> Floats:
    """Return the index of many pairs of counts at once: shape (…, bins) to (…,)."""
    p, q = smoothed(reference, current)
    index: Floats = ((p - q) * np.log(p / q)).sum(axis=-1)
    return index
