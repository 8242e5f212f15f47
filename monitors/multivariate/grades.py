"""Rows of mixed columns as one matrix of small integers that trees can read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitors.multivariate.rows import Pair, canonical

Matrix = npt.NDArray[np.float32]
Scale = npt.NDArray[np.generic]
"""What grades stand for: grade g of a number is at or above cut g - 1 and below cut g, grade g of a category
is the g-th most frequent one."""

GRADES = 128
"""Of a numeric column, of equal mass in both samples together."""
CATEGORIES = 62
"""That are told apart, the most frequent in both samples together; all others are one more."""


@dataclass(frozen=True, slots=True, eq=False)
class Graded:
    """Both samples, shapes (rows, columns), NaN where missing, rows in an order of their values alone."""

    reference: Matrix
    current: Matrix
    categorical: npt.NDArray[np.bool_]


def grade(pairs: Sequence[Pair]) -> Graded:
    """Return the grades of all rows, on cuts that both samples decide together.

    A numeric value becomes the number of cuts below or at it; the cuts are `GRADES` - 1 quantiles of both
    samples pooled. So ±inf, integers beyond 2⁵³, units and one absurd value need no care. A category
    becomes its rank by frequency. Nothing here knows a row's side, so a test on the grades is as valid as
    one on the values.
    """
    sides, categorical = _sides(pairs)
    reference, current = sides
    return Graded(reference[canonical(reference)], current[canonical(current)], categorical)


def grade_in_place(pairs: Sequence[Pair]) -> tuple[Graded, tuple[Scale, ...]]:
    """Return the grades of all rows in the rows' own order, and what each column's grades stand for."""
    (reference, current), categorical = _sides(pairs)
    scales = (_frequent(pair)[0] if pair.categorical else _cuts(pair) for pair in pairs)
    return Graded(reference, current, categorical), tuple(scales)


def _sides(pairs: Sequence[Pair]) -> tuple[tuple[Matrix, Matrix], npt.NDArray[np.bool_]]:
    graders = [_by_frequency if pair.categorical else _by_cuts for pair in pairs]
    graded = [grader(pair) for grader, pair in zip(graders, pairs, strict=True)]
    reference, current = (np.column_stack([side[at] for side in graded]) for at in (0, 1))
    return (reference, current), np.array([pair.categorical for pair in pairs])


def _by_cuts(pair: Pair) -> tuple[Matrix, Matrix]:
    cuts = _cuts(pair)
    return _spread(
        pair, [np.searchsorted(cuts, side.values, "right") for side in (pair.reference, pair.current)]
    )


def _cuts(pair: Pair) -> Scale:
    pooled = np.sort(np.concatenate([pair.reference.values, pair.current.values]))
    return np.unique(pooled[np.arange(1, GRADES) * len(pooled) // GRADES])


def _by_frequency(pair: Pair) -> tuple[Matrix, Matrix]:
    _, codes = _frequent(pair)
    return _spread(pair, np.split(np.minimum(codes, CATEGORIES), [len(pair.reference.values)]))


def _frequent(pair: Pair) -> tuple[Scale, npt.NDArray[np.int64]]:
    """Return the categories, the most frequent first, and the rank of each row's."""
    pooled = np.concatenate([pair.reference.values, pair.current.values]).astype(str)
    values, codes, counts = np.unique(pooled, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(values), dtype=np.int64)
    rank[order] = np.arange(len(values))
    return values[order], rank[codes]


def _spread(pair: Pair, graded: Sequence[npt.NDArray[np.int64]]) -> tuple[Matrix, Matrix]:
    reference, current = (
        np.full(len(side.present), np.nan, dtype=np.float32) for side in (pair.reference, pair.current)
    )
    reference[pair.reference.present] = graded[0]
    current[pair.current.present] = graded[1]
    return reference, current
