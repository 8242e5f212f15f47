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
    low: NDArray[np.bool_] = (points[None] <= points[:, None]).all(axis=2)
    lower: NDArray[np.bool_] = (points[None] < points[:, None]).any(axis=2)
    beaten: NDArray[np.bool_] = (low & lower).any(axis=1)
    return ~beaten
