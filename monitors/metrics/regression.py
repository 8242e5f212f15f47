"""How far answered values lie from the true ones."""

from __future__ import annotations

import numpy as np

from monitors.metrics.blocks import Array, Rows, Statistic


def rmse(rows: Rows) -> Statistic:
    """Return the root of the mean squared error, in the target's unit."""
    mean = rows.mean(rows.errors**2)
    return lambda weights: np.sqrt(mean(weights))


def mae(rows: Rows) -> Statistic:
    """Return the mean absolute error, in the target's unit."""
    return rows.mean(np.abs(rows.errors))


def mape(rows: Rows) -> Statistic:
    """Return the mean absolute error as a share of the true value; undefined where a true value is 0."""
    is_zero = rows.labels == 0
    relative = rows.mean(np.abs(rows.errors) / np.where(is_zero, 1, np.abs(rows.labels)))
    zeros = rows.sums(is_zero)
    return lambda weights: np.where(weights @ zeros > 0, np.nan, relative(weights))


def pinball(rows: Rows) -> Statistic:
    """Return the mean pinball loss at `rows.quantile`, in the target's unit (Koenker & Bassett 1978).

    A value that is too low by one unit costs the quantile, one that is too high 1 less the quantile; at 1/2
    it is half the mean absolute error.
    """
    return rows.mean(np.maximum(-rows.quantile * rows.errors, (1 - rows.quantile) * rows.errors))


def r2(rows: Rows) -> Statistic:
    """Return the share of the variance that the answers explain, up to 1; undefined for equal labels."""
    centred = rows.labels - rows.labels.mean()  # sums of squares far from zero would cancel
    error, square, mean = rows.mean(rows.errors**2), rows.mean(centred**2), rows.mean(centred)

    def explained(weights: Array) -> Array:
        variance = square(weights) - mean(weights) ** 2
        return np.where(variance > 0, 1 - error(weights) / np.where(variance > 0, variance, 1), np.nan)

    return explained
