"""Every metric by name, with its range and what it asks of the rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from monitors.metrics.blocks import Array, Blocks, Rows, Statistic
from monitors.metrics.decisions import accuracy, f1, precision, recall
from monitors.metrics.probabilities import brier, calibration_error, calibration_noise, log_loss
from monitors.metrics.ranking import roc_auc
from monitors.metrics.regression import mae, mape, pinball, r2, rmse
from spec import PerformanceMetric


@dataclass(frozen=True, slots=True)
class Definition:
    """A metric, as whoever measures it needs it.

    Parameters
    ----------
    of
        From rows to the metric as a function of the weights of their blocks.
    least, most
        Its range.
    undefined
        Why finite rows may have no value.
    noise
        Of a metric that chance can only enlarge: how large it is of chance alone.
    """

    of: Callable[[Rows], Statistic]
    least: float = 0.0
    most: float = 1.0
    undefined: str = "the sums are too large"
    noise: Callable[[Rows], Statistic] | None = None


DEFINITIONS = MappingProxyType(
    {
        PerformanceMetric.ROC_AUC: Definition(roc_auc, undefined="the labels are of a single class"),
        PerformanceMetric.ACCURACY: Definition(accuracy),
        PerformanceMetric.F1: Definition(f1, undefined="no row is positive, and none was decided to be"),
        PerformanceMetric.PRECISION: Definition(precision, undefined="no row was decided to be positive"),
        PerformanceMetric.RECALL: Definition(recall, undefined="no row is positive"),
        PerformanceMetric.LOG_LOSS: Definition(log_loss, most=math.inf),
        PerformanceMetric.BRIER: Definition(brier, most=2.0),
        PerformanceMetric.CALIBRATION_ERROR: Definition(calibration_error, noise=calibration_noise),
        PerformanceMetric.R2: Definition(r2, least=-math.inf, undefined="the labels are all the same"),
        PerformanceMetric.RMSE: Definition(rmse, most=math.inf),
        PerformanceMetric.MAE: Definition(mae, most=math.inf),
        PerformanceMetric.MAPE: Definition(mape, most=math.inf, undefined="a label is 0"),
        PerformanceMetric.PINBALL: Definition(pinball, most=math.inf),
    }
)


def statistic(
    metric: PerformanceMetric, scores: Array, labels: Array, block: Blocks, *, quantile: float = 0.5
) -> Statistic:
    """Return a metric as a function of the blocks' weights; all weights 1 give scikit-learn's value.

    Parameters as of `Rows`.
    """
    return DEFINITIONS[metric].of(Rows(scores, labels, block, quantile))


def shortfall(
    metric: PerformanceMetric,
    ours: Array,
    theirs: Array,
    labels: Array,
    block: Blocks,
    *,
    quantile: float = 0.5,
) -> Array:
    """Return by how much `ours` is worse than `theirs` in each block on its own, in the metric's unit.

    Within a block both face the same rows, so what a day does to everybody (its base rate, its weather)
    cancels. NaN where the metric is not defined in a block, such as ROC AUC with one class.

    Parameters
    ----------
    ours, theirs
        Scores of the same rows, as of `statistic`.

    Returns
    -------
    Shape (blocks,); positive where `ours` is worse.
    """
    alone = np.eye(int(block.max()) + 1)
    mine, others = (
        statistic(metric, scores, labels, block, quantile=quantile)(alone) for scores in (ours, theirs)
    )
    return others - mine if metric.higher_is_better else mine - others
