"""How the error probability of one rollout is shared out, and what requests weigh that go together."""

from __future__ import annotations

import math

from rollout import bounds
from rollout.steps import Step
from spec import SHADOW, ModelSpec
from spec.rollout import BusinessMetric

_OF_PAIRS = 3
"""Disagreement, drift and quality go on from step to step: each has one chance in a rollout."""


def chances(spec: ModelSpec) -> int:
    """Chances for a false rollback: of gates that count anew, one a step; of the pairs' gates, one."""
    gates = spec.rollout.gates
    anew = 2 + (gates.latency_shift is not None) + (gates.cpu is not None)
    asked = sum(judged(metric, step) for metric in gates.metrics for step in spec.rollout.steps)
    return anew * len(spec.rollout.steps) + asked + _OF_PAIRS


def harm(spec: ModelSpec) -> float:
    """Level at which one gate at one step may show harm; all together stay within `rollout.alpha`."""
    return spec.rollout.alpha / chances(spec)


def judged(metric: BusinessMetric, step: Step) -> bool:
    """Whether a metric can be compared at a step: some users meet one version and some the other."""
    return metric.mirrored or step not in (SHADOW, 1)


def shown(spec: ModelSpec, hits: float, misses: float, null: float, among: int = 1) -> bool:
    """Whether a share is shown to be above `null` at one gate's level, if `among` things are looked at.

    With m = `requests_per_user` the counts weigh 1/m and the level is 1/m of the gate's. Take of every user
    the j-th request only: these are independent, and their evidence E_j is a martingale. What is counted in
    all is, by Hölder, at most the geometric mean of E_1 ... E_m; for it to reach m/alpha one of them must,
    which has probability alpha/m each. So the level holds however the requests of one user hang together.
    """
    together = spec.rollout.requests_per_user
    needed = math.log(among * together / harm(spec))
    return bounds.log_excess(hits / together, misses / together, null) >= needed


def interval(spec: ModelSpec, hits: float, of: float, alpha: float, guess: float) -> tuple[float, float]:
    """Return `bounds.interval` of requests that go together as in `shown`."""
    together = spec.rollout.requests_per_user
    near = min(max(guess, 1e-4), 0.5)
    return bounds.interval(hits / together, of / together, alpha / together, near)
