"""Which rows are most worth a label: those the model is unsure of, where the inputs moved, unlike each other.

A row's worth is its uncertainty times the density of the drifted region at it, the ratio q / p of the
window's density to the reference's that a domain classifier tells (cross-fitted, so no row speaks for
itself). A batch is built greedily: the next row has the largest worth times its distance to the nearest row
taken, so that a hundred copies of one row are asked for once.

Sources: Lewis, Gale (1994), A sequential algorithm for training text classifiers, SIGIR, for uncertainty;
Settles, Craven (2008), EMNLP, for its product with a density; Gonzalez (1985), Clustering to minimize the
maximum intercluster distance, for the greedy spread; Gower (1971), Biometrics 27:857-871, for the distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitors.attribution.learned import probabilities
from monitors.attribution.pooled import pool
from monitors.attribution.sides import Side
from monitors.attribution.trees import one_thread
from monitors.multivariate.cross_fitting import MINIMUM
from monitors.multivariate.grades import GRADES, Matrix, grade_in_place
from monitors.multivariate.rows import Pair, Rows, arrow, pairs
from spec.errors import DataError, Problem
from spec.performance import Task

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_CANDIDATES = 5_000
_FAR = 10.0  # any distance beyond 1 counts as 1


@dataclass(frozen=True, slots=True, eq=False)
class Worthwhile:
    """Rows to have labelled, the first one first.

    Parameters
    ----------
    rows
        Positions in the frame, without repetition; shape (count,).
    worth
        uncertainty × density of each.
    uncertainty
        In [0, 1] of a classifier, 1 where it cannot tell the classes apart; in its own unit if it was given.
    density
        How many times denser such rows are in the window than in the reference, in [1/99, 99].
    """

    rows: Index
    worth: Array
    uncertainty: Array
    density: Array


def worth_labelling(
    frame: Rows,
    scores: Array,
    count: int,
    *,
    task: Task,
    reference: Rows | None = None,
    spread: Array | None = None,
    seed: int = 0,
) -> Worthwhile:
    """Choose the rows of a window that are most worth a label.

    Deterministic: the same rows in the same order give the same choice; of equals, the first is taken.

    Parameters
    ----------
    frame
        Features of the rows that have no label yet.
    scores
        Shape (rows, outputs): P(positive), or P(class) of each class, or the value.
    count
        How many rows to choose; all of them, if there are no more.
    reference
        Features of the reference. Without, or with fewer than `MINIMUM` rows on a side, no region counts as
        drifted: every density is 1.
    spread
        How far off the model may be at each row, shape (rows,), positive, such as a loss model's root mean
        square; used for regression, where scores do not tell. Without, every row is as uncertain.
    seed
        Deals the folds of the domain classifier.

    Raises
    ------
    DataError
        With every problem of the scores, the spread and the count.
    """
    _check(frame, scores, count, spread, task)
    unsure = _spread(spread, len(frame)) if task is Task.REGRESSION else _entropy(scores)
    other = frame if reference is None else reference
    columns, _ = pairs(arrow(other), arrow(frame))
    density = np.ones(len(frame))
    if reference is not None and columns and min(len(reference), len(frame)) >= MINIMUM:
        density = _density(reference, frame, columns, seed)
    worth = unsure * density
    rows = _spaced(_coordinates(columns, len(frame)), worth, min(count, len(frame)))
    return Worthwhile(rows, worth[rows], unsure[rows], density[rows])


def _check(frame: Rows, scores: Array, count: int, spread: Array | None, task: Task) -> None:
    rows = len(frame)
    problems = []
    if scores.ndim != 2 or len(scores) != rows:  # noqa: PLR2004 - rows and outputs
        problems.append(Problem("scores", f"must have shape ({rows}, outputs)", f"shape {scores.shape}"))
    if not np.isfinite(scores).all():
        problems.append(Problem("scores", "must be finite", "some that are not"))
    elif task is not Task.REGRESSION and scores.size and not 0 <= scores.min() <= scores.max() <= 1:
        found = f"{scores.min():g} to {scores.max():g}"
        problems.append(Problem("scores", "must be probabilities, in [0, 1]", found))
    if count < 1:
        problems.append(Problem("count", "must be 1 or more", str(count)))
    if spread is not None and (spread.shape != (rows,) or not (np.isfinite(spread) & (spread > 0)).all()):
        must = f"must have shape ({rows},) and be positive and finite"
        problems.append(Problem("spread", must, f"shape {spread.shape}"))
    if problems:
        raise DataError(problems)


def _spread(spread: Array | None, rows: int) -> Array:
    return np.ones(rows) if spread is None else spread.astype(float)


def _entropy(scores: Array) -> Array:
    """Return Shannon's entropy of each row's classes over the largest there can be; in [0, 1]."""
    from scipy.special import entr  # noqa: PLC0415 - half a second, and only the daemon needs it

    chances = np.column_stack([scores, 1 - scores]) if scores.shape[1] == 1 else scores
    return np.asarray(entr(chances).sum(axis=1) / np.log(chances.shape[1]))


def _density(reference: Rows, frame: Rows, columns: tuple[Pair, ...], seed: int) -> Array:
    old, new = (Side(rows, np.zeros(len(rows))) for rows in (reference, frame))
    pooled = pool(old, new, columns, seed)
    with one_thread():
        of_window = probabilities(pooled, seed)[pooled.current]
    density = np.empty(len(frame))
    density[pooled.position[pooled.current]] = of_window / (1 - of_window)
    return density


def _coordinates(columns: tuple[Pair, ...], rows: int) -> Matrix:
    """Return rows whose features' distances, capped at 1, are Gower's: of ranks, or of categories."""
    if not columns:
        return np.zeros((rows, 1), dtype=np.float32)
    graded, _ = grade_in_place(columns)
    scaled = np.where(graded.categorical, graded.current, graded.current / GRADES)
    return np.nan_to_num(scaled, nan=-_FAR).astype(np.float32)


def _spaced(coordinates: Matrix, worth: Array, count: int) -> Index:
    """Take row after row by worth times distance to the nearest taken; copies of taken rows come last."""
    candidates = np.argsort(-worth, kind="stable")[: max(_CANDIDATES, 10 * count)]
    points, value = coordinates[candidates], worth[candidates]
    nearest = np.ones(len(candidates))
    free = np.ones(len(candidates), dtype=bool)
    taken = np.empty(count, dtype=np.int64)
    for turn in range(count):
        gain = np.where(free, value * nearest, -1.0)
        best = int(np.argmax(gain))
        taken[turn], free[best] = best, False
        apart = np.minimum(np.abs(points - points[best]), 1).mean(axis=1)
        nearest = np.minimum(nearest, apart)
    return np.asarray(candidates[taken])
