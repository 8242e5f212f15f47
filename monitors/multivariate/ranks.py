"""Ranks of numeric columns, graded on the reference, and how surely rows tell their correlations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitors.multivariate.rows import Column, Pair

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class RankMoments:
    """What rows say of the correlations of c columns of ranks; all of shape (c, c).

    Parameters
    ----------
    n
        Rows that hold both columns.
    rho
        The correlations, in [-1, 1]; NaN where a column is constant.
    inflation
        How many times larger the variance of atanh(rho) is than Bonett and Wright's (1 + rho²/2)/n, 1 or
        more.
    """

    n: Ints
    rho: Floats
    inflation: Floats


def graded(pairs: Sequence[Pair]) -> tuple[Floats, Floats]:
    """Return both sides' mid-ranks among the reference's values, shapes (rows, columns), NaN where missing.

    A rank is P(below) + ½ P(equal) - ½ in the reference, in [-½, ½], so that neither the marginals of
    current rows nor one absurd value can fake or hide a change of dependence.
    """
    sides: tuple[list[Floats], list[Floats]] = ([], [])
    for pair in pairs:
        ordered = np.sort(pair.reference.values)
        for side, ranked in zip((pair.reference, pair.current), sides, strict=True):
            ranked.append(_mid_ranks(side, ordered))
    reference, current = (np.column_stack(ranked) for ranked in sides)
    return reference, current


def moments(ranks: Floats) -> RankMoments:
    """Return the correlations of columns of ranks, pair by pair over the rows that hold both.

    With a and b standardized, a row moves rho by f = a·b - rho·(a² + b²)/2, so the variance of rho is
    var(f)/n without any assumption on the dependence. Bonett and Wright's formula is about the same for
    normal copulas, and two to four times too small where columns have two values or many zeros and hang
    together, or share their volatility.

    Source: Steiger, Hakstian (1982), British Journal of Mathematical and Statistical Psychology 35:208-215.
    """
    present = ~np.isnan(ranks)
    there = present.astype(np.float64)
    filled = np.where(present, ranks, 0.0)
    n = there.T @ there
    rows = np.maximum(n, 1)
    mean = filled.T @ there / rows  # of the row's column, over the rows that hold the other too
    overall = np.diag(mean)
    centred = np.where(present, filled - overall, 0.0)
    shift = mean - overall[:, None]
    variance = (centred**2).T @ there / rows - shift**2
    covariance = centred.T @ centred / rows - shift * shift.T
    with np.errstate(invalid="ignore", divide="ignore"):
        rho = np.clip(covariance / np.sqrt(variance * variance.T), -1, 1)
    rho[(variance <= 0) | (variance.T <= 0)] = np.nan
    return RankMoments(n.astype(np.int64), rho, _inflation(centred, there, rows, rho))


def _mid_ranks(side: Column, ordered: npt.NDArray[np.generic]) -> Floats:
    ranks = np.full(len(side.present), np.nan)
    if len(ordered):
        count = np.searchsorted(ordered, side.values, "left") + np.searchsorted(ordered, side.values, "right")
        ranks[side.present] = count / (2 * len(ordered)) - 0.5
    return ranks


def _inflation(centred: Floats, there: Floats, rows: Floats, rho: Floats) -> Floats:
    deviation = np.sqrt((centred**2).sum(axis=0) / np.maximum(there.sum(axis=0), 1))
    one = centred / np.where(deviation > 0, deviation, 1)
    squares = one**2
    both = squares.T @ squares / rows
    cubes = (one**3).T @ one / rows
    fourth = (squares**2).T @ there / rows
    influence = both - rho * (cubes + cubes.T) + rho**2 / 4 * (fourth + 2 * both + fourth.T)
    expected = (1 - rho**2) ** 2 * (1 + rho**2 / 2)
    known = np.isfinite(rho) & (expected > 1e-9)  # noqa: PLR2004 - beyond, rho is ±1
    ratio = np.divide(influence, expected, out=np.ones_like(rho), where=known)
    return np.asarray(np.maximum(ratio, 1.0))
