"""The gate on quality: the challenger's loss against the champion's on the same, labelled rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.stats import t as student

from rollout.gates.levels import harm
from rollout.observations import DayLoss, Evidence
from rollout.verdict import GateResult, Outcome
from spec import ModelSpec, Task


def judge_loss(evidence: Evidence, spec: ModelSpec) -> GateResult:
    """Judge the mean paired loss difference, challenger's minus champion's, against `gates.loss`.

    Rows of a day are alike, so the day is the unit: a ratio estimate over days with Student's t. Harm: the
    lower bound is above 0. Pass: the upper bound is within the limit. Both need `min_days` days.

    There is one look per new day. The level of the j-th look is the gate's over j(j+1), which sums to the
    gate's, so that looking on for weeks does not find harm by chance; within a look the bound is as good
    as the normal approximation of daily means.
    """
    limit, needed = spec.rollout.gates.loss, spec.rollout.min_days
    unit = "target²" if spec.task is Task.REGRESSION else "nats"
    days = evidence.days or ()
    if len(days) < needed:
        why = f"{needed} days with labels are needed"
        value = mean_difference(days)[0] if days else None
        outcome = Outcome.HOLD
        return GateResult(
            gate="loss",
            outcome=outcome,
            value=value,
            limit=limit,
            unit=unit,
            n=len(days),
            counted="days",
            why=why,
        )
    looks = len(days) - needed + 1
    mean, error = mean_difference(days)
    tail = [
        float(student.isf(level / (looks * (looks + 1)), len(days) - 1))
        for level in (spec.rollout.alpha, harm(spec))
    ]
    low, high = mean - tail[1] * error, mean + tail[0] * error
    outcome = Outcome.PASS if high <= limit else Outcome.ROLLBACK if low > 0 else Outcome.HOLD
    return GateResult(
        gate="loss",
        outcome=outcome,
        value=mean,
        low=low,
        high=high,
        limit=limit,
        unit=unit,
        n=len(days),
        counted="days",
    )


def mean_difference(days: Sequence[DayLoss]) -> tuple[float, float]:
    """Return the mean difference over all rows and its standard error with days as clusters.

    The error is infinite for one day.
    """
    rows = sum(day.rows for day in days)
    mean = sum(day.rows * day.difference for day in days) / rows
    if len(days) == 1:
        return mean, math.inf
    spread = sum((day.rows * (day.difference - mean)) ** 2 for day in days)
    return mean, math.sqrt(spread * len(days) / (len(days) - 1)) / rows
