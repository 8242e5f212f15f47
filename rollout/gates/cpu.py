"""The gate on the CPU time of the challenger's model server, against its budget."""

from __future__ import annotations

import math

import numpy as np

from rollout.autocorrelation import mean_bounds
from rollout.gates.levels import harm
from rollout.observations import Burn, Evidence
from rollout.verdict import GateResult, Outcome
from spec import ModelSpec

ENOUGH = 30
CORRELATION = 0.9
"""How far a minute may be like the next one: neighbours on the machine come and go in minutes."""


def judge_cpu(evidence: Evidence, spec: ModelSpec) -> GateResult | None:
    """Judge the CPU seconds a request against `gates.cpu`. None where the spec sets no budget.

    Requests of a minute share their machine, so the span is the unit; and one minute is like the next, so
    the bounds are those of an autoregression (`rollout.autocorrelation`), weighted by requests. They hold at
    all looks together as far as spans are normal. Harm: the lower bound is above the budget. Pass: the upper
    bound is within it. Both need thirty spans. All that the server does is in it: mirrored requests count
    like live ones, and so does the writing of the log.
    """
    budget = spec.rollout.at(evidence.step).gates.cpu
    if budget is None:
        return None
    limit, spans = budget.total_seconds(), () if evidence.usage is None else evidence.usage.cpu
    value = low = high = None
    outcome, why = Outcome.HOLD, f"{ENOUGH} spans with requests are needed"
    if len(spans) >= ENOUGH:
        value, why = sum(span.seconds for span in spans) / sum(span.requests for span in spans), ""
        low, high = _bounds(spans, spec.rollout.alpha)
        proof, _ = _bounds(spans, harm(spec))
        if high is not None and high <= limit:
            outcome = Outcome.PASS
        elif proof is not None and proof > limit:
            outcome = Outcome.ROLLBACK
    return GateResult(
        gate="cpu",
        outcome=outcome,
        value=value,
        low=low,
        high=high,
        limit=limit,
        unit="s",
        n=len(spans),
        counted="spans",
        why=why,
    )


def _bounds(spans: tuple[Burn, ...], alpha: float) -> tuple[float | None, float | None]:
    """Return the bounds of the CPU seconds a request, each at `alpha`; None where there is none."""
    costs, requests = np.array([(span.seconds / span.requests, span.requests) for span in spans]).T
    low, high = mean_bounds(costs, requests, 2 * alpha, CORRELATION)
    return low if math.isfinite(low) else None, high if math.isfinite(high) else None
