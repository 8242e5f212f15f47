"""How good scores are: the loss of each row, its bound over days, and the performance to expect."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from monitors.finding import NoData
from monitors.performance import Estimate, Truth, all_metrics
from retraining.dataset.rows import FloatArray, IntArray
from spec import DataError, ModelSpec, PerformanceMetric, Problem, Task

_CLIP = float(np.finfo(np.float32).eps)  # scores are served as float32; scikit-learn clips by dtype too
_DRAWS = 2000


def row_losses(task: Task, truth: FloatArray | IntArray, scores: FloatArray) -> FloatArray:
    """Return the loss of each row [n]: log loss in nats, or the squared error.

    Parameters
    ----------
    truth
        [n], as of `retraining.dataset.rows.target`.
    scores
        [n] or [n, k], as of `retraining.graphs.scorer.Scorer.predict`. Probabilities are clipped to
        [1.2e-7, 1 - 1.2e-7], so that one confident mistake costs at most 16 nats.
    """
    if task is Task.REGRESSION:
        return np.square(scores - truth)
    if task is Task.BINARY:
        likelihood = np.where(truth == 1, scores, 1 - scores)
    else:
        likelihood = np.take_along_axis(scores, np.asarray(truth, "int64")[:, None], 1)[:, 0]
    losses: FloatArray = -np.log(np.clip(likelihood, _CLIP, 1 - _CLIP))
    return losses


def objective(task: Task, truth: FloatArray | IntArray, scores: FloatArray) -> float:
    """Return what the search minimises: mean log loss, or the root mean squared error."""
    mean = float(row_losses(task, truth, scores).mean())
    return math.sqrt(mean) if task is Task.REGRESSION else mean


def upper_bound(values: FloatArray, days: NDArray[np.int64], confidence: float, seed: int = 0) -> float:
    """Return a one-sided upper confidence bound of the mean of `values`.

    Rows of one day share their weather, so days are drawn, not rows. The bound is the mean plus Student's
    quantile times the spread of the resampled means; the plain quantile of the resamples is too narrow
    for a dozen days. √(D/(D-1)) undoes what resampling D days takes from their variance.

    Parameters
    ----------
    values
        [n] finite numbers, such as differences of losses.
    days
        [n] index of each row's day; at least two days.
    confidence
        In (0.5, 1).
    """
    count = int(days.max()) + 1
    sums, sizes = np.bincount(days, values, count), np.bincount(days, minlength=count)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=_DRAWS)
    spread = float(((drawn @ sums) / (drawn @ sizes)).std(ddof=1)) * math.sqrt(count / (count - 1))
    return float(values.mean()) + float(stdtrit(count - 1, confidence)) * spread


def expected(
    spec: ModelSpec, truth: FloatArray | IntArray, scores: FloatArray, times: pd.Series[pd.Timestamp]
) -> dict[PerformanceMetric, Estimate]:
    """Return the performance to expect of a model, measured as the monitors measure it later.

    Every metric of the task that is defined on the rows.

    Raises
    ------
    DataError
        The spec's own metric is not defined on the rows.
    """
    ticks = pd.to_datetime(times, utc=True).dt.as_unit("us").to_numpy("datetime64[us]").astype("int64")
    measured = all_metrics(Truth(scores.reshape(len(scores), -1), truth.astype("float64"), ticks), spec)
    own = measured[spec.performance_metric]
    if isinstance(own, NoData):
        raise DataError([Problem(f"holdout: {spec.performance_metric}", "must be measurable", own.reason)])
    return {metric: found for metric, found in measured.items() if isinstance(found, Estimate)}
