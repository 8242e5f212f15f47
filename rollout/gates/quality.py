"""The gate on quality: the challenger's metric against the champion's on the same, labelled rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rollout.autocorrelation import mean_bounds
from rollout.gates.levels import harm
from rollout.observations import DayShortfall, Evidence
from rollout.verdict import GateResult, Outcome
from spec import ModelSpec

_BY_LABELS = 0.9
"""Part of `alpha` that a false pass by labels may take; the rest is for one without."""


def judge_quality(evidence: Evidence, spec: ModelSpec) -> GateResult:
    """Judge the mean daily shortfall of the spec's performance metric against `gates.quality`.

    Rows of a day are alike, so the day is the unit; and one day may be like the next, by as much as
    `rollout.day_correlation`. So the bounds are those of an autoregression (`rollout.autocorrelation`): they
    hold at every day's look together, as far as daily means are normal, and the days themselves tell how
    much they hang together. Harm: the lower bound is above 0. Pass: the upper bound is within the limit.
    Both need `min_days` days.

    Without labels it can pass, too, and only pass: where even the worst labels could not make the metric
    worse by more than the limit (`rollout.worst`), by the same bound over days.
    """
    limit, needed = spec.rollout.at(evidence.step).gates.quality, spec.rollout.min_days
    days = evidence.days or ()
    outcome, why = Outcome.HOLD, ""
    mean = mean_difference(days) if days else None
    low, _ = day_bounds(days, spec, harm(spec))
    _, high = day_bounds(days, spec, _BY_LABELS * spec.rollout.alpha)
    if len(days) < needed:
        why = f"{needed} days with labels are needed"
    elif high is None:
        why = f"{len(days)} days show nothing yet"
    elif high <= limit:
        outcome = Outcome.PASS
    if outcome is Outcome.HOLD and low is not None and low > 0:
        outcome = Outcome.ROLLBACK
    _, worst = day_bounds(evidence.worst or (), spec, (1 - _BY_LABELS) * spec.rollout.alpha)
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


def day_bounds(
    days: Sequence[DayShortfall], spec: ModelSpec, alpha: float
) -> tuple[float | None, float | None]:
    """Return the bounds of the mean over days, each at `alpha`; None where there is none."""
    if len(days) < spec.rollout.min_days:
        return None, None
    differences, rows = np.array([(day.difference, day.rows) for day in days]).T
    low, high = mean_bounds(differences, rows, 2 * alpha, spec.rollout.day_correlation)
    return low if math.isfinite(low) else None, high if math.isfinite(high) else None


def mean_difference(days: Sequence[DayShortfall]) -> float:
    """Return the mean difference over all rows of at least one day."""
    return sum(day.rows * day.difference for day in days) / sum(day.rows for day in days)
