"""The judge: from the evidence of one step to a verdict. Pure; reads no clock, file or network."""

from __future__ import annotations

from rollout import steps
from rollout.gates.cpu import judge_cpu
from rollout.gates.disagreement import judge_disagreement
from rollout.gates.drift import judge_drift
from rollout.gates.errors import judge_errors
from rollout.gates.latency import judge_latency
from rollout.gates.latency_shift import judge_latency_shift
from rollout.gates.memory import judge_memory
from rollout.gates.metrics import judge_metrics
from rollout.gates.quality import judge_quality
from rollout.observations import Evidence
from rollout.steps import Step
from rollout.verdict import Decision, GateResult, Outcome, Verdict
from spec import ModelSpec, Problem, Refused, SpecError, format_duration

GATES = (judge_errors, judge_latency, judge_disagreement, judge_drift, judge_quality)
ASKED_FOR = (judge_latency_shift, judge_memory, judge_cpu)
"""Gates that are there only where the spec gives them a limit."""


def judge(evidence: Evidence, spec: ModelSpec, step: Step) -> Verdict:
    """Judge a challenger at one step of its rollout.

    Promote when every gate passes, roll back when one shows harm, or when the step is still undecided
    after `rollout.deadline`; else hold. Missing data holds and so never promotes. Since all gates must
    pass, each may use the whole `rollout.alpha`; since any may roll back, they share it.

    Raises
    ------
    Refused
        The evidence is of another step or model.
    SpecError
        The step is not in the model's `rollout.steps`.
    """
    if step not in spec.rollout.steps:
        known = ", ".join(steps.name(known) for known in spec.rollout.steps)
        raise SpecError([Problem("rollout.steps", f"must hold {steps.name(step)}", known)])
    if (evidence.model, evidence.step) != (spec.model, step):
        shown, asked = (
            f"{evidence.model} at {steps.name(evidence.step)}",
            f"{spec.model} at {steps.name(step)}",
        )
        msg = f"The evidence is of {shown}; it says nothing of {asked}."
        raise Refused(msg)
    asked_for = [gate(evidence, spec) for gate in ASKED_FOR]
    gates = (
        *(gate(evidence, spec) for gate in GATES),
        *(result for result in asked_for if result is not None),
        *judge_metrics(evidence, spec),
    )
    decision, reason = _decide(gates, evidence, spec)
    return Verdict(
        model=evidence.model,
        challenger=evidence.challenger,
        champion=evidence.champion,
        step=step,
        at=evidence.at,
        decision=decision,
        reason=reason,
        gates=gates,
    )


def _decide(gates: tuple[GateResult, ...], evidence: Evidence, spec: ModelSpec) -> tuple[Decision, str]:
    harmed = [gate.gate for gate in gates if gate.outcome is Outcome.ROLLBACK]
    if harmed:
        return Decision.ROLLBACK, f"Harm is shown: {', '.join(harmed)}."
    waiting = [gate.gate for gate in gates if gate.outcome is Outcome.HOLD]
    if not waiting:
        return Decision.PROMOTE, "All gates pass."
    open_gates = ", ".join(waiting)
    if evidence.at - evidence.began >= spec.rollout.deadline:
        deadline = format_duration(spec.rollout.deadline)
        return Decision.ROLLBACK, f"Not enough evidence within {deadline}: {open_gates}."
    because = "".join(f" {sentence}" for sentence in evidence.missing)
    return Decision.HOLD, f"Waiting for {open_gates}.{because}"
