"""The Jensen-Shannon distance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import rel_entr

from monitors.distances.counts import Floats, checked, shares


def jensenshannon(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Return the Jensen-Shannon distance, √(½ Σ p ln(p / r) + ½ Σ q ln(q / r)), where r = (p + q) / 2.

    The square root of the divergence, natural logarithms: the scale of SciPy and of Evidently. A metric;
    range [0, √ln 2 ≈ 0.8326], 0 if and only if the shares are equal, largest if no bin is shared. Merging
    bins never raises it. It does not depend on the order of the bins.

    A row in a bin that the reference never filled never lowers it.

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
    Lin (1991), Divergence measures based on the Shannon entropy; Endres and Schindelin (2003), A new metric
    for probability distributions.
    """
    return float(jensenshannon_of_many(*checked(reference, current)))


def jensenshannon_of_many(reference: Floats, current: Floats) -> Floats:
    """Return the distance of many pairs of counts at once: shape (…, bins) to (…,)."""
    p, q = shares(reference), shares(current)
    middle = (p + q) / 2
    twice = (rel_entr(p, middle) + rel_entr(q, middle)).sum(axis=-1)
    distance: Floats = np.sqrt(np.maximum(twice, 0.0) / 2)  # -1e-17 for shares that differ by rounding
    return distance
