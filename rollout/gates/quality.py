"""The gate on quality: the challenger's metric against the champion's on the same, labelled rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rollout.bounds import student_radius
from rollout.gates.levels import harm
from rollout.observations import DayShortfall, Evidence
from rollout.verdict import GateResult, Outcome
from spec import ModelSpec

_BY_LABELS = 0.9
"""Part of `alpha` that a false pass by labels may take; the rest is for one without."""


def judge_quality(evidence: Evidence, spec: ModelSpec) -> GateResult:
    """Judge the mean daily shortfall of the spec's performance metric against `gates.quality`.

    Rows of a day are alike, so the day is the unit: a ratio estimate over days, with a bound that holds at
    every day's look together, as far as daily means are normal. Harm: the lower bound is above 0. Pass: the
    upper bound is within the limit. Both need `min_days` days.

    Without labels it can pass, too, and only pass: where even the worst labels could not make the metric
    worse by more than the limit (`rollout.worst`), by the same bound over days.
    """
    limit, needed = spec.rollout.at(evidence.step).gates.quality, spec.rollout.min_days
    days = evidence.days or ()
    outcome, why = Outcome.HOLD, ""
    mean, error = mean_difference(days) if days else (None, math.inf)
    low = high = None
    if mean is None or len(days) < needed:
        why = f"{needed} days with labels are needed"
    else:
        low = _off(mean, -error, student_radius(len(days), 2 * harm(spec)))
        high = _bound(days, spec, _BY_LABELS)
        if high is not None and high <= limit:
            outcome = Outcome.PASS
        elif low is not None and low > 0:
            outcome = Outcome.ROLLBACK
    worst = _bound(evidence.worst or (), spec, 1 - _BY_LABELS)
    if outcome is Outcome.HOLD and worst is not None and worst <= limit:
        outcome = Outcome.PASS
        why = f"at most {worst:.3g} worse whatever the labels, by {len(evidence.worst or ())} days of pairs"
    return GateResult(
        gate="quality",
        outcome=outcome,
        value=mean,
        low=low,
        high=high,
        limit=limit,
        unit=spec.performance_metric.value,
        n=len(days),
        counted="days",
        why=why,
    )


def _bound(days: Sequence[DayShortfall], spec: ModelSpec, part: float) -> float | None:
    """Return the upper bound of the mean over days at a part of `alpha`; None while they are too few."""
    if len(days) < spec.rollout.min_days:
        return None
    mean, error = mean_difference(days)
    return _off(mean, error, student_radius(len(days), 2 * part * spec.rollout.alpha))


def _off(mean: float, error: float, radius: float) -> float | None:
    """Return the bound; None while there is none."""
    return mean + radius * error if math.isfinite(radius) else None


def mean_difference(days: Sequence[DayShortfall]) -> tuple[float, float]:
    """Return the mean difference over all rows and its standard error with days as clusters.

    The error is infinite for one day.
    """
    rows = sum(day.rows for day in days)
    mean = sum(day.rows * day.difference for day in days) / rows
    if len(days) == 1:
        return mean, math.inf
    spread = sum((day.rows * (day.difference - mean)) ** 2 for day in days)
    return mean, math.sqrt(spread * len(days) / (len(days) - 1)) / rows
