"""The gate on slow requests: the challenger against the objective, and against the champion."""

from __future__ import annotations

import math

from rollout import quantiles
from rollout.gates.errors import difference, is_worse
from rollout.gates.levels import interval, shown
from rollout.observations import Evidence
from rollout.verdict import GateResult, Outcome
from spec import ModelSpec

TAIL = 0.01
"""A 99th percentile is kept when at most this share of the requests is slower."""


def judge_latency(evidence: Evidence, spec: ModelSpec) -> GateResult:
    """Judge the share of the challenger's requests that are slower than `spec.latency_gate`, against 1 %.

    The objective is an edge of the servers' histogram, so slower-than is a plain count. Harm: the share is
    shown to be above 1 % *and* above the champion's, for a machine that is slow for both is not the
    challenger's fault. Pass: with `min_requests` the upper bound of the share is at most 1 %, or the
    challenger's is shown to exceed the champion's by at most 1 %. Mirrored requests narrow the bounds as in
    `judge_errors`. Slow requests come in bursts, so the levels are approximate here.
    """
    arms, needed = evidence.latency, spec.rollout.at(evidence.step).min_requests
    if arms is None or arms.challenger.rate is None:
        return GateResult(gate="latency", outcome=Outcome.HOLD, limit=TAIL, why="no requests are timed yet")
    own = arms.challenger
    enough = own.of >= needed
    slow = shown(spec, own.hits, own.of - own.hits, TAIL)
    slower = is_worse(arms, spec, evidence.step, TAIL)
    pooled = own + arms.mirrored if arms.mirrored else own
    low, high = interval(spec, pooled.hits, pooled.of, spec.rollout.alpha, TAIL)
    outcome, why = Outcome.HOLD, "" if enough else f"{needed} requests are needed"
    if enough and high <= TAIL:
        outcome = Outcome.PASS
    elif enough and difference(arms, spec, spec.rollout.alpha, TAIL)[1] <= TAIL:
        outcome, why = Outcome.PASS, "the champion is no faster"
    elif slow and slower:
        outcome, why = Outcome.ROLLBACK, f"the champion: {arms.champion.hits} of {arms.champion.of}"
    why = "; ".join(told for told in (why, _tail_time(evidence, spec)) if told)
    return GateResult(
        gate="latency",
        outcome=outcome,
        value=own.rate,
        low=low,
        high=high,
        limit=TAIL,
        n=own.of,
        why=why,
    )


def _tail_time(evidence: Evidence, spec: ModelSpec) -> str:
    """Say between which edges of the histogram the 99th percentile lies; nothing while none is known."""
    if not evidence.durations:
        return ""
    alpha, together = spec.rollout.alpha, spec.rollout.requests_per_user
    own = [slower.arms.challenger for slower in evidence.durations]
    of = max(share.of for share in own)
    fast = [(of - share.hits) / together for share in own]
    edges = [slower.edge for slower in evidence.durations]
    low, high = quantiles.between(edges, fast, of / together, 1 - TAIL, alpha / together)
    if math.isinf(high):
        return f"p99 above {1e3 * low:g} ms" if low else ""
    return f"p99 from {1e3 * low:g} to {1e3 * high:g} ms"
