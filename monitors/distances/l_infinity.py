"""The largest difference of any share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from monitors.distances.counts import Floats, checked, shares


def l_infinity(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Return the Chebyshev distance of the shares, max |p - q|: the most that any one bin gained or lost.

    A metric; range [0, 1], 0 if and only if the shares are equal. It names one bin and is blind to many small
    changes; merging bins may raise it, so two bin counts are not to be compared. It does not depend on the
    order of the bins. One row among m moves it by less than 1 / m, wherever the row lies.

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
    Breck et al. (2019), Data validation for machine learning: L∞ between training and serving data.
    """
    return float(l_infinity_of_many(*checked(reference, current)))


def l_infinity_of_many(reference: Floats, current: Floats) -> Floats:
    """Return the distance of many pairs of counts at once: shape (…, bins) to (…,)."""
    distance: Floats = np.abs(shares(reference) - shares(current)).max(axis=-1)
    return distance
