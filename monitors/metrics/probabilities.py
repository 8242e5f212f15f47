"""How good the probabilities are, beyond the decisions made from them."""

from __future__ import annotations

import numpy as np

from monitors.metrics.blocks import Array, Rows, Statistic, ratio

CALIBRATION_BINS = 10


def log_loss(rows: Rows) -> Statistic:
    """Return the mean of -ln P(what came true), in nats; P is clipped by 2.2e-16 as in scikit-learn."""
    if rows.scores.shape[1] == 1:
        chosen = np.where(rows.labels == 1, rows.scores[:, 0], 1 - rows.scores[:, 0])
    else:
        chosen = _chosen(rows) / rows.scores.sum(axis=1)
    tiny = np.finfo(float).eps
    return rows.mean(-np.log(np.clip(chosen, tiny, 1 - tiny)))


def brier(rows: Rows) -> Statistic:
    """Return the mean squared distance of the probabilities from what came true (Brier 1950).

    Binary: of P(positive), in [0, 1]. Several classes: summed over them, in [0, 2].
    """
    if rows.scores.shape[1] == 1:
        return rows.mean(rows.errors**2)
    return rows.mean((rows.scores**2).sum(axis=1) - 2 * _chosen(rows) + 1)


def calibration_error(rows: Rows) -> Statistic:
    """Return the expected calibration error: how far stated probabilities lie from frequencies, in [0, 1].

    Rows are put into ten bins (0, 0.1], (0.1, 0.2], … of the stated probability; each bin counts with its
    share of the rows. Binary: P(positive) against the frequency of positives (Naeini, Cooper & Hauskrecht
    2015). Several classes: the probability of the chosen class against how often it is right (Guo et al.
    2017). Chance makes it larger, never smaller: with n rows of a calibrated model it is of the order of
    √(bins / n).
    """
    gaps, sizes = _gaps(rows), rows.sizes
    return lambda weights: ratio(np.abs(weights @ gaps.T).sum(axis=1), weights @ sizes)


def calibration_noise(rows: Rows) -> Statistic:
    """Return the calibration error of what a resample adds to the gaps of the rows.

    Its mean bounds by how much the calibration error of the rows exceeds the true one on average, for
    ``|gap + noise| ≤ |gap| + |noise|``; it is just as much where the model is calibrated.
    """
    gaps, sizes = _gaps(rows), rows.sizes
    known = gaps.sum(axis=1) / sizes.sum()
    return lambda weights: np.abs((weights @ gaps.T) / (weights @ sizes)[:, None] - known).sum(axis=1)


def _gaps(rows: Rows) -> Array:
    """Sum stated probability less what came true by bin and block; shape (bins, blocks)."""
    if rows.scores.shape[1] == 1:
        stated, gap = rows.scores[:, 0], rows.errors
    else:
        stated = rows.scores.max(axis=1)
        gap = stated - (rows.decided == rows.labels)
    inner = np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1]
    return rows.sums_by(np.searchsorted(inner, stated), CALIBRATION_BINS, gap)


def _chosen(rows: Rows) -> Array:
    """The probability of the class that came true, of several."""
    return np.take_along_axis(rows.scores, rows.labels.astype(np.int64)[:, None], 1)[:, 0]
