"""Columns of vectors (embeddings): a linear classifier two-sample test, and MMD beside it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as pt

from monitors.finding import NoData
from monitors.multivariate.cross_fitting import MINIMUM, cross_fit
from monitors.multivariate.linear import discriminant
from monitors.multivariate.mmd import MmdVerdict, mmd
from monitors.multivariate.rows import canonical
from monitors.multivariate.verdict import Verdict
from spec.errors import DataError, Problem

Array = npt.NDArray[np.float64]
Vectors: TypeAlias = pa.Array | pa.ChunkedArray | npt.NDArray[np.floating]

_WIDE = 128
_REACH = 8.0  # deviations beyond which a number counts as just this far
_PENALTY = 0.1  # of a row, on numbers whose variance is about 1
_MMD_ROWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorVerdict(Verdict):
    """A `Verdict` of the classifier with effect max(0, 2·AUC - 1), and what MMD says of the same rows.

    `dropped_*` are rows left out because the vector or one of its numbers is missing or infinite.
    """

    auc: float
    auc_interval: tuple[float, float]
    mmd: MmdVerdict | NoData
    dropped_reference: int
    dropped_current: int


def vectors(
    reference: Vectors,
    current: Vectors,
    *,
    threshold: float = 0.1,
    alpha: float = 0.05,
    permutations: int = 999,
    seed: int = 0,
) -> VectorVerdict | NoData:
    """Tell whether a column of vectors has another distribution.

    effect = max(0, 2·AUC - 1), the AUC of a ridge discriminant on rows that it has not seen; p-value and
    interval as in `cross_fitting`. Numbers are standardized by both samples' median and quartiles and cut
    off at ±8, so one absurd row is one row among others. Vectors of more than 128 numbers are reduced to
    the first 128 principal components of both samples together, which know no sides. A linear score sees
    what moves the mean in any direction; what keeps all means (spread, dependence) is seen by `mmd`, which
    is computed on 1,000 rows a side at most, of the standardized numbers. `drifted` speaks of the
    classifier only.

    A missing vector, or one with a missing, NaN or infinite number, is left out and counted. The order of
    rows does not matter. Inputs stay as they are.

    Parameters
    ----------
    reference, current
        Arrow lists of numbers (fixed-size or of one length), or arrays of shape (rows, length).

    Returns
    -------
    `NoData` with fewer than 50 usable rows a side.

    Raises
    ------
    DataError
        A column does not hold lists of numbers, or lengths differ within or between sides.

    Source: Lopez-Paz, Oquab (2017), Revisiting classifier two-sample tests, ICLR.
    """
    sides = _matrices(reference, current)
    whole = [side[np.isfinite(side).all(axis=1)] for side in sides]
    lost = [len(side) - len(kept) for side, kept in zip(sides, whole, strict=True)]
    n, m = map(len, whole)
    if min(n, m) < MINIMUM:
        return NoData(
            f"{MINIMUM} whole vectors a side are needed; reference has {n} ({lost[0]} left out), "
            f"current {m} ({lost[1]} left out)"
        )
    ours, theirs = (side[canonical(side)] for side in whole)
    ours, theirs = np.split(_standardized(np.concatenate([ours, theirs])), [n])
    told = cross_fit(
        ours, theirs, partial(discriminant, penalty=_PENALTY * (n + m)), stack=np.concatenate, seed=seed
    )
    random = np.random.default_rng(seed)
    some = (side[random.permutation(len(side))[:_MMD_ROWS]] for side in (ours, theirs))
    return VectorVerdict(
        effect=told.effect,
        interval=told.effect_interval,
        p_value=told.p_value,
        rows_reference=n,
        rows_current=m,
        threshold=threshold,
        alpha=alpha,
        auc=told.auc,
        auc_interval=(told.low, told.high),
        mmd=mmd(*some, permutations=permutations, alpha=alpha, seed=seed),
        dropped_reference=lost[0],
        dropped_current=lost[1],
    )


def matrix(column: Vectors, where: str = "vectors") -> Array:
    """Return vectors as shape (rows, length); NaN where missing, length 0 if all are.

    Raises
    ------
    DataError
        The column does not hold lists of numbers, or their lengths differ.
    """
    if isinstance(column, np.ndarray):
        if column.ndim != 2 or column.dtype.kind not in "fiu":  # noqa: PLR2004 - a matrix
            raise DataError(
                [Problem(where, "must have shape (rows, length), numbers", f"{column.dtype}{column.shape}")]
            )
        return np.array(column, dtype=np.float64)
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pt.is_null(array.type):
        return np.empty((len(array), 0))
    lists = pt.is_list(array.type) or pt.is_large_list(array.type) or pt.is_fixed_size_list(array.type)
    if not lists or not _of_numbers(array.type.value_type):
        raise DataError([Problem(where, "must hold lists of numbers", str(array.type))])
    present = np.asarray(array.is_valid())
    kept = array.drop_null()
    found = np.unique(np.asarray(pa.compute.list_value_length(kept)))
    if len(found) > 1:
        shown = ", ".join(map(str, found[:5]))
        hint = "One column holds the vectors of one model; split it, or pad the vectors where they are made"
        raise DataError([Problem(where, "must hold vectors of one length", f"lengths {shown}", hint)])
    length = int(found[0]) if len(found) else 0
    numbers = pa.compute.list_flatten(kept).cast(pa.float64()).to_numpy(zero_copy_only=False)
    filled = np.full((len(array), length), np.nan)
    filled[present] = numbers.reshape(-1, length) if length else np.empty((int(present.sum()), 0))
    return filled


def _of_numbers(kind: pa.DataType) -> bool:
    return bool(pt.is_floating(kind) or pt.is_integer(kind))


def _matrices(reference: Vectors, current: Vectors) -> tuple[Array, Array]:
    problems: list[Problem] = []
    sides = []
    for where, column in (("reference", reference), ("current", current)):
        try:
            sides.append(matrix(column, where))
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    ours, theirs = sides
    if ours.shape[1] and theirs.shape[1] and ours.shape[1] != theirs.shape[1]:
        found = f"{theirs.shape[1]} numbers a vector, the reference {ours.shape[1]}"
        hint = "Was the embedding model changed? Compare vectors of one model"
        raise DataError([Problem("current", "must have vectors as long as the reference's", found, hint)])
    return _empty_is_missing(ours), _empty_is_missing(theirs)


def _empty_is_missing(side: Array) -> Array:
    return side if side.shape[1] else np.full((len(side), 1), np.nan)


def _standardized(pooled: Array) -> Array:
    low, middle, high = np.quantile(pooled, [0.25, 0.5, 0.75], axis=0)
    unit = (high - low) / 1.349  # of a normal law the standard deviation
    spread = pooled.std(axis=0)
    unit = np.where(unit > 0, unit, np.where(spread > 0, spread, 1))
    standard = np.clip((pooled - middle) / unit, -_REACH, _REACH)
    if pooled.shape[1] <= _WIDE:
        return np.asarray(standard)
    centred = standard - standard.mean(axis=0)
    axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :_WIDE]
    scores = centred @ axes
    return np.asarray(scores / max(float(scores[:, 0].std()), 1e-12))
