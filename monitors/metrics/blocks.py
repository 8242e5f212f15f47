"""Rows in blocks, such as days, and sums over the blocks that a resample only has to weigh.

A resample is a vector of weights on the blocks; two hundred of them are one matrix product, whatever the
number of rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Blocks = npt.NDArray[np.int64]
"""The block of each row, 0, 1, …; shape (rows,)."""
Statistic = Callable[[Array], Array]
"""From weights of the blocks, shape (resamples, blocks), to the metric of each resample; NaN if undefined."""

_EVEN_CHANCE = 0.5


@dataclass(frozen=True)
class Rows:
    """Scores beside what came true.

    Parameters
    ----------
    scores
        Shape (rows, outputs): P(positive), or P(class) of each class, or the value. One row at least; finite.
    labels
        Shape (rows,): 0 or 1, the index of the class, or the value.
    block
        Shape (rows,).
    quantile
        Which quantile of the target the scores are; only `pinball` asks.
    """

    scores: Array
    labels: Array
    block: Blocks
    quantile: float = 0.5

    @cached_property
    def blocks(self) -> int:
        """How many blocks there are."""
        return int(self.block.max()) + 1

    @cached_property
    def sizes(self) -> Array:
        """Rows of each block."""
        return np.bincount(self.block, minlength=self.blocks).astype(float)

    @cached_property
    def decided(self) -> npt.NDArray[np.int64]:
        """What the model decides for each row: 1 from an even chance on, or the most probable class."""
        if self.scores.shape[1] == 1:
            return (self.scores[:, 0] >= _EVEN_CHANCE).astype(np.int64)
        chosen: npt.NDArray[np.int64] = self.scores.argmax(axis=1)
        return chosen

    @cached_property
    def errors(self) -> Array:
        """How far each answered value lies above the true one."""
        return self.scores[:, 0] - self.labels

    def sums(self, values: npt.NDArray[np.generic]) -> Array:
        """Sum values of rows within each block."""
        return np.bincount(self.block, weights=values, minlength=self.blocks).astype(float)

    def sums_by(self, group: npt.NDArray[np.int64], groups: int, values: npt.NDArray[np.generic]) -> Array:
        """Sum values of rows within each group and block; shape (groups, blocks)."""
        cells = np.bincount(group * self.blocks + self.block, weights=values, minlength=groups * self.blocks)
        return cells.astype(float).reshape(groups, self.blocks)

    def mean(self, values: npt.NDArray[np.generic]) -> Statistic:
        """Return the mean of values of rows."""
        total, sizes = self.sums(values), self.sizes
        return lambda weights: ratio(weights @ total, weights @ sizes)


def ratio(above: Array, below: Array) -> Array:
    """Divide; NaN where `below` is not positive."""
    positive = below > 0
    return np.where(positive, above / np.where(positive, below, 1), np.nan)


def macro(by_class: Array) -> Array:
    """Average each resample over the classes that have a value; from shape (resamples, classes)."""
    has_value = np.isfinite(by_class)
    return ratio(np.where(has_value, by_class, 0).sum(axis=1), has_value.sum(axis=1).astype(float))
