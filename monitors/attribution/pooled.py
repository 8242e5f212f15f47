"""Both sides under each other, as trees read them, dealt into folds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitors.attribution.sides import Array, Index, Side
from monitors.multivariate.grades import Matrix, Scale, grade_in_place
from monitors.multivariate.rows import Pair, canonical

Mask = npt.NDArray[np.bool_]

FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """The rows of the reference, then those of the window, each in an order of their values alone.

    Parameters
    ----------
    names, categorical, scales
        Of each column: its name, whether it is categorical, what its grades stand for.
    matrix
        Grades, NaN where missing; shape (rows, columns).
    current
        Whether a row is of the window; shape (rows,).
    position
        Of each row in the frame of its side.
    losses, block, fold
        Of each row. A block is a day, or a row where a side's days are not known; its rows share a fold. No
        block is of two sides.
    weight
        Of each row; each side's weights sum to ½.
    """

    names: tuple[str, ...]
    categorical: Mask
    scales: tuple[Scale, ...]
    matrix: Matrix
    current: Mask
    position: Index
    losses: Array
    block: Index
    fold: Index
    weight: Array

    def __len__(self) -> int:
        return len(self.losses)

    def mean(self, values: Array) -> Array:
        """Return the mean of values, shape (rows, …), over an equal mixture of both sides."""
        return np.asarray(np.tensordot(self.weight, values, axes=1))


def pool(reference: Side, current: Side, columns: tuple[Pair, ...], seed: int) -> Pooled:
    """Put both sides' `columns` under each other; the seed deals the folds."""
    graded, scales = grade_in_place(columns)
    random = np.random.default_rng(seed)
    parts = []
    for side, matrix in ((reference, graded.reference), (current, graded.current)):
        day = side.days()
        keys = np.column_stack([matrix, side.losses, np.zeros(len(side)) if day is None else day])
        order = canonical(keys.astype(np.float64))
        block = np.arange(len(side)) if day is None else day[order]
        parts.append((matrix[order], order, side.losses[order].astype(float), block, _deal(block, random)))
    matrices, positions, losses, blocks, folds = zip(*parts, strict=True)
    sizes = [len(reference), len(current)]
    return Pooled(
        names=tuple(column.name for column in columns),
        categorical=graded.categorical,
        scales=scales,
        matrix=np.concatenate(matrices),
        current=np.repeat([False, True], sizes),
        position=np.concatenate(positions),
        losses=np.concatenate(losses),
        block=np.concatenate([blocks[0], blocks[1] + blocks[0].max() + 1]),
        fold=np.concatenate(folds),
        weight=np.repeat([0.5 / size for size in sizes], sizes),
    )


def _deal(block: Index, random: np.random.Generator) -> Index:
    blocks = int(block.max()) + 1
    return np.asarray(random.permutation(np.arange(blocks) % FOLDS)[block], dtype=np.int64)
