"""What a model may lose: by how much its loss rises at worst, seen on the same rows, with days as the units.

A validation set that is small says little, and of many variants the best one on it owes its place to luck in
part. So a rise counts by the pessimistic end of its interval, and the risk of an error is shared by all
chains of passes that may be measured (Bonferroni): the chance that any one of them that loses more than it
may is let through is at most that of one test.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from retraining.dataset.rows import FloatArray
from retraining.passes.order import chains
from spec import ModelSpec, Task

_SYMMETRIC = 1e-6  # of a smaller skewness the cubic cannot be told from a line


@dataclass(frozen=True, slots=True)
class Rise:
    """By what part a loss lies above another one; below zero it is lower.

    Parameters
    ----------
    low, high
        One-sided bounds, each at the risk that was asked for; infinite where there are fewer than two days.
    """

    value: float
    low: float
    high: float


def rise(task: Task, losses: FloatArray, reference: FloatArray, days: NDArray[np.int64], risk: float) -> Rise:
    """Return by what part the objective of `losses` lies above that of `reference`, paired.

    The ratio of two means, its variance by linearisation with days as the units (Cochran 1977, Sampling
    Techniques, chapter 6), Student's quantile with a degree of freedom less than days, and Hall's correction
    for skewness: a few rows that cost much more than the others pull the mean and its error up together, so
    that where few of them were drawn Student's upper bound is too low. Of equal losses the interval is a
    point, on however few days. Of values the ratio is that of the root mean squared errors.

    Parameters
    ----------
    losses, reference
        [n ≥ 1] of the same rows, as of `retraining.metrics.row_losses`.
    days
        [n] index of each row's day, from 0.
    risk
        Of either bound, in (0, 0.5).
    """
    whole = float(reference.sum())
    if whole == 0:
        part = math.inf if losses.any() else 0.0
        return Rise(part, part, part)
    ratio = float(losses.sum()) / whole
    excess = (losses - ratio * reference) / whole
    apart = np.bincount(days, excess)
    count = len(apart)
    if not apart.any():
        low = high = ratio
    elif count == 1:
        low, high = -math.inf, math.inf
    else:
        spread = math.sqrt(float((apart**2).sum()) / (count - 1))
        # No sample of so many is more skewed (Wilkins 1944): where sums of a few days agree by luck, the
        # rows' moment over their small spread cubed would make the interval a point beside the estimate.
        most = (count - 2) / math.sqrt(count - 1)
        skew = min(max(_third_moment(excess, days) / count / spread**3, -most), most)
        reach = -float(stdtrit(count - 1, risk)) / math.sqrt(count)
        low, high = (ratio - count * spread * _untransformed(end, skew, count) for end in (reach, -reach))
    return Rise(_part(task, ratio), _part(task, low), _part(task, high))


def _third_moment(excess: FloatArray, days: NDArray[np.int64]) -> float:
    """Return the third central moment of the sum of rows that share their day's mean, by the rows.

    A dozen days say next to nothing of a third moment; their rows do. Rows that are copies of each other hide
    it, and then the bound is Student's.
    """
    means = np.bincount(days, excess) / np.bincount(days)
    return float(((excess - means[days]) ** 3).sum())


def _untransformed(value: float, skew: float, count: int) -> float:
    """Return what Hall's monotone cubic maps to `value`: the mean of `count` skewed numbers, by their spread.

    Hall 1992, On the removal of skewness by transformation, Journal of the Royal Statistical Society B 54.
    """
    if abs(skew) < _SYMMETRIC:
        return value
    return 3 / skew * (float(np.cbrt(1 + skew * (value - skew / (6 * count)))) - 1)


def _part(task: Task, ratio: float) -> float:
    return (math.sqrt(max(ratio, 0.0)) if task is Task.REGRESSION else ratio) - 1


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What may be lost against the best candidate.

    Parameters
    ----------
    losses
        [n] its losses on the validation rows.
    days
        [n] index of each row's day, from 0.
    drop
        How much the objective may rise, as a part of the candidate's.
    risk
        Of letting through a variant that loses more.
    """

    task: Task
    losses: FloatArray
    days: NDArray[np.int64]
    drop: float
    risk: float

    @classmethod
    def of(cls, spec: ModelSpec, losses: FloatArray, days: NDArray[np.int64], candidates: int) -> Tolerance:
        """Return what a spec grants: 1 - ``validate.confidence`` of risk, for all variants together.

        Parameters
        ----------
        candidates
            How many chains begin with; with the spec they say how many variants there may be, before anything
            was measured. The best candidate is held to nothing but itself.
        """
        variants = min(candidates * (1 + chains(spec.optimize.passes)), spec.optimize.max_variants)
        risk = (1 - spec.validation.confidence) / max(variants - 1, 1)
        return cls(spec.task, losses, days, spec.optimize.within.quality_drop, risk)

    def rise(self, losses: FloatArray, looks: int = 1) -> Rise:
        """Return by what part losses [n] are higher, where the best of so many `looks` is asked about."""
        return rise(self.task, losses, self.losses, self.days, self.risk / looks)

    def grants(self, found: Rise) -> bool:
        """Return whether the pessimistic end of a rise is within the drop."""
        return found.high <= self.drop

    def told(self, found: Rise) -> str:
        """Return a rise in words."""
        days = f"{int(self.days.max()) + 1} day{'s' if self.days.any() else ''}"
        worst = f"at worst {signed(found.high)} by {days}"
        return f"{signed(found.value)} beside the best candidate's, {worst}; quality_drop is {self.drop:.2%}"


def signed(part: float) -> str:
    """Return a part in percent with its sign; in words where a single day bounds nothing."""
    return f"{part:+.2%}" if math.isfinite(part) else "any change"
