"""The gate on the memory of the challenger's model server, against its budget."""

from __future__ import annotations

from rollout.observations import Evidence
from rollout.verdict import GateResult, Outcome
from spec import ModelSpec

IN_A_ROW = 3
"""So many scrapes in a row above the budget are no peak."""
ENOUGH = 10


def judge_memory(evidence: Evidence, spec: ModelSpec) -> GateResult | None:
    """Judge the largest resident memory against `gates.memory`. None where the spec sets no budget.

    A budget is a limit on what was used, not on a mean, so this is a fact and no test: it takes no part of
    `rollout.alpha`. Harm: the last three scrapes are above it. Pass: of at least ten none is. Else hold.
    """
    budget = spec.rollout.at(evidence.step).gates.memory
    if budget is None:
        return None
    seen = () if evidence.usage is None else evidence.usage.memory
    above = [used > budget for used in seen]
    outcome, why = Outcome.HOLD, ""
    if len(above) >= IN_A_ROW and all(above[-IN_A_ROW:]):
        outcome = Outcome.ROLLBACK
    elif len(above) < ENOUGH:
        why = f"{ENOUGH} scrapes are needed"
    elif any(above):
        why = f"{sum(above)} scrapes were above the budget"
    else:
        outcome = Outcome.PASS
    return GateResult(
        gate="memory",
        outcome=outcome,
        value=max(seen, default=None),
        limit=budget,
        unit="B",
        n=len(seen),
        counted="scrapes",
        why=why,
    )
