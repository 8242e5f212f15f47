"""By how much the mean loss of slices lies above that of all other rows, when rows of a block go together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitors.slices.cuts import Codes
from monitors.slices.losses import Array


@dataclass(frozen=True, slots=True)
class Sums:
    """Rows and losses by slice and block; all that a comparison of means needs.

    Parameters
    ----------
    n, loss
        Number of rows and sum of losses; shape (slices, blocks).
    square
        Sum of squared losses; shape (slices,).
    """

    n: Array
    loss: Array
    square: Array

    @property
    def rows(self) -> Array:
        """Rows of each slice; shape (slices,)."""
        return np.asarray(self.n.sum(axis=1), dtype=float)

    @property
    def mean(self) -> Array:
        """Mean loss of each slice, NaN of an empty one; shape (slices,)."""
        rows = self.rows
        return np.where(rows > 0, self.loss.sum(axis=1) / np.where(rows > 0, rows, 1), np.nan)

    def of_rows(self) -> Array:
        """Return the variance of each mean when rows are independent; NaN with fewer than two rows."""
        rows = self.rows
        known = rows > 1
        spread = np.maximum(self.square - self.loss.sum(axis=1) ** 2 / np.where(known, rows, 1), 0)
        return np.where(known, spread / np.where(known, rows * (rows - 1), 1), np.nan)

    def influence(self) -> Array:
        """Return what each block adds to the error of the mean; shape (slices, blocks)."""
        rows = np.maximum(self.rows, 1)[:, None]
        return np.asarray((self.loss - np.nan_to_num(self.mean)[:, None] * self.n) / rows, dtype=float)


@dataclass(frozen=True, slots=True)
class Sides:
    """The rows inside of each slice, and those outside."""

    inside: Sums
    outside: Sums

    @classmethod
    def of_codes(cls, code: Codes, slices: int, block: Codes, loss: Array) -> Sides:
        """Sum up slices that do not overlap and hold every row.

        Parameters
        ----------
        code, block, loss
            Slice, block and loss of each row; shape (rows,). The blocks are numbered 0, 1, … without gaps.
        """
        blocks = _count(block)
        cell = code * blocks + block
        n = np.bincount(cell, minlength=slices * blocks).astype(float).reshape(slices, blocks)
        total = np.bincount(cell, weights=loss, minlength=slices * blocks).astype(float)
        total = total.reshape(slices, blocks)
        square = np.bincount(code, weights=loss**2, minlength=slices).astype(float)
        rest = Sums(n.sum(axis=0) - n, total.sum(axis=0) - total, square.sum() - square)
        return cls(Sums(n, total, square), rest)

    @classmethod
    def of_members(cls, members: npt.NDArray[np.bool_], block: Codes, loss: Array) -> Sides:
        """Sum up slices that may overlap; `members` tells which rows each holds, shape (slices, rows)."""
        of_block = np.eye(_count(block))[block]
        lost = of_block * loss[:, None]
        held = (part.astype(float) for part in (members, ~members))
        inside, outside = (Sums(part @ of_block, part @ lost, part @ loss**2) for part in held)
        return cls(inside, outside)


@dataclass(frozen=True, slots=True)
class Contrast:
    """A difference of means by slice; NaN where a side is empty. All of shape (slices,).

    `degrees` are those of Student's law that the difference follows in units of its standard error.
    """

    value: Array
    variance: Array
    degrees: Array

    def __sub__(self, other: Contrast) -> Contrast:
        """Subtract an independent contrast; the degrees of freedom are Satterthwaite's."""
        variance = self.variance + other.variance
        spread = self.variance**2 / self.degrees + other.variance**2 / other.degrees
        degrees = np.divide(variance**2, spread, out=self.degrees.copy(), where=spread > 0)
        return Contrast(self.value - other.value, variance, degrees)

    @property
    def score(self) -> Array:
        """The difference in standard errors; -inf where there is none."""
        known = self.variance > 0
        return np.where(known, self.value / self.error, -np.inf)

    @property
    def error(self) -> Array:
        """Standard error, 1 where there is none."""
        return np.sqrt(np.where(self.variance > 0, self.variance, 1))


def contrast(sides: Sides) -> Contrast:
    """Return the mean loss of each slice minus that of all other rows.

    The variance is the cluster-robust one of a regression of the loss on the slice (the blocks' sums of
    residuals, times k/(k-1)), or Welch's over rows if that is larger: a few blocks may agree by accident.
    The degrees of freedom are the effective number of blocks of the slice, or of the other rows if that is
    smaller, less one: a slice that lives in three days has seen three days. With a single block, rows are
    independent.

    References
    ----------
    Liang and Zeger (1986), Biometrika 73; Carter, Schnepel and Steigerwald (2017), Review of Economics
    and Statistics 99, for the effective number.
    """
    inside, outside = sides.inside, sides.outside
    value = inside.mean - outside.mean
    of_rows = inside.of_rows() + outside.of_rows()
    blocks = inside.n.shape[1]
    if blocks == 1:
        return Contrast(value, of_rows, np.maximum(np.minimum(inside.rows, outside.rows) - 1, 1))
    influence = inside.influence() - outside.influence()
    clustered = (influence**2).sum(axis=1) * blocks / (blocks - 1)
    effective = np.minimum(effective_blocks(inside.n), effective_blocks(outside.n))
    return Contrast(value, np.maximum(of_rows, clustered), np.maximum(effective - 1, 1))


def effective_blocks(n: Array) -> Array:
    """Return how many equal blocks would be as uneven as these, n²/Σn_b²; 0 of an empty slice.

    Parameters
    ----------
    n
        Rows by slice and block; shape (slices, blocks).
    """
    square = (n**2).sum(axis=1)
    return np.asarray(n.sum(axis=1) ** 2 / np.where(square > 0, square, 1), dtype=float)


def _count(block: Codes) -> int:
    return int(block.max()) + 1 if len(block) else 1
