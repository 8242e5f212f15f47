"""The gate on the whole distribution of request times, the challenger's against the champion's."""

from __future__ import annotations

from rollout.gates.errors import difference, is_worse
from rollout.observations import Evidence, Slower
from rollout.verdict import GateResult, Outcome
from spec import ModelSpec

NAME = "latency_shift"


def judge_latency_shift(evidence: Evidence, spec: ModelSpec) -> GateResult | None:
    """Judge, at every edge of the histogram, how many more of the challenger's requests are slower.

    The largest of these differences is the one-sided distance of Kolmogorov and Smirnov, seen at the edges.
    Harm: at one edge more of the slow requests are the challenger's than its part of the requests explains,
    the level shared by the edges, *and* the difference there is above the limit. Pass: the upper bound is
    within the limit at every edge; since all must be, each has the whole level. None where the spec sets no
    limit.
    """
    terms = spec.rollout.at(evidence.step)
    limit, needed = terms.gates.latency_shift, terms.min_requests
    if limit is None:
        return None
    edges = evidence.durations
    if not edges or not all(edge.arms.challenger.of and edge.arms.champion.of for edge in edges):
        why = "no requests of both versions are timed yet"
        return GateResult(gate=NAME, outcome=Outcome.HOLD, limit=limit, why=why)
    bounds = [difference(edge.arms, spec, spec.rollout.alpha, limit) for edge in edges]
    worst = max(range(len(edges)), key=lambda place: _gap(edges[place]))
    seen = min(edge.arms.challenger.of for edge in edges)
    outcome, why = Outcome.HOLD, ""
    if seen < needed:
        why = f"{needed} requests are needed"
    elif all(high <= limit for _, high in bounds):
        outcome = Outcome.PASS
    if outcome is Outcome.HOLD and any(_harmed(edge, limit, evidence, spec) for edge in edges):
        outcome, why = Outcome.ROLLBACK, f"at {1e3 * edges[worst].edge:g} ms"
    low, high = bounds[worst][0], max(high for _, high in bounds)
    value = _gap(edges[worst])
    return GateResult(
        gate=NAME, outcome=outcome, value=value, low=low, high=high, limit=limit, n=seen, why=why
    )


def _gap(edge: Slower) -> float:
    return (edge.arms.challenger.rate or 0.0) - (edge.arms.champion.rate or 0.0)


def _harmed(edge: Slower, limit: float, evidence: Evidence, spec: ModelSpec) -> bool:
    edges = len(evidence.durations or ())
    return _gap(edge) > limit and is_worse(edge.arms, spec, evidence.step, limit, among=edges)
