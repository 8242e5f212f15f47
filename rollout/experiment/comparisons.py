"""Both versions beside each other, gate by gate, from the evidence that was judged. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from rollout import contrast
from rollout.betting import lower_bound, upper_bound
from rollout.experiment.comparison import Comparison, Word, word
from rollout.gates import latency_shift, metrics
from rollout.gates.latency import TAIL
from rollout.gates.quality import day_bounds, mean_difference
from rollout.observations import Arms, Business, Evidence, Share
from rollout.verdict import GateResult, Outcome, Verdict
from spec import ModelSpec
from spec.rollout import BusinessMetric

_ANY_SHARE = 0.5


def compare(evidence: Evidence, verdict: Verdict, spec: ModelSpec) -> Iterator[Comparison]:
    """Compare what both versions have a value of; the rest of the gates is held against a limit only.

    Every interval holds at all looks together with probability 1 - `rollout.alpha`, each for itself.

    Parameters
    ----------
    verdict
        What `rollout.judge` said of the evidence.
    spec
        The model as of `rollout.experiment.plan`.
    """
    gates = {gate.gate: gate for gate in verdict.gates}
    slow = f"requests slower than {1e3 * spec.latency_gate.total_seconds():g} ms"
    limit = gates["errors"].limit
    yield _rates(gates["errors"], "requests that failed", evidence.errors, spec, limit)
    yield _rates(gates["latency"], slow, evidence.latency, spec, TAIL)
    if latency_shift.NAME in gates:
        yield _widest(gates[latency_shift.NAME], evidence)
    yield _quality(gates["quality"], evidence, spec)
    known = {seen.name: seen for seen in evidence.metrics}
    for metric in spec.rollout.gates.metrics:
        if metric.name in gates:
            yield _business(metric, gates[metric.name], known.get(metric.name), spec, evidence)


def _rates(gate: GateResult, what: str, arms: Arms | None, spec: ModelSpec, margin: float) -> Comparison:
    """Compare two shares of which less is better; copies of the champion's requests count as its own do."""
    empty = Comparison(name=gate.gate, what=what, better="lower", margin=margin, why=gate.why)
    if arms is None or not arms.challenger.of or not arms.champion.of:
        return empty
    ours = arms.challenger + arms.mirrored if arms.mirrored else arms.challenger
    low, high = _apart(arms, spec, margin)
    enough = arms.challenger.of >= spec.rollout.min_requests
    mine, theirs = ours.rate or 0.0, arms.champion.rate or 0.0
    return empty.model_copy(
        update={
            "champion": theirs,
            "challenger": mine,
            "difference": mine - theirs,
            "low": low,
            "high": high,
            "n": ours.of,
            "of_champion": arms.champion.of,
            "word": word(low, high, margin, harmed=_harmed(gate), enough=enough),
        }
    )


def _apart(arms: Arms, spec: ModelSpec, guess: float) -> tuple[float, float]:
    """Return the interval of the challenger's share minus the champion's that holds at all looks together.

    Which part of the counts is to be the challenger's hangs on whether the gateway mirrors, which does not
    change while an experiment runs. Requests of one user go together as in `rollout.gates.levels.shown`.
    """
    together, share = spec.rollout.requests_per_user, float(spec.rollout.steps[0].share)

    def arm(counted: Share) -> contrast.Arm:
        return contrast.Arm(counted.hits / together, counted.of / together)

    copies, part = (arm(arms.mirrored), 1 / (2 - share)) if arms.mirrored else (contrast.NOTHING, share)
    near = min(max(guess, 1e-4), 0.5)
    level = spec.rollout.alpha / together
    return contrast.interval(arm(arms.challenger), arm(arms.champion), level, part, near, copies)


def _widest(gate: GateResult, evidence: Evidence) -> Comparison:
    """Compare the distributions of the request times where they lie furthest apart."""
    name, margin = gate.gate, gate.limit
    edges = evidence.durations
    if gate.value is None or not edges:
        return Comparison(name=name, better="lower", margin=margin, why=gate.why)
    widest = max(
        edges, key=lambda edge: (edge.arms.challenger.rate or 0.0) - (edge.arms.champion.rate or 0.0)
    )
    passed = gate.outcome is Outcome.PASS
    return Comparison(
        name=name,
        what=f"requests slower than {1e3 * widest.edge:g} ms, the edge with the largest difference",
        better="lower",
        margin=margin,
        champion=widest.arms.champion.rate,
        challenger=widest.arms.challenger.rate,
        difference=gate.value,
        low=gate.low,
        high=gate.high,
        n=widest.arms.challenger.of,
        of_champion=widest.arms.champion.of,
        # The edge was chosen by its difference: "better" at it would say nothing of the other edges.
        word=Word.WORSE if _harmed(gate) else Word.WITHIN if passed else Word.OPEN,
        why=gate.why,
    )


def _quality(gate: GateResult, evidence: Evidence, spec: ModelSpec) -> Comparison:
    """Compare the performance metric by days of labelled rows that both versions scored."""
    higher = spec.performance_metric.higher_is_better
    days = evidence.days or ()
    open_word = Word.WITHIN if gate.outcome is Outcome.PASS else Word.OPEN  # passes without labels, too
    empty = Comparison(
        name=gate.gate,
        what=f"{spec.performance_metric.value} by day",
        better="higher" if higher else "lower",
        margin=gate.limit,
        unit=gate.unit,
        counted="days",
        word=open_word,
        why=gate.why,
    )
    if not days:
        return empty
    rows = sum(day.rows for day in days)
    known = [day.rows * day.champion for day in days if day.champion is not None]
    theirs = math.fsum(known) / rows if len(known) == len(days) else None
    low, high = day_bounds(days, spec, spec.rollout.alpha / 2)
    enough = len(days) >= spec.rollout.min_days
    found = word(low, high, gate.limit, harmed=_harmed(gate), enough=enough)
    seen = _signed(mean_difference(days), low, high, theirs, higher=higher)
    counts = {"n": len(days), "of_champion": len(days), "word": open_word if found is Word.OPEN else found}
    return empty.model_copy(update=seen | counts)


def _business(
    metric: BusinessMetric, gate: GateResult, seen: Business | None, spec: ModelSpec, evidence: Evidence
) -> Comparison:
    empty = Comparison(
        name=metric.name, better=metric.better, margin=metric.margin, unit=gate.unit, why=gate.why
    )
    if seen is not None and seen.arms is not None and seen.arms.challenger.of and seen.arms.champion.of:
        return _ratio(empty, gate, seen.arms, spec, spec.rollout.at(evidence.step).min_requests)
    return _bounded(empty, gate, metric, seen, spec) if seen is not None and seen.worse else empty


def _ratio(empty: Comparison, gate: GateResult, arms: Arms, spec: ModelSpec, needed: int) -> Comparison:
    """Compare parts of chances, told as the user's query counts them: hits of the arms are what is bad."""
    higher, bad = empty.better == "higher", arms.champion.rate or 0.0
    low, high = _apart(arms, spec, _ANY_SHARE)
    enough = min(arms.challenger.of, arms.champion.of) >= needed
    found = word(low, high, empty.margin, harmed=_harmed(gate), enough=enough)
    told = _signed((arms.challenger.rate or 0.0) - bad, low, high, 1 - bad if higher else bad, higher=higher)
    counts = {"n": arms.challenger.of, "of_champion": arms.champion.of, "counted": "chances"}
    return empty.model_copy(update=told | counts | {"word": found})


def _bounded(
    empty: Comparison, gate: GateResult, metric: BusinessMetric, seen: Business, spec: ModelSpec
) -> Comparison:
    """Compare means over the times at which both versions have a value."""
    floor, ceiling = metric.between or (0.0, 1.0)
    span, half, n = ceiling - floor, spec.rollout.alpha / 2, len(seen.worse)
    scaled = (np.asarray(seen.worse) / span + 1) / 2
    low, high = ((2 * bound(scaled, half) - 1) * span for bound in (lower_bound, upper_bound))
    enough = n >= metrics.ENOUGH and 2 * n >= seen.wanted
    found = word(low, high, metric.margin, harmed=_harmed(gate), enough=enough)
    mean = float(np.mean(seen.worse))
    told = _signed(mean, low, high, seen.champion, higher=empty.better == "higher")
    return empty.model_copy(update=told | {"n": n, "of_champion": n, "counted": "values", "word": found})


def _signed(
    worse: float, low: float | None, high: float | None, champion: float | None, *, higher: bool
) -> dict[str, float | None]:
    """Return how much worse the challenger is as its value minus the champion's, with both values."""
    if higher:
        worse, low, high = -worse, None if high is None else -high, None if low is None else -low
    challenger = None if champion is None else champion + worse
    return {"champion": champion, "challenger": challenger, "difference": worse, "low": low, "high": high}


def _harmed(gate: GateResult) -> bool:
    return gate.outcome is Outcome.ROLLBACK
