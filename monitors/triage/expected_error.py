"""How far off a version of values may be at each row, as the loss model of its held-out rows expects it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from monitors.answered import Scored
from monitors.attribution.trees import one_thread
from monitors.estimators.estimate import Estimator
from monitors.estimators.loss_model import LossModel
from monitors.finding import NoData
from spec import PerformanceMetric

_LEAST = 1e-3  # of the largest: where no error at all is expected, a row is worth little and not nothing


def expected_error(estimator: Estimator | NoData, scored: Scored) -> npt.NDArray[np.float64] | None:
    """Return the root of the squared error that is expected of each row, in the target's unit.

    Returns
    -------
    Shape (rows,), positive. None where nothing was learnt of the errors, or where none is expected anywhere.
    """
    if isinstance(estimator, NoData) or not isinstance(estimator.inner, LossModel):
        return None
    model = estimator.inner
    rows = model.encoder.matrix(scored.frame, scored.scores)
    with one_thread():
        squares = [learnt.predict(rows) for learnt in model.learnt[PerformanceMetric.RMSE].models]
    errors = np.sqrt(np.maximum(np.mean(squares, axis=0), 0.0))
    largest = float(errors.max(initial=0.0))
    return np.maximum(errors, _LEAST * largest) if largest > 0 else None
