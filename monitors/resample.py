"""Metrics as functions of sums over blocks of rows, so that a resample of the blocks costs next to nothing.

A resample is a vector of weights on the blocks; two hundred of them are one matrix product, whatever the
number of rows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from spec import PerformanceMetric

Array = npt.NDArray[np.float64]
Blocks = npt.NDArray[np.int64]
"""The block of each row, 0, 1, …; shape (rows,)."""
Statistic = Callable[[Array], Array]
"""From weights of the blocks, shape (resamples, blocks), to the metric of each resample; NaN if undefined."""

_DECISION = 0.5


def statistic(metric: PerformanceMetric, scores: Array, labels: Array, block: Blocks) -> Statistic:
    """Return the metric as a function of the blocks' weights; all weights 1 give scikit-learn's value.

    Parameters
    ----------
    scores
        Shape (rows, outputs): P(positive), or P(class) of each class, or the value. One row at least.
    labels
        Shape (rows,): 0 or 1, the index of the class, or the value.
    """
    return _STATISTICS[metric](scores, labels, block, int(block.max()) + 1)


def shortfall(metric: PerformanceMetric, ours: Array, theirs: Array, labels: Array, block: Blocks) -> Array:
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
    mine, others = (statistic(metric, scores, labels, block)(alone) for scores in (ours, theirs))
    return others - mine if metric.higher_is_better else mine - others


def _per_block(values: Array, block: Blocks, blocks: int) -> Array:
    return np.bincount(block, weights=values, minlength=blocks).astype(float)


def _mean(values: Array, block: Blocks, blocks: int) -> Statistic:
    total = _per_block(values, block, blocks)
    count = np.bincount(block, minlength=blocks).astype(float)
    return lambda weights: (weights @ total) / (weights @ count)


def _accuracy(scores: Array, labels: Array, block: Blocks, blocks: int) -> Statistic:
    decided = scores.argmax(axis=1) if scores.shape[1] > 1 else scores[:, 0] >= _DECISION
    return _mean((decided == labels).astype(float), block, blocks)


def _log_loss(scores: Array, labels: Array, block: Blocks, blocks: int) -> Statistic:
    if scores.shape[1] == 1:
        chosen = np.where(labels == 1, scores[:, 0], 1 - scores[:, 0])
    else:
        chosen = scores[np.arange(len(labels)), labels.astype(int)] / scores.sum(axis=1)
    tiny = np.finfo(float).eps
    return _mean(-np.log(np.clip(chosen, tiny, 1 - tiny)), block, blocks)


def _mae(scores: Array, labels: Array, block: Blocks, blocks: int) -> Statistic:
    return _mean(np.abs(scores[:, 0] - labels), block, blocks)


def _rmse(scores: Array, labels: Array, block: Blocks, blocks: int) -> Statistic:
    mean = _mean((scores[:, 0] - labels) ** 2, block, blocks)
    return lambda weights: np.sqrt(mean(weights))


def _r2(scores: Array, labels: Array, block: Blocks, blocks: int) -> Statistic:
    centred = labels - labels.mean()
    error = _mean((scores[:, 0] - labels) ** 2, block, blocks)
    square, mean = _mean(centred**2, block, blocks), _mean(centred, block, blocks)

    def r2(weights: Array) -> Array:
        variance = square(weights) - mean(weights) ** 2
        return np.where(variance > 0, 1 - error(weights) / np.where(variance > 0, variance, 1), np.nan)

    return r2


def _roc_auc(scores: Array, labels: Array, block: Blocks, blocks: int) -> Statistic:
    """Count, for every pair of blocks, how often a positive of one outscores a negative of the other."""
    positive = labels == 1
    wins = np.zeros((blocks, blocks))
    for other in range(blocks):
        below = np.sort(scores[~positive & (block == other), 0])
        rank = np.searchsorted(below, scores[positive, 0], "left").astype(float)
        rank += np.searchsorted(below, scores[positive, 0], "right")
        wins[:, other] = _per_block(rank / 2, block[positive], blocks)
    positives = np.bincount(block[positive], minlength=blocks).astype(float)
    negatives = np.bincount(block[~positive], minlength=blocks).astype(float)

    def auc(weights: Array) -> Array:
        won = np.einsum("ra,ab,rb->r", weights, wins, weights, optimize=True)
        pairs = (weights @ positives) * (weights @ negatives)
        return np.where(pairs > 0, won / np.where(pairs > 0, pairs, 1), np.nan)

    return auc


_STATISTICS = {
    PerformanceMetric.ROC_AUC: _roc_auc,
    PerformanceMetric.ACCURACY: _accuracy,
    PerformanceMetric.R2: _r2,
    PerformanceMetric.LOG_LOSS: _log_loss,
    PerformanceMetric.RMSE: _rmse,
    PerformanceMetric.MAE: _mae,
}
