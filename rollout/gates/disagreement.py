"""The gate on decisions: do the two versions decide alike on the same requests."""

from __future__ import annotations

from rollout.gates.levels import interval, shown
from rollout.observations import Evidence
from rollout.verdict import GateResult, Outcome
from spec import ModelSpec, Task


def judge_disagreement(evidence: Evidence, spec: ModelSpec) -> GateResult:
    """Judge the share of pairs with different decisions against `gates.disagreement`.

    Needs no labels: a version that decides differently on more rows than anyone expected is broken in
    most cases. Harm and pass by bounds that hold under any number of looks; a limit of 100 % switches the
    gate off, one of 0 % is kept only by versions that never differ.
    """
    terms = spec.rollout.at(evidence.step)
    limit, needed, pairs = terms.gates.disagreement, terms.min_requests, evidence.disagreement
    if pairs is None or pairs.rate is None:
        why = "no row was scored by both versions yet"
        hold = Outcome.HOLD
        return GateResult(gate="disagreement", outcome=hold, limit=limit, counted="pairs", why=why)
    low, high = interval(spec, pairs.hits, pairs.of, spec.rollout.alpha, limit)
    outcome, why = Outcome.HOLD, ""
    if pairs.of < needed:
        why = f"{needed} pairs are needed"
    elif high <= limit or limit == 1 or pairs.hits == limit == 0:
        outcome, why = Outcome.PASS, _of_accuracy(spec, high)
    # One difference refutes a limit of 0 %; a share this small stands for it without log(0).
    if (
        outcome is Outcome.HOLD
        and limit < 1
        and shown(spec, pairs.hits, pairs.of - pairs.hits, max(limit, 1e-9))
    ):
        outcome, why = Outcome.ROLLBACK, ""
    return GateResult(
        gate="disagreement",
        outcome=outcome,
        value=pairs.rate,
        low=low,
        high=high,
        limit=limit,
        n=pairs.of,
        counted="pairs",
        why=why,
    )


def _of_accuracy(spec: ModelSpec, high: float) -> str:
    """Where decisions agree, both are right or both are wrong: the bound holds for the accuracies as well."""
    return "" if spec.task is Task.REGRESSION else f"accuracies differ by at most {100 * high:.3g} %"
