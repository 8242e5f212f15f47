"""Correlations that changed: two matrices of Spearman's rho, pair by pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from monitors.cross import CrossMoments
from monitors.finding import NoData
from monitors.multivariate.auc import LEVEL
from monitors.multivariate.verdict import SMALLEST_P, Verdict
from spec.errors import InputError, Problem

Floats = npt.NDArray[np.float64]
Counts = int | npt.NDArray[np.int64]

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


def correlation_of_profiles(
    reference: CrossMoments, current: CrossMoments, *, threshold: float = 0.2, alpha: float = 0.05
) -> CorrelationVerdict | NoData:
    """Return `correlation` of two profiles' `cross`, both counted by the reference's plan.

    rho is of mid-ranks graded from -63 to 63 in the reference: of continuous columns it is within 0.005 of
    the rho of all values. Rows that lack a column count for the other pairs only.
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
        threshold=threshold,
        alpha=alpha,
    )


def correlation(
    names: Sequence[str],
    rho_reference: Floats,
    n: Counts,
    rho_current: Floats,
    m: Counts,
    *,
    threshold: float = 0.2,
    alpha: float = 0.05,
) -> CorrelationVerdict | NoData:
    """Tell which pairs of columns no longer go together as they did.

    Of each pair z = (atanh r' - atanh r) / √((1 + r²/2)/(n - 3) + (1 + r'²/2)/(m - 3)), two-sided. effect =
    the largest |change of rho| over pairs, in [0, 2], without a unit; its interval is Zou's of that pair,
    at 95 % for all pairs together. p_value = pairs × the smallest p (Bonferroni): valid however the pairs
    depend. Each pair has its own Benjamini-Hochberg q.

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

    Returns
    -------
    `NoData` if no pair can be compared.

    Raises
    ------
    InputError
        A matrix is not of shape (c, c) or leaves [-1, 1].

    Sources: Bonett, Wright (2000), Psychometrika 65:23-28, eq. 4 (the variance, good for |rho| < 0.95 or
    so); Zou (2007), Psychological Methods 12:399-413 (the interval).
    """
    _check(len(names), rho_reference=rho_reference, rho_current=rho_current)
    rows, columns = np.triu_indices(len(names), k=1)
    before, now = rho_reference[rows, columns], rho_current[rows, columns]
    shape = (len(names), len(names))
    sizes = [np.broadcast_to(np.asarray(size), shape)[rows, columns] for size in (n, m)]
    fewest = np.minimum(*sizes)
    reasons = np.where(fewest < MINIMUM, f"fewer than {MINIMUM} rows hold both", "")
    undefined = np.isnan(before) | np.isnan(now)
    reasons = np.where(undefined & (fewest >= MINIMUM), "constant on a side", reasons)
    labels = [(names[int(row)], names[int(column)]) for row, column in zip(rows, columns, strict=True)]
    skipped = {
        " × ".join(label): str(reason) for label, reason in zip(labels, reasons, strict=True) if reason
    }
    used = np.flatnonzero(reasons == "")
    if not len(used):
        return NoData(f"no pair of columns varies on both sides in {MINIMUM} rows or more")
    before, now, sizes = before[used], now[used], [size[used] for size in sizes]
    p_values = _p_values(before, now, sizes)
    q_values = _benjamini_hochberg(p_values)
    ranked = np.argsort(-np.abs(now - before), kind="stable")
    top = ranked[0]
    return CorrelationVerdict(
        effect=float(abs(now[top] - before[top])),
        interval=_interval(before[top], now[top], [float(size[top]) for size in sizes], len(used)),
        p_value=min(1.0, float(p_values.min()) * len(used)),
        rows_reference=int(sizes[0].max()),
        rows_current=int(sizes[1].max()),
        threshold=threshold,
        alpha=alpha,
        pairs=tuple(
            PairShift(*labels[used[at]], *(float(each[at]) for each in (before, now, p_values, q_values)))
            for at in ranked
        ),
        skipped=skipped,
    )


def _check(columns: int, **matrices: Floats) -> None:
    problems = []
    for where, matrix in matrices.items():
        if np.shape(matrix) != (columns, columns):
            problems.append(Problem(where, f"must have shape ({columns}, {columns})", str(np.shape(matrix))))
        elif np.nanmax(np.abs(matrix), initial=0) > 1 + 1e-9:
            problems.append(Problem(where, "must lie in [-1, 1]", f"{np.nanmax(np.abs(matrix)):.3g}"))
    if problems:
        raise InputError(problems)


def _deviation(rho: Floats, size: Floats) -> Floats:
    return np.asarray(np.sqrt((1 + rho**2 / 2) / (size - 3)))


def _p_values(before: Floats, now: Floats, sizes: Sequence[Floats]) -> Floats:
    deviation = np.hypot(_deviation(before, sizes[0]), _deviation(now, sizes[1]))
    moved = np.arctanh(np.clip(now, -_CLIP, _CLIP)) - np.arctanh(np.clip(before, -_CLIP, _CLIP))
    return np.asarray(np.clip(2 * ndtr(-np.abs(moved) / deviation), SMALLEST_P, 1))


def _benjamini_hochberg(p_values: Floats) -> Floats:
    order = np.argsort(p_values)
    stepped = p_values[order] * len(p_values) / np.arange(1, len(p_values) + 1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(1, np.minimum.accumulate(stepped[::-1])[::-1])
    return adjusted


def _interval(before: float, now: float, sizes: Sequence[float], pairs: int) -> tuple[float, float]:
    """Return Zou's interval of the shift as one of its size, from those of each rho by Fisher's z."""
    reach = float(ndtri(1 - (1 - LEVEL) / 2 / pairs))
    rho = np.array([before, now])
    half = reach * _deviation(rho, np.array(sizes))
    middle = np.arctanh(np.clip(rho, -_CLIP, _CLIP))
    low, high = np.tanh(middle - half), np.tanh(middle + half)
    shift = now - before
    lower = shift - np.hypot(now - low[1], high[0] - before)
    upper = shift + np.hypot(high[1] - now, before - low[0])
    if lower <= 0 <= upper:
        return 0.0, float(max(-lower, upper))
    return float(min(abs(lower), abs(upper))), float(max(abs(lower), abs(upper)))
