"""How the error probability of one rollout is shared out."""

from __future__ import annotations

import math

from spec import ModelSpec


def chances(spec: ModelSpec) -> int:
    """Chances for a false rollback: errors and latency at each step, the pairs' two gates once."""
    return 2 * len(spec.rollout.steps) + 2


def harm(spec: ModelSpec) -> float:
    """Level at which one gate at one step may show harm; all together stay within `rollout.alpha`."""
    return spec.rollout.alpha / chances(spec)


def harm_evidence(spec: ModelSpec) -> float:
    """Log evidence that shows harm, in nats."""
    return -math.log(harm(spec))
