"""The gate on the distribution of the scores, the challenger's against the champion's on the same rows."""

from __future__ import annotations

from rollout.gates.levels import harm, interval
from rollout.observations import Crossing, Evidence
from rollout.verdict import GateResult, Outcome
from spec import ModelSpec


def judge_drift(evidence: Evidence, spec: ModelSpec) -> GateResult:
    """Judge the largest distance of the two distribution functions against `gates.drift`.

    At each cut the distance is the share of pairs that only the challenger has below it, minus that of pairs
    that only the champion has; each share has an interval that holds at all looks. Harm: one cut's distance
    is shown to be above the limit, at a level shared by the cuts. Pass: every cut's is shown to be within
    it. Rows come in pairs, so what today's traffic does to both versions' scores cancels. A limit of 100 %
    switches the gate off.
    """
    limit, needed = spec.rollout.at(evidence.step).gates.drift, spec.rollout.min_requests
    cuts = evidence.crossings
    if limit == 1:
        return GateResult(
            gate="drift", outcome=Outcome.PASS, limit=limit, counted="pairs", why="switched off"
        )
    if not cuts:
        why = f"{needed} pairs choose the cuts, and those after them count"
        return GateResult(gate="drift", outcome=Outcome.HOLD, limit=limit, counted="pairs", why=why)
    alpha = spec.rollout.alpha
    widest = max(cuts, key=lambda cut: abs(cut.ours - cut.theirs) / cut.of)
    near = [_distance(cut, spec, alpha, limit)[1] for cut in cuts]
    far = [_distance(cut, spec, harm(spec) / len(cuts), limit)[0] for cut in cuts]
    outcome, why = Outcome.HOLD, f"at {widest.at}"
    if max(near) <= limit or (limit == 0 and not any(cut.ours or cut.theirs for cut in cuts)):
        outcome = Outcome.PASS
    elif max(far) > limit:
        outcome = Outcome.ROLLBACK
    return GateResult(
        gate="drift",
        outcome=outcome,
        value=abs(widest.ours - widest.theirs) / widest.of,
        low=_distance(widest, spec, alpha, limit)[0],
        high=max(near),
        limit=limit,
        n=widest.of,
        counted="pairs",
        why=why,
    )


def _distance(cut: Crossing, spec: ModelSpec, alpha: float, limit: float) -> tuple[float, float]:
    """Return bounds of the absolute distance at one cut, narrowest about half of the limit."""
    guess = limit / 2
    low, high = interval(spec, cut.ours, cut.of, alpha / 2, guess)
    theirs = interval(spec, cut.theirs, cut.of, alpha / 2, guess)
    least, most = low - theirs[1], high - theirs[0]
    return max(least, -most, 0.0), max(most, -least)
