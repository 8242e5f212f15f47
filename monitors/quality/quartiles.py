"""Quartiles of a number's values, and what they are usually like from window to window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitors.dependence import Dependence

FEWEST_ROWS = 30
"""Values below which quartiles say too little."""

FEWEST_DISTINCT = 10
"""Distinct values below which a number is rather a code: it has no unit."""

FEWEST_WINDOWS = 7
"""Earlier windows from which it is known what is usual."""

_MEDIAN_ERROR = 0.93  # standard error of a median, in interquartile ranges over √n, normal law
_LOG_RANGE_ERROR = 1.6  # of log(IQR), over √n: 1.17 for a normal law, 1.6 for an exponential one


@dataclass(frozen=True, slots=True)
class Quartiles:
    """The quartiles of `n` finite values, ``low < high``."""

    low: float
    middle: float
    high: float
    n: int

    @property
    def log_range(self) -> float:
        """Logarithm of the interquartile range."""
        return math.log(self.high - self.low)

    @property
    def sign(self) -> int:
        """1 if the median is positive and the lower quartile not negative, -1 for the mirror, else 0."""
        if self.middle > 0:
            return int(self.low >= 0)
        return -int(self.middle < 0 and self.high <= 0)

    @property
    def median_error(self) -> float:
        """Standard error of the median, were the rows independent."""
        return _MEDIAN_ERROR * (self.high - self.low) / math.sqrt(self.n)

    @property
    def log_range_error(self) -> float:
        """Standard error of `log_range`, were the rows independent."""
        return _LOG_RANGE_ERROR / math.sqrt(self.n)

    def undone(self, factor: float, offset: float) -> Quartiles:
        """Return the quartiles of ``(x - offset) / factor``, for a factor above 0."""
        low, middle, high = ((each - offset) / factor for each in (self.low, self.middle, self.high))
        return Quartiles(low, middle, high, self.n)


@dataclass(frozen=True, slots=True)
class Earlier:
    """The quartiles of a window of the past, and whether its unit was wrong."""

    quartiles: Quartiles
    wrong: bool = False


def quartiles(values: npt.NDArray[np.float64]) -> Quartiles | None:
    """Return the quartiles of the finite values; None if they are few, codes, or half of them the same."""
    finite = values[np.isfinite(values)]
    if len(finite) < FEWEST_ROWS or len(np.unique(finite)) < FEWEST_DISTINCT:
        return None
    low, middle, high = (float(each) for each in np.quantile(finite, (0.25, 0.5, 0.75)))
    return Quartiles(low, middle, high, len(finite)) if math.isfinite(high - low) and high > low else None


@dataclass(frozen=True, slots=True)
class Spread:
    """What a statistic is like from window to window: centre, deviation, and that one's freedom."""

    center: float
    deviation: float
    freedom: float

    def distance(self, value: float, error: float) -> float:
        """Return how far a value with a standard error of its own lies from the centre, in deviations."""
        scale = math.hypot(self.deviation, error)
        return (value - self.center) / scale if scale else math.copysign(math.inf, value - self.center)

    def p_value(self, value: float, error: float) -> float:
        """Return the probability of being so far off, two-sided (Student's law)."""
        from scipy.special import stdtr  # noqa: PLC0415 - SciPy takes a while to import

        return float(2 * stdtr(self.freedom, -abs(self.distance(value, error))))


@dataclass(frozen=True, slots=True)
class Usual:
    """What sound windows are like: the median, its logarithm where all have one sign, and log(IQR)."""

    median: Spread
    log_median: Spread | None
    log_range: Spread
    sign: int


def of_windows(windows: Sequence[Quartiles]) -> Usual:
    """Return what is usual of at least `FEWEST_WINDOWS` earlier windows."""
    signs = {window.sign for window in windows}
    sign = signs.pop() if len(signs) == 1 else 0
    logs = [math.log(abs(window.middle)) for window in windows] if sign else None
    return Usual(
        _spread([window.middle for window in windows]),
        None if logs is None else _spread(logs),
        _spread([window.log_range for window in windows]),
        sign,
    )


def of_reference(whole: Quartiles, dependence: Dependence, name: str, rows: int) -> Usual:
    """Return what is usual of windows of `rows` rows, from the quartiles of all of the reference.

    How far windows differ is known from the reference's design effect φ: their medians vary as those of
    ``rows / φ`` independent rows, and what varies between windows does not vary within. Without times φ is
    not known, and a window may then lie wherever the reference's rows do.
    """
    share = 1.0  # of the variance, that lies between windows
    if dependence.block_rows:
        share = min(dependence.effect(name, "wasserstein", rows, 1) / rows, 1.0)
    freedom = float(dependence.blocks[0] - 1) if dependence.blocks else math.inf
    between = _MEDIAN_ERROR * math.sqrt(share) * (whole.high - whole.low)
    within = math.log(max(1 - share, 1 / 16)) / 2 if dependence.block_rows else 0.0
    logs = None
    if whole.low > 0 or whole.high < 0:
        ends = sorted((abs(whole.low), abs(whole.high)))
        width = math.log(ends[1] / ends[0])
        logs = Spread(math.log(abs(whole.middle)), _MEDIAN_ERROR * math.sqrt(share) * width, freedom)
    log_range = Spread(whole.log_range + within, _LOG_RANGE_ERROR * math.sqrt(share), freedom)
    return Usual(Spread(whole.middle, between, freedom), logs, log_range, whole.sign)


def _spread(values: Sequence[float]) -> Spread:
    count = len(values)
    deviation = float(np.std(values, ddof=1)) * math.sqrt(1 + 1 / count)
    return Spread(float(np.mean(values)), deviation, count - 1)
