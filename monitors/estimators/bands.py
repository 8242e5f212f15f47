"""95 % bands of an expected metric: what the metric of this very window will be once its labels are in.

Sources, in quadrature:

- sampling: labels fall out one way or the other, Σ v_i / rows², plus what rows of one block share (`Excess`);
- calibration: the estimator was learnt from so many rows; the spread over resampled blocks of them;
- what wanders within the reference: all of it times what later stretches missed (`backtest`, `widening`);
- what no reference can show: past windows whose labels came in after all (`corrected`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from monitors.estimators import blocks
from monitors.estimators.blocks import Times
from monitors.metrics import DEFINITIONS, Array
from spec import PerformanceMetric

LEVEL = 0.95
HALF_LIVES = (0.0, 1.0, 3.0, 10.0)
"""Windows after which a miss counts half in the shift; 0 is no shift."""
MEMORY = 5.0
"""Windows after which an error of the shift counts half in the band."""
_PRIOR = 3.0
"""Past windows that the stated variance is worth beside those that were seen."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A metric that is expected of `rows` rows without labels, with the 95 % band of its realised value.

    `method` is ``cbpe``, ``pape`` or ``loss_model``, followed by ``+labels`` once past labels moved it.
    """

    value: float
    low: float
    high: float
    rows: int
    method: str


@dataclass(frozen=True, slots=True)
class Pair:
    """What was expected of a past window, before any correction, and what its labels showed later."""

    expected: Expected
    realised: float


@dataclass(frozen=True, slots=True)
class Excess:
    """How far the mean residual of a block strays beyond what its rows alone would give.

    `variances` maps the length of blocks in microseconds to the variance of their common part, 0 or more.
    """

    variances: Mapping[int, float]

    @classmethod
    def of(cls, residuals: Array, times: Times | None) -> Excess:
        """Measure it on reference rows, for blocks of one, two, four … days, ten blocks or more of each.

        The covariance of two rows of a block: Σ_b (S_b² - Σ r²) / Σ_b n_b·(n_b - 1), S_b = Σ r; at least 0.

        Parameters
        ----------
        residuals
            Of rows that the estimator has not seen, centred by its expectation, shape (rows,).
        """
        if times is None or not len(times):
            return cls({})
        span, each, found = int(times.max() - times.min()) + 1, blocks.length(times), {}
        while span >= blocks.FEWEST * each:
            block = blocks.numbered_by(times, len(times), each)
            total, rows = np.bincount(block, weights=residuals), np.bincount(block)
            pairs = float((rows * (rows - 1.0)).sum())
            shared = float((total**2).sum() - (residuals**2).sum())
            found[each] = max(0.0, shared / pairs) if pairs else 0.0
            each *= 2
        return cls(found)

    def variance(self, times: Times | None, rows: int) -> float:
        """Return what it adds to the variance of a mean over rows: the most that any length of block says."""
        return max(
            (each * _square_share(times, rows, length) for length, each in self.variances.items()),
            default=0.0,
        )


def sampling_variance(row_variances: Array, excess: Excess, times: Times | None) -> float:
    """Return the variance of a mean over rows that their labels bring, given what was predicted."""
    rows = len(row_variances)
    return float(row_variances.sum()) / rows**2 + excess.variance(times, rows)


def band(metric: PerformanceMetric, value: float, variance: float, rows: int, method: str) -> Expected:
    """Return the normal 95 % band around a value, inside the metric's range."""
    from scipy.special import ndtri  # noqa: PLC0415 - heavy

    half = float(ndtri((1 + LEVEL) / 2)) * math.sqrt(variance)
    return _inside(metric, Expected(value, value - half, value + half, rows, method))


def widening(squares: Array) -> float:
    """Return by which factor a stated variance grows after past misses, 1 or more.

    The stated one, worth three windows, is pooled with them. Few windows do not know a variance, so the
    factor holds what Student's quantile is beyond the normal one.

    Parameters
    ----------
    squares
        Squared misses in units of the variance stated for each, shape (windows,).
    """
    from scipy.special import ndtri, stdtrit  # noqa: PLC0415 - heavy

    worth, tail = _PRIOR + len(squares), (1 + LEVEL) / 2
    pooled = max(1.0, (_PRIOR + float(squares.sum())) / worth)
    return pooled * float(stdtrit(worth, tail) / ndtri(tail)) ** 2


def between(metric: PerformanceMetric, one: Expected, other: Expected, share: float) -> Expected:
    """Return what lies a share of the way from one answer to the other, by the other's method.

    A combination varies by no more than its parts' mean variance (Jensen); the way gone is one more error.
    """
    way = share * (other.value - one.value)
    variance = (1 - share) * stated_variance(one) + share * stated_variance(other) + way**2
    return band(metric, one.value + way, variance, one.rows, other.method)


def corrected(metric: PerformanceMetric, expected: Expected, past: Sequence[Pair]) -> Expected:
    """Move an estimate by what past ones missed, and let its band tell how well that would have worked.

    The shift is an exponentially weighted mean of the misses, held back by one window without a miss. Its
    half-life is the one that would have foretold the past misses best: none at all (no shift), one, three or
    ten windows; so a lasting change is followed at once, and chance is not. The variance pools the stated
    one, worth three windows, with the squared errors of those forecasts, and is never below it. The band is
    Student's prediction interval for one more window. Unchanged without past windows.

    Parameters
    ----------
    expected
        As the estimator gave it.
    past
        The oldest first; whatever of them is known by now. Windows that overlap count as one each, so give
        disjoint ones.
    """
    if not past:
        return expected
    from scipy.special import stdtrit  # noqa: PLC0415 - heavy

    misses = np.array([pair.realised - pair.expected.value for pair in past])
    ages = np.arange(len(past))[::-1]
    weights = 0.5 ** (ages / MEMORY)
    shift, errors = min(
        (_forecast(misses, half_life) for half_life in HALF_LIVES),
        key=lambda each: float(weights @ each[1] ** 2),
    )
    stated, worth = stated_variance(expected), _PRIOR + float(weights.sum())
    variance = max(stated, (_PRIOR * stated + float(weights @ errors**2)) / worth)
    half = float(stdtrit(worth, (1 + LEVEL) / 2)) * math.sqrt(variance)
    value, method = expected.value + shift, f"{expected.method}+labels"
    return _inside(metric, Expected(value, value - half, value + half, expected.rows, method))


def _forecast(misses: Array, half_life: float) -> tuple[float, Array]:
    """Return the next miss as the past ones foretell it, and by how much each was foretold wrongly."""
    if not half_life:
        return 0.0, misses
    kept, total, weight, errors = 0.5 ** (1 / half_life), 0.0, 0.0, np.empty(len(misses))
    for at, miss in enumerate(misses):
        errors[at] = miss - total / (1 + weight)
        total, weight = total * kept + miss, weight * kept + 1
    return total / (1 + weight), errors


def stated_variance(expected: Expected) -> float:
    """The stated variance, from the longer side of the band: the other one may be cut off by the range."""
    from scipy.special import ndtri  # noqa: PLC0415 - heavy

    half = max(expected.value - expected.low, expected.high - expected.value)
    return (half / float(ndtri((1 + LEVEL) / 2))) ** 2


def _inside(metric: PerformanceMetric, expected: Expected) -> Expected:
    known = DEFINITIONS[metric]
    value, low, high = np.clip([expected.value, expected.low, expected.high], known.least, known.most)
    return replace(expected, value=float(value), low=float(low), high=float(high))


def _square_share(times: Times | None, rows: int, length: int) -> float:
    """Return Σ (n_b / rows)², one over the number of blocks where they are of one size."""
    return float((np.bincount(blocks.numbered_by(times, rows, length)) ** 2.0).sum()) / rows**2
