"""The Kullback-Leibler divergence."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from monitors.distances.counts import Floats, checked, smoothed


def kl_div(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Return the Kullback-Leibler divergence of the current side from the reference, Σ p ln(p / q), in nats.

    p is the reference's share and q the current one, as ``scipy.stats.entropy(p, q)``; both are smoothed by
    half a row of the smaller side in every bin that holds a row (see `counts.smoothed`), which vanishes as
    both sides grow. Not symmetric; range [0, ∞), 0 if and only if the shares are equal, larger with drift.
    Merging bins lowers it but for the smoothing. It does not depend on the order of the bins.

    It weighs a bin by the reference's share: rows where the reference has none count little, rows that went
    missing count much.

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
    Kullback and Leibler (1951), On information and sufficiency.
    """
    return float(kl_div_of_many(*checked(reference, current)))


def kl_div_of_many(reference: Floats, current: Floats) -> Floats:
    """Return the divergence of many pairs of counts at once: shape (…, bins) to (…,)."""
    p, q = smoothed(reference, current)
    divergence: Floats = (p * np.log(p / q)).sum(axis=-1)
    return np.maximum(divergence, 0.0)  # -1e-17 for shares that differ by rounding
