"""How much worse a challenger can be at most, whatever the labels turn out to be: needs none."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import numpy.typing as npt

from rollout.observations import DayShortfall
from rollout.paired import Floats, Pairs, closed, days_of
from spec import ModelSpec, PerformanceMetric, Task

_TINY = np.finfo(float).eps  # as the metric itself is clipped


def daily_worst(spec: ModelSpec, pairs: Pairs, now: datetime) -> tuple[DayShortfall, ...] | None:
    """Bound by day how much worse the challenger's metric can be, over the event-time days that are over.

    The mean over rows of the largest difference of the losses that any label could make:

    - `accuracy`: the share of different decisions, as |acc - acc'| <= P(decisions differ);
    - `brier`, `log_loss`: the worst of the classes;
    - `mae`: |y - y'|; `pinball`: max(q, 1 - q) |y - y'|; both by the triangle inequality;
    - `rmse`: the root mean square of y - y' (Minkowski).

    None for a metric that has no such bound, as those of ranks.

    Parameters
    ----------
    now
        Processing time, aware.
    """
    rows = _row_losses(spec, pairs)
    if rows is None:
        return None
    names, day = days_of(pairs, np.ones(len(rows), dtype=bool))
    if not len(names):
        return ()
    means = np.bincount(day, weights=rows) / np.bincount(day)
    squared = spec.performance_metric is PerformanceMetric.RMSE
    return closed(names, day, np.sqrt(means) if squared else means, now)


def _row_losses(spec: ModelSpec, pairs: Pairs) -> Floats | None:
    ours, theirs, metric = pairs.challenger, pairs.champion, spec.performance_metric
    if spec.task is Task.REGRESSION:
        gap = np.abs(ours[:, 0] - theirs[:, 0])
        quantile = spec.monitor.performance.quantile
        of_values = {
            PerformanceMetric.MAE: gap,
            PerformanceMetric.PINBALL: max(quantile, 1 - quantile) * gap,
            PerformanceMetric.RMSE: gap**2,
        }
        return of_values.get(metric)
    ours, theirs = _by_class(ours), _by_class(theirs)
    if metric is PerformanceMetric.ACCURACY:
        return np.asarray(_decided(ours) != _decided(theirs), dtype=np.float64)
    if metric is PerformanceMetric.LOG_LOSS:
        return np.asarray((_log(theirs) - _log(ours)).max(axis=1))
    if metric is PerformanceMetric.BRIER:
        halves = 2 if spec.task is Task.BINARY else 1  # binary: of P(positive) only
        return np.asarray((_brier(ours) - _brier(theirs)).max(axis=1)) / halves
    return None


def _by_class(scores: Floats) -> Floats:
    """Return a column for each class, also of a binary model."""
    return np.column_stack([1 - scores[:, 0], scores[:, 0]]) if scores.shape[1] == 1 else scores


def _decided(scores: Floats) -> npt.NDArray[np.intp]:
    """Return the most probable class; of two equal halves the positive one."""
    if scores.shape[1] == 2:  # noqa: PLR2004 - binary
        return np.asarray(scores[:, 1] >= scores[:, 0], dtype=np.intp)
    return np.asarray(scores.argmax(axis=1))


def _log(scores: Floats) -> Floats:
    """Return the log of the probabilities as `monitors.metrics` takes it."""
    stated: Floats = np.log((scores / scores.sum(axis=1, keepdims=True)).clip(_TINY, 1 - _TINY))
    return stated


def _brier(scores: Floats) -> Floats:
    """Return the loss of each row, were each class in turn the true one."""
    loss: Floats = (scores**2).sum(axis=1, keepdims=True) - 2 * scores + 1
    return loss
