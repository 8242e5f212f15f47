"""The area under the ROC curve: its value, its variance and the law it has when nothing differs.

The area is P(positive > negative) + ½ P(positive = negative), so it is the Mann-Whitney statistic over n·m.

Sources: DeLong, DeLong, Clarke-Pearson (1988), Biometrics 44:837-845, for the variance; van Elteren (1960)
for rank tests over strata; Lehmann (1975), Nonparametrics, §1.4, for the variance with ties.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from monitors.multivariate.verdict import SMALLEST_P

Array = npt.NDArray[np.float64]

LEVEL = 0.95
"""Of every interval in this folder."""


@dataclass(frozen=True, slots=True)
class Area:
    """An area under the ROC curve, in [0, 1], ½ where the scores tell nothing.

    `variance` is DeLong's; 0 where the scores separate the samples entirely. `negatives` and `positives` are
    numbers of rows.
    """

    value: float
    variance: float
    negatives: int
    positives: int


def area(negatives: Array, positives: Array) -> Area:
    """Return the area and DeLong's variance S₁₀/m + S₀₁/n of the placements, in O((n + m) log(n + m)).

    Parameters
    ----------
    negatives, positives
        Scores, finite, shapes (n,) and (m,), two or more each. Ties count ½. Only the order of scores
        matters, so one extreme score moves the area by 1/m at most.
    """
    above = _placements(negatives, positives)
    below = 1 - _placements(positives, negatives)
    variance = above.var(ddof=1) / len(positives) + below.var(ddof=1) / len(negatives)
    return Area(float(above.mean()), float(variance), len(negatives), len(positives))


def _placements(among: Array, scores: Array) -> Array:
    """Return for each score the share of `among` below it, ties counted half; shape of `scores`."""
    ordered = np.sort(among)
    count = np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")
    return np.asarray(count / (2 * len(among)), dtype=np.float64)


def interval(areas: Sequence[Area], inflation: float = 1.0) -> tuple[float, float, float]:
    """Return the mean area over folds (weights n·m) and its two-sided interval.

    The half-width is z·√(inflation · Σ w² variance), for folds that were scored by different models. Where
    the folds separate entirely DeLong's variance is 0; the interval then reaches down to the exact binomial
    bound (α/2)^(1/min(n, m)) of as many successes in a row, and in mirror image at 0.
    """
    weights = np.array([one.negatives * one.positives for one in areas], dtype=np.float64)
    weights /= weights.sum()
    value = float(weights @ np.array([one.value for one in areas]))
    variance = float(weights**2 @ np.array([one.variance for one in areas]))
    half = float(ndtri((1 + LEVEL) / 2)) * (inflation * variance) ** 0.5
    fewest = min(sum(one.negatives for one in areas), sum(one.positives for one in areas))
    reach = 1 - ((1 - LEVEL) / 2) ** (1 / fewest)
    low = value - max(half, reach if value >= 1 else 0.0)
    high = value + max(half, reach if value <= 0 else 0.0)
    return value, max(low, 0.0), min(high, 1.0)


def standard_score(negatives: Array, positives: Array) -> float | None:
    """Return Wilcoxon's z of the area against ½, with the variance that its ties leave; None if all tie.

    z = (AUC - ½) / √((N + 1 - Σ(t³ - t)/(N(N - 1))) / (12·n·m)), N = n + m, t the sizes of groups of ties.
    """
    rows = len(negatives) + len(positives)
    ties = np.unique(np.concatenate([negatives, positives]), return_counts=True)[1].astype(np.float64)
    lost = float((ties**3 - ties).sum()) / (rows * (rows - 1))
    variance = (rows + 1 - lost) / (12 * len(negatives) * len(positives))
    if len(ties) == 1:
        return None
    return float((_placements(negatives, positives).mean() - 0.5) / variance**0.5)


def upper_p(scores: Sequence[float | None], weights: Sequence[float]) -> float:
    """Return P(Z ≥ Σwz/√Σw²) of independent standard scores; those that are None carry nothing.

    1 where all are None: scores that never differ are no evidence.
    """
    known = [(z, w) for z, w in zip(scores, weights, strict=True) if z is not None]
    if not known:
        return 1.0
    total = sum(z * w for z, w in known) / sum(w * w for _, w in known) ** 0.5
    return max(float(ndtr(-total)), SMALLEST_P)
