"""Intervals of means whose rows come in blocks: the rows of a day are no independent evidence."""

from __future__ import annotations

import math

import numpy as np

from monitors.attribution.pooled import Pooled
from monitors.attribution.sides import Array, Index
from monitors.performance import CONFIDENCE, Estimate


def interval(pooled: Pooled, value: float, influence: Array) -> Estimate:
    """Return a value with its two-sided 95 % interval: the linear form of resampling each side's blocks.

    The variance is, for each side of k blocks, k/(k-1) times the sum of squares of the blocks' influence;
    Student's t has Welch's degrees of freedom.

    Parameters
    ----------
    influence
        How much each row moves the value, in its unit, times the side's rows; shape (rows,).
    """
    error, freedom, blocks = spread(pooled, influence)
    from scipy.stats import t  # noqa: PLC0415 - a second, and only alarms need it

    reach = float(t.ppf((1 + CONFIDENCE) / 2, freedom)) * error if error else 0.0
    return Estimate(value, value - reach, value + reach, len(pooled), blocks)


def spread(pooled: Pooled, influence: Array) -> tuple[float, float, int]:
    """Return the standard error of a mean over the mixture, its degrees of freedom and its blocks."""
    variances, freedoms, blocks = [], [], 0
    for side in (~pooled.current, pooled.current):
        values = influence[side] - influence[side].mean()
        sums = _sums(pooled.block[side], pooled.weight[side] * values)
        blocks += len(sums)
        variances.append(float(np.sum(sums**2)) * len(sums) / (len(sums) - 1))
        freedoms.append(len(sums) - 1)
    total = sum(variances)
    apart = sum(variance**2 / freedom for variance, freedom in zip(variances, freedoms, strict=True))
    return math.sqrt(total), total**2 / apart if apart else math.inf, blocks


def _sums(block: Index, values: Array) -> Array:
    return np.bincount(block - block.min(), weights=values).astype(float)
