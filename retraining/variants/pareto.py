"""Which of many points no other one beats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retraining.dataset.rows import FloatArray


def front(points: FloatArray) -> NDArray[np.bool_]:
    """Return which points [n] are on the Pareto front.

    A point is off it if another one is as low in every column and lower in one. Equal points are on it
    together.

    Parameters
    ----------
    points
        [n, k] finite; lower is better in every column.
    """
    differences = points[None] - points[:, None]
    low, lower = np.all(differences <= 0, axis=2), np.any(differences < 0, axis=2)
    return np.asarray(~np.any(low & lower, axis=1))
