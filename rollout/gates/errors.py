"""The gate on failed requests: the challenger's share against the champion's."""

from __future__ import annotations

from rollout.gates.levels import harm, interval, shown
from rollout.observations import Arms, Evidence
from rollout.steps import Step
from rollout.verdict import GateResult, Outcome
from spec import SHADOW, ModelSpec


def judge_errors(evidence: Evidence, spec: ModelSpec) -> GateResult:
    """Judge the difference of the failure rates, challenger's minus champion's, against `gates.errors`.

    Harm: among all failures more are the challenger's than its part of the requests explains, exact under
    any number of looks (of sticky users: its rate is shown to be higher, `is_worse`). Pass: the upper bound
    of the difference is within the limit, also exact, and at least `min_requests` of the step were answered.
    Requests mirrored to the challenger beside its live ones narrow the bound, since the same process answers
    both; they do not count towards `min_requests`.
    """
    terms = spec.rollout.at(evidence.step)
    limit, arms = terms.gates.errors, evidence.errors
    if arms is None or arms.challenger.rate is None:
        return GateResult(gate="errors", outcome=Outcome.HOLD, limit=limit, why="no requests are counted yet")
    low, high = difference(arms, spec, spec.rollout.alpha, limit)
    harmed = is_worse(arms, spec, evidence.step, limit)
    needed = terms.min_requests
    outcome, why = Outcome.HOLD, ""
    if high <= limit and arms.challenger.of >= needed:
        outcome = Outcome.PASS
    elif harmed:
        outcome = Outcome.ROLLBACK
        why = f"{arms.challenger.hits} failures against the champion's {arms.champion.hits}"
    elif arms.challenger.of < needed:
        why = f"{needed} requests are needed"
    return GateResult(
        gate="errors",
        outcome=outcome,
        value=arms.challenger.rate - (arms.champion.rate or 0.0),
        low=low,
        high=high,
        limit=limit,
        n=arms.challenger.of,
        why=why,
    )


def difference(arms: Arms, spec: ModelSpec, alpha: float, guess: float) -> tuple[float, float]:
    """Return bounds of the challenger's rate minus the champion's that hold at all looks together."""
    pooled = arms.challenger + arms.mirrored if arms.mirrored else arms.challenger
    low_c, high_c = interval(spec, pooled.hits, pooled.of, alpha / 2, guess)
    low_s, high_s = interval(spec, arms.champion.hits, arms.champion.of, alpha / 2, guess)
    return low_c - high_s, high_c - low_s


def is_worse(arms: Arms, spec: ModelSpec, step: Step, guess: float, among: int = 1) -> bool:
    """Whether the challenger's rate is shown to be higher, at one gate's level, if `among` are looked at.

    Drawn requests are the challenger's with the probability of its weight, and so is each that counts. It may
    have got more than that: it answers for a champion that restarts. So they must be too many for the part
    of the requests that it did get, too; of no request of the champion nothing follows. Users who keep their
    version bring as many requests as they like: then nothing follows from the weight, and the bounds of the
    two rates must lie apart. In shadow and at 100 % both versions get the same requests.
    """
    if spec.rollout.sticky is not None and step not in (SHADOW, 1):
        return difference(arms, spec, harm(spec) / among, guess)[0] > 0
    got = max(part(step), arms.challenger.of / max(1, arms.challenger.of + arms.champion.of))
    ours, theirs = arms.challenger.hits, arms.champion.hits
    return got < 1 and all(shown(spec, ours, theirs, null, among) for null in {part(step), got})


def part(step: Step) -> float:
    """Return the challenger's part of the requests that a step compares.

    In shadow and at 100 % one version answers all requests and the other all their copies: a half.
    """
    return 0.5 if step in (SHADOW, 1) else float(step)
