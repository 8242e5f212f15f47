"""How well scores order rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from monitors.metrics.blocks import Array, Rows, Statistic, macro, ratio


def roc_auc(rows: Rows) -> Statistic:
    """Return the chance that a positive outscores a negative, a tie being half a win; in [0, 1].

    Of several classes: each against the rest, averaged over the classes that occur and do not fill the rows
    (Provost & Domingos 2001, without the weights). Undefined with a single class.
    """
    if rows.scores.shape[1] == 1:
        return _against_rest(rows, rows.scores[:, 0], rows.labels == 1)
    by_class = [
        _against_rest(rows, scores, rows.labels == index) for index, scores in enumerate(rows.scores.T)
    ]
    return lambda weights: macro(np.column_stack([auc(weights) for auc in by_class]))


def _against_rest(rows: Rows, scores: Array, positive: npt.NDArray[np.bool_]) -> Statistic:
    """Count, for every pair of blocks, how often a positive of one outscores a negative of the other."""
    values, rank = np.unique(scores, return_inverse=True)
    of_positives, of_negatives = rows.block[positive], rows.block[~positive]
    ranks, others = rank[positive], rank[~positive]
    wins = np.empty((rows.blocks, rows.blocks))
    for block in range(rows.blocks):
        tied = np.bincount(others[of_negatives == block], minlength=len(values))
        won = np.cumsum(tied) - tied / 2
        wins[:, block] = np.bincount(of_positives, weights=won[ranks], minlength=rows.blocks)
    positives, negatives = rows.sums(positive), rows.sums(~positive)
    return lambda weights: ratio(
        ((weights @ wins) * weights).sum(axis=1), (weights @ positives) * (weights @ negatives)
    )
