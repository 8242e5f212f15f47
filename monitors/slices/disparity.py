"""How far apart the rates of groups lie, with bounds that know that the largest of many differences is luck.

The largest difference between any two groups is above zero even where all are served alike, and more so
the more groups there are. Its lower bound therefore holds for all pairs of groups at once (max-t); its
upper bound needs no such correction, since it must only hold for the pair that truly differs most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monitors.finding import NoData
from monitors.slices.contrast import effective_blocks
from monitors.slices.days import resampled
from monitors.slices.losses import Array

RESAMPLES = 400
_TINY = 1e-150  # a spread that is above 0 and can be squared


@dataclass(frozen=True, slots=True)
class Rate:
    """One rate of several groups, such as the share of positives that are found.

    Parameters
    ----------
    name
        Such as ``true_positive_rate``.
    groups
        Names of the groups.
    hits, n
        Sums and number of rows by group and block; shape (groups, blocks); each group has rows.
    variance
        Of each group's rate if its rows were independent; shape (groups,).
    """

    name: str
    groups: tuple[str, ...]
    hits: Array
    n: Array
    variance: Array

    @classmethod
    def of_hits(cls, name: str, groups: tuple[str, ...], hits: Array, n: Array) -> Rate:
        """Make a rate of yes and no, its variance as of two hits and two misses more (Agresti and Caffo)."""
        rows = n.sum(axis=1) + 4
        share = (hits.sum(axis=1) + 2) / rows
        return cls(name, groups, hits, n, share * (1 - share) / rows)

    @property
    def by_group(self) -> Array:
        """The rate of each group; shape (groups,)."""
        return np.asarray(self.hits.sum(axis=1) / self.n.sum(axis=1), dtype=float)

    def resampled(self, weights: Array) -> Array:
        """Return the rates of resamples, shape (resamples, groups); NaN where a group has no rows."""
        n = weights @ self.n.T
        return np.where(n > 0, (weights @ self.hits.T) / np.where(n > 0, n, 1), np.nan)


@dataclass(frozen=True, slots=True)
class Disparity:
    """The largest difference of any rate between two groups, and bounds, each at the confidence one-sided."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class _Pairs:
    """All ordered pairs of groups of all rates; shape (pairs,) but for `drawn`, (resamples, pairs).

    `spread` is that of the resamples; `error` the standard error that it stands for, or that of independent
    rows if it is larger.
    """

    value: Array
    drawn: Array
    spread: Array
    error: Array
    degrees: Array


def disparity(rates: Sequence[Rate], confidence: float) -> Disparity | NoData:
    """Return the largest difference of any of the rates between two groups.

    Parameters
    ----------
    rates
        Of the same blocks; those with a single group say nothing.
    confidence
        Of each bound: P(truth < low) and P(truth > high) are 1 - confidence at most.

    Returns
    -------
    In the unit of the rates, low ≥ 0. NoData without two groups.

    References
    ----------
    Romano and Wolf (2005), JASA 100, for max-t; Berger (1982), Technometrics 24, for the upper bound
    (intersection-union). Quantiles of the resamples are turned into Student's of the groups' days.
    """
    from scipy.special import ndtr, stdtrit  # noqa: PLC0415 - only the daemon needs it

    told = [rate for rate in rates if len(rate.groups) > 1]
    if not told:
        return NoData("there are no two groups with enough rows")
    pairs = _pairs(told)
    deviation = np.nan_to_num(np.abs(pairs.drawn - pairs.value)) / pairs.spread
    largest = float(np.quantile(deviation.max(axis=1), confidence))
    simultaneous = stdtrit(pairs.degrees, min(float(ndtr(largest)), 1 - 1e-12))
    alone = stdtrit(pairs.degrees, confidence)
    low = float((pairs.value - simultaneous * pairs.error).max())
    return Disparity(
        float(pairs.value.max()), max(low, 0.0), float((pairs.value + alone * pairs.error).max())
    )


def difference(ours: Sequence[Rate], theirs: Sequence[Rate], confidence: float) -> Disparity | NoData:
    """Return by how much the largest difference of `ours` lies above that of `theirs`, of the same rows.

    Both are resampled together, so that what a day does to both cancels. Negative is an improvement.
    """
    from scipy.special import stdtrit  # noqa: PLC0415 - only the daemon needs it

    told = [[rate for rate in rates if len(rate.groups) > 1] for rates in (ours, theirs)]
    if not all(told):
        return NoData("there are no two groups with enough rows")
    one, other = (_pairs(rates) for rates in told)
    value = float(one.value.max() - other.value.max())
    drawn = np.nanmax(one.drawn, axis=1) - np.nanmax(other.drawn, axis=1)
    blocks = told[0][0].n.shape[1]
    error = float(drawn.std(ddof=1)) * (blocks / (blocks - 1)) ** 0.5
    degrees = float(min(one.degrees.min(), other.degrees.min()))
    reach = float(stdtrit(degrees, confidence)) * error
    return Disparity(value, value - reach, value + reach)


def _pairs(rates: Sequence[Rate]) -> _Pairs:
    weights = resampled(rates[0].n.shape[1], RESAMPLES)[1:]
    parts = [_pairs_of(rate, weights) for rate in rates]
    return _Pairs(
        np.concatenate([part.value for part in parts]),
        np.concatenate([part.drawn for part in parts], axis=1),
        np.concatenate([part.spread for part in parts]),
        np.concatenate([part.error for part in parts]),
        np.concatenate([part.degrees for part in parts]),
    )


def _pairs_of(rate: Rate, weights: Array) -> _Pairs:
    one, other = (places.ravel() for places in np.indices((len(rate.groups),) * 2))
    one, other = one[one != other], other[one != other]
    of_group, drawn = rate.by_group, rate.resampled(weights)
    apart = drawn[:, one] - drawn[:, other]
    blocks = weights.shape[1]
    spread = np.nanstd(apart, axis=0, ddof=1)
    of_rows = np.sqrt(rate.variance[one] + rate.variance[other])
    degrees = np.maximum(effective_blocks(rate.n) - 1, 1)
    return _Pairs(
        of_group[one] - of_group[other],
        apart,
        np.maximum(spread, _TINY),
        np.maximum.reduce([spread * (blocks / (blocks - 1)) ** 0.5, of_rows, np.full(len(one), _TINY)]),
        np.minimum(degrees[one], degrees[other]),
    )
