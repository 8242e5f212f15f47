"""The gate on the CPU time of the challenger's model server, against its budget."""

from __future__ import annotations

import math

from rollout.bounds import student_radius
from rollout.gates.levels import harm
from rollout.observations import Burn, Evidence
from rollout.verdict import GateResult, Outcome
from spec import ModelSpec

ENOUGH = 10


def judge_cpu(evidence: Evidence, spec: ModelSpec) -> GateResult | None:
    """Judge the CPU seconds a request against `gates.cpu`. None where the spec sets no budget.

    Requests of a minute share their machine, so the span is the unit: a ratio estimate over spans, with a
    bound that holds at all looks together as far as spans are normal. Harm: the lower bound is above the
    budget. Pass: the upper bound is within it. Both need ten spans. All that the server does is in it:
    mirrored requests count like live ones, and so does the writing of the log.
    """
    budget = spec.rollout.at(evidence.step).gates.cpu
    if budget is None:
        return None
    limit, spans = budget.total_seconds(), () if evidence.usage is None else evidence.usage.cpu
    value = low = high = None
    outcome, why = Outcome.HOLD, f"{ENOUGH} spans with requests are needed"
    if len(spans) >= ENOUGH:
        value, error = _ratio(spans)
        radius = student_radius(len(spans), 2 * spec.rollout.alpha)
        proof = student_radius(len(spans), 2 * harm(spec))
        why = ""
        if math.isfinite(radius):
            low, high = value - radius * error, value + radius * error
            outcome = Outcome.PASS if high <= limit else Outcome.HOLD
        if math.isfinite(proof) and value - proof * error > limit:
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


def _ratio(spans: tuple[Burn, ...]) -> tuple[float, float]:
    """Return CPU seconds a request and their standard error, with spans as clusters."""
    requests = sum(span.requests for span in spans)
    mean = sum(span.seconds for span in spans) / requests
    spread = sum((span.seconds - span.requests * mean) ** 2 for span in spans)
    return mean, math.sqrt(spread * len(spans) / (len(spans) - 1)) / requests
