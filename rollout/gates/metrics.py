"""The gates on the metrics of the business, one for each that the spec names."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rollout.autocorrelation import mean_bounds
from rollout.betting import log_capital, lower_bound, upper_bound
from rollout.gates.errors import difference
from rollout.gates.levels import harm
from rollout.observations import Arms, Business, Evidence
from rollout.steps import Step
from rollout.verdict import GateResult, Outcome
from spec import ModelSpec
from spec.rollout import BusinessMetric

ENOUGH = 30
CORRELATION = 0.9
"""How far a value may be like the next one."""
_ANY_SHARE = 0.5
"""Bounds are nowhere wide: nobody has said where the share of a user's own metric lies."""


def judge_metrics(evidence: Evidence, spec: ModelSpec) -> Iterator[GateResult]:
    """Judge by how much each metric is worse at the challenger, against its `margin`.

    Metrics that only live requests move are not judged in shadow and at 100 %, where there is nothing to
    compare. What Prometheus did not answer, or not with numbers, holds.
    """
    known = {seen.name: seen for seen in evidence.metrics}
    for metric in spec.rollout.gates.metrics:
        if metric.judged_at(evidence.step):
            yield _judge(metric, known.get(metric.name), spec, evidence.step)


def _judge(metric: BusinessMetric, seen: Business | None, spec: ModelSpec, step: Step) -> GateResult:
    if seen is not None and seen.arms is not None and seen.arms.challenger.of and seen.arms.champion.of:
        return judge_ratio(metric, seen.arms, spec, spec.rollout.at(step).min_requests)
    if seen is not None and seen.worse:
        return judge_bounded(metric, seen, spec)
    unit = "share" if metric.kind == "ratio" else metric.name
    why = "Prometheus has no answer for both versions yet"
    return GateResult(gate=metric.name, outcome=Outcome.HOLD, limit=metric.margin, unit=unit, why=why)


def judge_ratio(metric: BusinessMetric, arms: Arms, spec: ModelSpec, needed: int) -> GateResult:
    """Judge two shares by the difference of their bounds, which hold at all looks together.

    Chances need not be shared out as requests are, so nothing is taken from the step's share of the traffic.
    """
    low, high = difference(arms, spec, spec.rollout.alpha, _ANY_SHARE)
    least, _ = difference(arms, spec, harm(spec), _ANY_SHARE)
    of = min(arms.challenger.of, arms.champion.of)
    outcome, why = Outcome.HOLD, ""
    if of < needed:
        why = f"{needed} chances are needed"
    elif high <= metric.margin:
        outcome = Outcome.PASS
    if outcome is Outcome.HOLD and least > 0:
        outcome = Outcome.ROLLBACK
    return GateResult(
        gate=metric.name,
        outcome=outcome,
        value=(arms.challenger.rate or 0.0) - (arms.champion.rate or 0.0),
        low=low,
        high=high,
        limit=metric.margin,
        n=arms.challenger.of,
        counted="chances",
        why=why,
    )


def judge_bounded(metric: BusinessMetric, seen: Business, spec: ModelSpec) -> GateResult:
    """Judge the mean difference at equal times by bets against it, and as an autoregression.

    The bets are exact for any values between the bounds whose mean difference does not hang on those before
    (`rollout.betting`). Where one minute is like the next they would win too often; so the bounds of an
    autoregression (`rollout.autocorrelation`) must say the same. Half of the times must have a value.
    """
    floor, ceiling = metric.between or (0.0, 1.0)
    span = ceiling - floor
    scaled = (np.asarray(seen.worse) / span + 1) / 2
    alpha, n, proof = spec.rollout.alpha, len(scaled), harm(spec)
    low, high = ((2 * bound - 1) * span for bound in (lower_bound(scaled, alpha), upper_bound(scaled, alpha)))
    linked = [mean_bounds(np.asarray(seen.worse), np.ones(n), 2 * one, CORRELATION) for one in (alpha, proof)]
    low, high = max(-span, min(low, linked[0][0])), min(span, max(high, linked[0][1]))
    outcome, why = Outcome.HOLD, ""
    if n < ENOUGH or 2 * n < seen.wanted:
        why = f"{max(ENOUGH, -(-seen.wanted // 2))} values are needed, {seen.wanted} times have passed"
    elif high <= metric.margin:
        outcome = Outcome.PASS
    elif log_capital(scaled, 0.5, proof) >= -np.log(proof) and linked[1][0] > 0:
        outcome = Outcome.ROLLBACK
    return GateResult(
        gate=metric.name,
        outcome=outcome,
        value=float(np.mean(seen.worse)),
        low=low,
        high=high,
        limit=metric.margin,
        unit=metric.name,
        n=n,
        counted="values",
        why=why,
    )
