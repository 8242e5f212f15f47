"""Correlations that changed: two matrices of Spearman's rho, pair by pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from monitors.finding import NoData
from monitors.laws.false_discovery import Adjusted, benjamini_hochberg
from monitors.multivariate.auc import LEVEL
from monitors.multivariate.ranks import graded, moments
from monitors.multivariate.rows import Rows, arrow, pairs
from monitors.multivariate.verdict import SMALLEST_P, Verdict
from monitors.profiles.counting.cross import CrossMoments
from spec.errors import InputError, Problem

Floats = npt.NDArray[np.float64]
Counts: TypeAlias = int | npt.NDArray[np.int64]
Inflation: TypeAlias = float | npt.NDArray[np.float64]

MINIMUM = 20
"""Rows a side that hold both columns of a pair; below, Fisher's z is not normal enough."""
_CLIP = 1 - 1e-9


@dataclass(frozen=True, slots=True)
class PairShift:
    """How a pair's rho moved: p for it alone; q is p after Benjamini-Hochberg over all."""

    first: str
    second: str
    rho_reference: float
    rho_current: float
    p_value: float
    q_value: float

    @property
    def shift(self) -> float:
        """The current rho less the reference's, in [-2, 2]."""
        return self.rho_current - self.rho_reference


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelationVerdict(Verdict):
    """A `Verdict` whose effect is the largest |change of rho|, with all pairs, the most changed first.

    `skipped` says why pairs were left out, by "first × second".
    """

    pairs: tuple[PairShift, ...]
    skipped: dict[str, str]


def correlation_of_rows(
    reference: Rows, current: Rows, *, threshold: float = 0.2, alpha: float = 0.05
) -> CorrelationVerdict | NoData:
    """Return `correlation` of the numeric columns of two samples of rows.

    Ranks are graded on the reference (`ranks.graded`), so rho of the reference is Spearman's. The variances
    carry the larger of both sides' inflation, measured on the rows, so the p-values hold whatever the
    dependence. Missing values and NaN count for no pair of their column; the order of rows does not matter;
    inputs stay as they are.

    Raises
    ------
    DataError
        The samples share no column.
    """
    paired, _ = pairs(arrow(reference), arrow(current))
    numeric = [pair for pair in paired if not pair.categorical]
    if len(numeric) < 2:  # noqa: PLR2004 - a pair
        return NoData(f"two numeric columns are needed; the samples share {len(numeric)}")
    before, now = map(moments, graded(numeric))
    return correlation(
        [pair.name for pair in numeric],
        before.rho,
        before.n,
        now.rho,
        now.n,
        inflation=np.maximum(before.inflation, now.inflation),
        threshold=threshold,
        alpha=alpha,
    )


def correlation_of_profiles(
    reference: CrossMoments,
    current: CrossMoments,
    *,
    inflation: Inflation = 1.0,
    threshold: float = 0.2,
    alpha: float = 0.05,
) -> CorrelationVerdict | NoData:
    """Return `correlation` of two profiles' `cross`, both counted by the reference's plan.

    rho is of mid-ranks graded from -63 to 63 in the reference: of continuous columns it is within 0.005 of
    the rho of all values. Rows that lack a column count for the other pairs only. Moments of second order
    do not tell the variance of rho: take `inflation` from a sample of the reference (`ranks.moments`),
    times the design effect of its blocks.

    Raises
    ------
    InputError
        The profiles are of different columns.
    """
    if reference.names != current.names:
        found = f"{', '.join(reference.names)} and {', '.join(current.names)}"
        raise InputError(
            [Problem("cross moments", "must be of the same columns", found, "Use one plan for both")]
        )
    return correlation(
        reference.names,
        reference.spearman(),
        reference.n,
        current.spearman(),
        current.n,
        inflation=inflation,
        threshold=threshold,
        alpha=alpha,
    )


def correlation(  # noqa: PLR0913 - two matrices with their sizes, and the limits
    names: Sequence[str],
    rho_reference: Floats,
    n: Counts,
    rho_current: Floats,
    m: Counts,
    *,
    inflation: Inflation = 1.0,
    threshold: float = 0.2,
    alpha: float = 0.05,
) -> CorrelationVerdict | NoData:
    """Tell which pairs of columns no longer go together as they did.

    Of each pair z = (atanh r' - atanh r) / √(inflation·((1 + r²/2)/(n - 3) + (1 + r'²/2)/(m - 3))),
    two-sided. effect = the largest |change of rho| over pairs, in [0, 2], without a unit; its interval is
    Zou's of that pair, at 95 % for all pairs together. p_value = pairs × the smallest p (Bonferroni): valid
    however the pairs depend. Each pair has its own Benjamini-Hochberg q.

    Blind to shifts of the marginals by nature, and to dependence that is not monotone. A pair with a
    constant column on either side, or with fewer than 20 rows that hold both, is skipped and named. Ranks
    make an extreme row one row among others.

    Parameters
    ----------
    names
        Of c columns, two or more.
    rho_reference, rho_current
        Shape (c, c), in [-1, 1]; NaN where undefined. Not changed.
    n, m
        Rows behind each rho, one number or shape (c, c).
    inflation
        Of the variance, one number or shape (c, c). At 1 the level holds for normal copulas and ordered
        scales; columns of two values or of many zeros that hang together reject up to 18 % of the time at 5
        %.

    Returns
    -------
    `NoData` if no pair can be compared.

    Raises
    ------
    InputError
        A matrix is not of shape (c, c) or leaves [-1, 1].

    Sources: Bonett, Wright (2000), Psychometrika 65:23-28 (the variance); Zou (2007), Psychological Methods
    12:399-413 (the interval).
    """
    _check(len(names), rho_reference=rho_reference, rho_current=rho_current)
    rows, columns = np.triu_indices(len(names), k=1)
    before, now = rho_reference[rows, columns], rho_current[rows, columns]
    shape = (len(names), len(names))
    n_each, m_each, inflated = (
        np.broadcast_to(np.asarray(each), shape)[rows, columns] for each in (n, m, inflation)
    )
    reasons = _reasons(before, now, np.minimum(n_each, m_each))
    labels = [(names[int(row)], names[int(column)]) for row, column in zip(rows, columns, strict=True)]
    used = np.flatnonzero(reasons == "")
    if not len(used):
        return NoData(f"no pair of columns varies on both sides in {MINIMUM} rows or more")
    both = _Rhos(*(each[used] for each in (before, now, n_each, m_each, inflated)))
    p_values = both.p_values()
    ranked = np.argsort(-np.abs(both.now - both.before), kind="stable")
    shown = (both.before, both.now, p_values, _q_values(p_values))
    return CorrelationVerdict(
        effect=float(np.abs(both.now - both.before).max()),
        interval=both.interval(int(ranked[0])),
        p_value=min(1.0, float(p_values.min()) * len(used)),
        rows_reference=int(both.n.max()),
        rows_current=int(both.m.max()),
        threshold=threshold,
        alpha=alpha,
        pairs=tuple(PairShift(*labels[used[at]], *(float(each[at]) for each in shown)) for at in ranked),
        skipped={
            " × ".join(label): str(reason) for label, reason in zip(labels, reasons, strict=True) if reason
        },
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Rhos:
    """The pairs that can be compared; all of shape (pairs,)."""

    before: Floats
    now: Floats
    n: Floats
    m: Floats
    inflation: Floats

    def p_values(self) -> Floats:
        deviation = np.hypot(*self._deviations())
        moved = _fisher(self.now) - _fisher(self.before)
        return np.asarray(np.clip(2 * ndtr(-np.abs(moved) / deviation), SMALLEST_P, 1))

    def interval(self, at: int) -> tuple[float, float]:
        """Return Zou's interval of one shift as one of its size, from those of each rho by Fisher's z."""
        reach = float(ndtri(1 - (1 - LEVEL) / 2 / len(self.now)))
        before, now = (float(rho[at]) for rho in (self.before, self.now))
        around = [
            np.tanh(_fisher(np.array(rho)) + reach * deviation[at] * np.array([-1, 1]))
            for rho, deviation in zip((before, now), self._deviations(), strict=True)
        ]
        shift = now - before
        lower = shift - float(np.hypot(now - around[1][0], around[0][1] - before))
        upper = shift + float(np.hypot(around[1][1] - now, before - around[0][0]))
        low, high = sorted((abs(lower), abs(upper)))
        return (0.0 if lower <= 0 <= upper else low), min(high, 2.0)

    def _deviations(self) -> tuple[Floats, Floats]:
        before, now = (
            np.sqrt(self.inflation * (1 + rho**2 / 2) / (size - 3))
            for rho, size in ((self.before, self.n), (self.now, self.m))
        )
        return before, now


def _q_values(p_values: Floats) -> Floats:
    named: dict[str, float | NoData] = {str(at): float(p) for at, p in enumerate(p_values)}
    adjusted = benjamini_hochberg(named, 1 - LEVEL).values()
    return np.array([one.p_value for one in adjusted if isinstance(one, Adjusted)])


def _reasons(before: Floats, now: Floats, fewest: Floats) -> npt.NDArray[np.str_]:
    undefined = np.where(np.isnan(before) | np.isnan(now), "constant on a side", "")
    return np.where(fewest < MINIMUM, f"fewer than {MINIMUM} rows hold both", undefined)


def _fisher(rho: Floats) -> Floats:
    return np.asarray(np.arctanh(np.clip(rho, -_CLIP, _CLIP)))


def _check(columns: int, **matrices: Floats) -> None:
    problems = []
    for where, matrix in matrices.items():
        if np.shape(matrix) != (columns, columns):
            problems.append(Problem(where, f"must have shape ({columns}, {columns})", str(np.shape(matrix))))
        elif np.nanmax(np.abs(matrix), initial=0) > 1 + 1e-9:
            problems.append(Problem(where, "must lie in [-1, 1]", f"{np.nanmax(np.abs(matrix)):.3g}"))
    if problems:
        raise InputError(problems)
