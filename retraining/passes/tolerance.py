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
from scipy.stats import t as student

from retraining.dataset.rows import FloatArray
from retraining.passes.order import chains
from spec import ModelSpec, Task


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
    Techniques, chapter 6), Student's quantile with a degree of freedom less than days. Of equal losses the
    interval is a point, on however few days. Of values the ratio is that of the root mean squared errors.

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
    apart = np.bincount(days, losses - ratio * reference) / whole
    count = len(apart)
    if not apart.any():
        reach = 0.0
    elif count == 1:
        reach = math.inf
    else:
        error = math.sqrt(float((apart**2).sum()) * count / (count - 1))
        reach = float(student.isf(risk, count - 1)) * error
    value, low, high = (_part(task, bound) for bound in (ratio, ratio - reach, ratio + reach))
    return Rise(value, low, high)


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
