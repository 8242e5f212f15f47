"""What one answer cost, row by row, so that slices can be compared by means."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spec import Task

Array = npt.NDArray[np.float64]


def losses(task: Task, scores: Array, labels: Array) -> Array:
    """Return the loss of each row, shape (rows,), ≥ 0; lower is better.

    Binary: the squared error of P(positive), whose mean is the Brier score. It is bounded, so that a few
    overconfident answers are no slice. Multiclass: 1 where the likeliest class is wrong, which is all
    that a reference knows. Regression: the absolute error, in the target's unit.

    Parameters
    ----------
    scores, labels
        As of `monitors.performance.Truth`.
    """
    if task is Task.MULTICLASS:
        return np.asarray(scores.argmax(axis=1) != labels, dtype=float)
    error = np.abs(scores[:, 0] - labels)
    return np.square(error) if task is Task.BINARY else np.asarray(error)
