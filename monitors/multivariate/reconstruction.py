"""PCA reconstruction error: whether columns still go together as in the reference."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.special import ndtri, stdtr

from monitors.finding import NoData
from monitors.multivariate.auc import LEVEL
from monitors.multivariate.rows import Column, Rows, arrow, canonical, column, pairs
from monitors.multivariate.standardized import Array, Rule, matrix, rule
from monitors.multivariate.verdict import SMALLEST_P, Verdict
from monitors.profiles.counting import columns
from monitors.profiles.plan import Family
from spec.errors import DataError, Problem

Index = npt.NDArray[np.int64]

MINIMUM = 100
"""Rows of a reference: half of them make the components, the other half their own errors."""
MINIMUM_WINDOW = 20
_CAP = 0.999


@dataclass(frozen=True, slots=True, eq=False)
class ReconstructionPlan:
    """Frozen on the reference, to hold against any number of windows.

    Parameters
    ----------
    rules
        How each column becomes numbers: scale, frequent categories, shares of missing values.
    center, components
        Shapes (p,) and (k, p): a row's reconstruction is ``center + (x - center) @ components.T @
        components``.
    explained
        The share of variance that the components hold, in (0, 1].
    errors
        Of the reference rows that the components have not seen, shape (rows,).
    residual
        Mean squared error of each of the p numbers over those rows.
    skipped
        Columns left out, with the reason.
    """

    rules: tuple[Rule, ...]
    center: Array
    components: Array
    explained: float
    errors: Array
    residual: Array
    skipped: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Residual:
    """How much more of a column's variance the components miss, in squared standard units a row."""

    name: str
    growth: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconstructionVerdict(Verdict):
    """A `Verdict` whose effect is `shift` without its sign, with the columns, the largest |growth| first.

    `shift` is positive where current rows are reconstructed worse than the reference's own unseen rows.
    """

    shift: float
    residuals: tuple[Residual, ...]


def reconstruction_plan(
    reference: Rows, *, categorical: Collection[str] = (), variance: float = 0.65, seed: int = 0
) -> ReconstructionPlan | NoData:
    """Learn from the reference which numbers go together, and how well that predicts rows it has not seen.

    Half of the reference, drawn by the seed, gives the scales and the fewest principal components that hold
    `variance` of the total; at least one dimension is left out, for without one there is no error. The
    other half gives the errors, so that under no drift a window's errors have the same law exactly. The
    order of rows does not matter.

    Returns
    -------
    `NoData` with fewer than 100 rows, or if no column can be used or none varies.

    Raises
    ------
    DataError
        `variance` is not in (0, 1), or `categorical` names an unknown column.
    """
    if not 0 < variance < 1:
        raise DataError([Problem("variance", "must lie between 0 and 1", str(variance))])
    table = arrow(reference)
    if len(table) < MINIMUM:
        return NoData(f"{MINIMUM} reference rows are needed, there are {len(table)}")
    paired, skipped = pairs(table, table, categorical)
    if not paired:
        return NoData("no column of the reference holds a value")
    order = _order([pair.reference for pair in paired])
    half = np.random.default_rng(seed).permutation(order)
    learn, hold = np.split(half, [len(half) // 2])
    rules = tuple(
        rule(pair.name, _rows(pair.reference, learn), categorical=pair.categorical) for pair in paired
    )
    numbers = matrix(rules, [pair.reference for pair in paired])
    center = numbers[learn].mean(axis=0)
    found = _components(numbers[learn] - center, variance)
    if isinstance(found, NoData):
        return found
    components, explained = found
    residual = _residual(numbers[hold], center, components)
    return ReconstructionPlan(
        rules, center, components, explained, _lengths(residual), (residual**2).mean(axis=0), skipped
    )


def reconstruction(
    plan: ReconstructionPlan, current: Rows, *, threshold: float = 0.2, alpha: float = 0.05
) -> ReconstructionVerdict | NoData:
    """Tell whether rows are reconstructed as well as the reference's own.

    A row's error is the Euclidean length of what its reconstruction misses, in standard units of the columns.
    shift = (mean error now - mean error of the reference's unseen rows) / standard deviation of the latter;
    effect = |shift|, ≥ 0, without a unit. p is Welch's, two-sided: errors that shrink are a change too. The
    interval is of |shift|, normal.

    Sees: correlations that change, missing values that come or go, unseen categories, values beyond the
    usual. Does not see: a shift along the components (the domain classifier does), nor dependence that no
    line describes.

    Values count up to 5 standard deviations and errors up to the reference's 99.9 %, so one absurd row adds
    little to the mean and nothing to the scale. A constant column that changes is as far as can be (5).
    ±inf is far too.

    Returns
    -------
    `NoData` with fewer than 20 rows.

    Raises
    ------
    DataError
        The rows lack columns of the plan or hold them in another type; all are named.

    Source: Welch (1947), Biometrika 34:28-35; PCA errors for drift as in NannyML's data reconstruction.
    """
    table = arrow(current)
    read = _columns(plan, table)
    if len(table) < MINIMUM_WINDOW:
        return NoData(f"{MINIMUM_WINDOW} rows are needed, there are {len(table)}")
    residual = _residual(matrix(plan.rules, read), plan.center, plan.components)
    cap = float(np.quantile(plan.errors, _CAP, method="higher"))
    before, now = np.minimum(plan.errors, cap), np.sort(np.minimum(_lengths(residual), cap))
    unit = float(before.std(ddof=1))
    if unit == 0:
        return NoData("the reference's errors do not vary, so there is no unit for a change")
    squared = [float(side.var(ddof=1)) / len(side) for side in (before, now)]
    error = sum(squared) ** 0.5
    moved = float(now.mean() - before.mean())
    freedom = sum(squared) ** 2 / (squared[0] ** 2 / (len(before) - 1) + squared[1] ** 2 / (len(now) - 1))
    p_value = max(2 * float(stdtr(freedom, -abs(moved) / error)), SMALLEST_P)
    half = float(ndtri((1 + LEVEL) / 2) * error)
    return ReconstructionVerdict(
        effect=abs(moved) / unit,
        interval=(max(0.0, abs(moved) - half) / unit, (abs(moved) + half) / unit),
        p_value=p_value,
        rows_reference=len(before),
        rows_current=len(now),
        threshold=threshold,
        alpha=alpha,
        shift=moved / unit,
        residuals=_growths(plan, (residual**2).mean(axis=0)),
    )


def _order(read: Sequence[Column]) -> Index:
    """Return an order of the rows by their values: by codes that equal values share."""
    coded = np.zeros((len(read[0].present), len(read)), dtype=np.int64)
    for at, one in enumerate(read):
        values = one.values.astype(str) if one.values.dtype == object else one.values
        coded[one.present, at] = np.unique(values, return_inverse=True)[1] + 1
    return canonical(coded)


def _rows(whole: Column, chosen: Index) -> Column:
    at = np.cumsum(whole.present) - 1
    present = whole.present[chosen]
    return Column(whole.values[at[chosen][present]], present)


def _components(centred: Array, variance: float) -> tuple[Array, float] | NoData:
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    rank = int((values > values[0] * 1e-9).sum()) if values[0] > 0 else 0
    if rank == 0:
        return NoData("no column of the reference varies")
    held = np.cumsum(values) / values.sum()
    count = min(int(np.searchsorted(held, variance)) + 1, rank - 1)
    return np.ascontiguousarray(vectors[:, :count].T), float(held[count - 1]) if count else 0.0


def _residual(numbers: Array, center: Array, components: Array) -> Array:
    centred = numbers - center
    return np.asarray(centred - (centred @ components.T) @ components)


def _lengths(residual: Array) -> Array:
    return np.asarray(np.sqrt((residual**2).sum(axis=1)))


def _columns(plan: ReconstructionPlan, table: pa.Table) -> list[Column]:
    problems = []
    for one in plan.rules:
        found = [field.type for field in table.schema if field.name == one.name]
        family = columns.family(found[0]) if len(found) == 1 else None
        if len(found) != 1:
            problems.append(
                Problem(f"column {one.name!r}", "must be in the rows, once", f"{len(found)} times")
            )
        elif family is None or (family is Family.STRING and not one.categorical):
            kind = "categories" if one.categorical else "numbers"
            problems.append(
                Problem(f"column {one.name!r}", f"must hold {kind}, as in the reference", str(found[0]))
            )
    if problems:
        raise DataError(problems)
    return [column(table[one.name], categorical=one.categorical) for one in plan.rules]


def _growths(plan: ReconstructionPlan, residual: Array) -> tuple[Residual, ...]:
    ends = np.cumsum([one.width for one in plan.rules])
    growth = [float(part.sum()) for part in np.split(residual - plan.residual, ends[:-1])]
    ranked = np.argsort(-np.abs(growth), kind="stable")
    return tuple(Residual(plan.rules[at].name, growth[at]) for at in ranked)
