"""Maximum mean discrepancy: the distance of two samples of vectors in the space of an RBF kernel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincc, ndtri

from monitors.finding import NoData
from monitors.multivariate.auc import LEVEL
from monitors.multivariate.rows import canonical
from monitors.multivariate.verdict import SMALLEST_P, Verdict
from spec.errors import InputError, Problem

Array = npt.NDArray[np.float64]

MINIMUM = 20
"""Rows a side below which nothing is said."""
_BLOCK = 512  # rows of the kernel matrix that exist at once
_BANDWIDTH_ROWS = 1000
_FAR = 1e100  # a coordinate beyond counts as just this far, so that squares stay finite
_COUNTED = 10  # permutations at or above the statistic from which their share is trusted as p


@dataclass(frozen=True, slots=True, kw_only=True)
class MmdVerdict(Verdict):
    """A `Verdict` whose effect is √max(0, MMD²), with the unbiased MMD² itself and the kernel's bandwidth.

    `counted` tells how `p_value` was found: counted among `permutations`, or read from the tail of the
    Pearson III law with the permutations' mean, variance and skewness.
    """

    mmd2: float
    bandwidth: float
    permutations: int
    counted: bool


def mmd(
    reference: Array,
    current: Array,
    *,
    bandwidth: float | None = None,
    permutations: int = 999,
    threshold: float = 0.05,
    alpha: float = 0.05,
    seed: int = 0,
) -> MmdVerdict | NoData:
    """Tell whether vectors have another distribution, with no model to fit.

    MMD² = mean k(x, x') + mean k(y, y') - 2 mean k(x, y), over x ≠ x' and y ≠ y': unbiased, so about 0 (or
    just below) where nothing differs. k(a, b) = exp(-|a - b|²/(2h²)); h is the median distance of both
    samples pooled. effect = √max(0, MMD²), in [0, √2], without a unit, unchanged by rotation and by one
    scale for all columns; bring columns of different units to one scale before. The interval is normal:
    4·var(witness)/n of each side plus the permutations' variance.

    p_value: sides are permuted; p = (1 + count of statistics ≥ ours)/(1 + permutations), which is exact.
    Where fewer than ten reach ours, p is the Pearson III tail with the permutations' first three moments,
    so that it can be as small as a false-alarm budget asks.

    k is bounded, so one extreme row, however far, weighs 1/n. A constant sample is fine; if all rows on
    both sides are equal, effect is 0 and p is 1. The order of rows does not matter. Memory is linear in the
    rows, time (n + m)²·(columns + permutations): give 2,000 rows a side.

    Parameters
    ----------
    reference, current
        Shapes (n, columns) and (m, columns), finite. Not changed.

    Returns
    -------
    `NoData` with fewer than 20 rows a side.

    Raises
    ------
    InputError
        The shapes do not fit, a value is not finite, or bandwidth or permutations are not positive.

    Sources: Gretton et al. (2012), A kernel two-sample test, JMLR 13:723-773, eq. 3; Mielke, Berry (2007),
    Permutation methods, §2.3 (Pearson III).
    """
    _check(reference, current, bandwidth, permutations)
    n, m = len(reference), len(current)
    if min(n, m) < MINIMUM:
        return NoData(f"{MINIMUM} rows a side are needed; reference has {n}, current {m}")
    rows = np.concatenate([side[canonical(side)] for side in map(_plain, (reference, current))])
    width = bandwidth or _median_distance(rows[canonical(rows)], seed) or 1.0
    squares, witness = _statistics(rows, _sides(n, m, permutations, seed), n, width)
    ours, others = float(squares[0]), squares[1:]
    p_value, counted = _p_value(ours, others)
    spread = 4 * (witness[:n].var(ddof=1) / n + witness[n:].var(ddof=1) / m) + others.var()
    half = float(ndtri((1 + LEVEL) / 2)) * float(spread) ** 0.5
    low, effect, high = (max(0.0, square) ** 0.5 for square in (ours - half, ours, ours + half))
    return MmdVerdict(
        effect=effect,
        interval=(low, min(high, 2**0.5)),
        p_value=p_value,
        rows_reference=n,
        rows_current=m,
        threshold=threshold,
        alpha=alpha,
        mmd2=ours,
        bandwidth=width,
        permutations=permutations,
        counted=counted,
    )


def _sides(n: int, m: int, permutations: int, seed: int) -> Array:
    """Return a column a permutation, which is 1 for the rows that it calls current; the first is as given."""
    is_current = np.zeros((n + m, permutations + 1))
    is_current[n:, 0] = 1
    random = np.random.default_rng(seed)
    is_current[:, 1:] = random.permuted(np.repeat(is_current[:, :1], permutations, axis=1), axis=0)
    return is_current


def _check(reference: Array, current: Array, bandwidth: float | None, permutations: int) -> None:
    problems = []
    for where, side in (("reference", reference), ("current", current)):
        if side.ndim != 2:  # noqa: PLR2004 - a matrix
            problems.append(Problem(where, "must have shape (rows, columns)", str(side.shape)))
        elif not np.isfinite(side).all():
            problems.append(
                Problem(where, "must be finite", "NaN or infinite values", "Leave those rows out")
            )
    if reference.ndim == current.ndim and reference.shape[1:] != current.shape[1:]:
        problems.append(
            Problem("current", f"must have {reference.shape[1:]} columns", f"{current.shape[1:]}")
        )
    if bandwidth is not None and not bandwidth > 0:
        problems.append(Problem("bandwidth", "must be positive", str(bandwidth)))
    if permutations < 1:
        problems.append(Problem("permutations", "must be positive", str(permutations)))
    if problems:
        raise InputError(problems)


def _plain(side: Array) -> Array:
    return np.ascontiguousarray(side, dtype=np.float64)


def _near_origin(rows: Array) -> Array:
    """Return rows about their median: about a mean, one absurd row would round all distances away."""
    return np.asarray(np.clip(rows - np.median(rows, axis=0), -_FAR, _FAR))


def _squared_distances(some: Array, rows: Array) -> Array:
    norms = np.einsum("ij,ij->i", rows, rows)
    theirs = np.einsum("ij,ij->i", some, some)
    return np.asarray(np.maximum(theirs[:, None] + norms - 2 * some @ rows.T, 0))


def _median_distance(pooled: Array, seed: int) -> float:
    """Return the median distance of two rows, of a sample that knows no sides; if 0, the mean otherwise."""
    chosen = np.random.default_rng(seed).permutation(len(pooled))[:_BANDWIDTH_ROWS]
    some = _near_origin(pooled[chosen])
    squares = _squared_distances(some, some)[np.triu_indices(len(chosen), k=1)]
    median = float(np.median(squares))
    if median == 0 and squares.any():
        median = float(squares[squares > 0].mean())
    return float(median**0.5)


def _statistics(rows: Array, is_current: Array, n: int, width: float) -> tuple[Array, Array]:
    """Return MMD² of every column of `is_current`, and the witness of each row for the first.

    With K off its diagonal and sums over ordered pairs, within = yᵀKy of the current, and of the reference by
    total - 2·Σ(Ky) + yᵀKy; one product of a block of K with all sides gives all.
    """
    total, m = len(rows), len(rows) - n
    within = np.zeros(is_current.shape[1])
    touching = np.zeros(is_current.shape[1])
    everything = 0.0
    witness = np.empty(total)
    centred = _near_origin(rows)
    for start in range(0, total, _BLOCK):
        block = slice(start, min(start + _BLOCK, total))
        kernel = np.exp(-_squared_distances(centred[block], centred) / (2 * width**2))
        kernel[np.arange(block.stop - start), np.arange(start, block.stop)] = 0
        toward = kernel @ is_current
        within += np.einsum("ij,ij->j", is_current[block], toward)
        touching += toward.sum(axis=0)
        everything += float(kernel.sum())
        near = toward[:, 0]
        mine = is_current[block, 0] == 1
        among = kernel.sum(axis=1) - near
        witness[block] = among / np.where(mine, n, n - 1) - near / np.where(mine, m - 1, m)
    across = touching - within
    reference = everything - 2 * touching + within
    squares = reference / (n * (n - 1)) + within / (m * (m - 1)) - 2 * across / (n * m)
    return squares, witness


def _p_value(ours: float, others: Array) -> tuple[float, bool]:
    rounding = 1e-12
    reached = int((others >= ours - rounding).sum())
    counted = (1 + reached) / (1 + len(others))
    deviation = float(others.std())
    if reached >= _COUNTED or deviation <= rounding:
        return counted, True
    z = (others - others.mean()) / deviation
    error = (6 / len(others)) ** 0.5
    skewness = (
        max(float((z**3).mean()), 0.0) + error
    )  # one standard error up: the tail errs to the large side
    shape = 4 / skewness**2
    above = shape + (ours - float(others.mean())) / deviation * 2 / skewness
    tail = float(gammaincc(shape, max(above, 0.0)))
    return min(max(tail, SMALLEST_P), 1.0), False
