"""How the error probability of one rollout is shared out, and what requests weigh that go together."""

from __future__ import annotations

import math

from rollout import bounds
from spec import ModelSpec

_OF_PAIRS = ("disagreement", "drift", "quality")
_NO_TEST = ("memory",)


def chances(spec: ModelSpec) -> int:
    """Chances for a false rollback: of gates that count anew, one a step; of the pairs' gates, one a limit.

    Disagreement, drift and quality go on from step to step with the same evidence. Gates that a step does
    not wait for count as well: harm that they show rolls back. Quality is harm above 0, whatever its limit.
    """
    gates = [spec.rollout.at(step.share).gates for step in spec.rollout.steps]
    shares = [step.share for step in spec.rollout.steps]
    names = [name for at, share in zip(gates, shares, strict=True) for name in at.names_at(share)]
    anew = sum(name not in (*_OF_PAIRS, *_NO_TEST) for name in names)
    return anew + len({at.disagreement for at in gates}) + len({at.drift for at in gates}) + 1


def harm(spec: ModelSpec) -> float:
    """Level at which one gate at one step may show harm; all together stay within `rollout.alpha`."""
    return spec.rollout.alpha / chances(spec)


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
