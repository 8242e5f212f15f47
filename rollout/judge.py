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
from spec import ModelSpec, Refused, format_duration
from spec.rollout import Terms

GATES = (judge_errors, judge_latency, judge_disagreement, judge_drift, judge_quality)
ASKED_FOR = (judge_latency_shift, judge_memory, judge_cpu)
"""Gates that are there only where the spec gives them a limit."""


def judge(evidence: Evidence, spec: ModelSpec, step: Step) -> Verdict:
    """Judge a challenger at one step of its rollout.

    Promote when every gate that the step waits for passes and the step's `min_time` is over. Roll back when
    any gate shows harm, waited for or not, or when the step is still undecided after its `deadline`; else
    hold. Missing data holds and so never promotes. Every gate is waited for at some step, where it may use
    the whole `rollout.alpha` to pass; since any may roll back at any step, they share it for that.

    Raises
    ------
    Refused
        The evidence is of another step or model.
    SpecError
        The step is not in the model's `rollout.steps`.
    """
    terms = spec.rollout.at(step)
    if (evidence.model, evidence.step) != (spec.model, step):
        shown, asked = (
            f"{evidence.model} at {steps.name(evidence.step)}",
            f"{spec.model} at {steps.name(step)}",
        )
        msg = f"The evidence is of {shown}; it says nothing of {asked}."
        raise Refused(msg)
    asked_for = [gate(evidence, spec) for gate in ASKED_FOR]
    found = (
        *(gate(evidence, spec) for gate in GATES),
        *(result for result in asked_for if result is not None),
        *judge_metrics(evidence, spec),
    )
    gates = tuple(gate.model_copy(update={"awaited": gate.gate in terms.awaited}) for gate in found)
    decision, reason = _decide(gates, evidence, terms)
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


def _decide(gates: tuple[GateResult, ...], evidence: Evidence, terms: Terms) -> tuple[Decision, str]:
    lasted = evidence.at - evidence.began
    harmed = [gate.gate for gate in gates if gate.outcome is Outcome.ROLLBACK]
    if harmed:
        return Decision.ROLLBACK, f"Harm is shown: {', '.join(harmed)}."
    passed = {gate.gate for gate in gates if gate.outcome is Outcome.PASS}
    waiting = [name for name in terms.awaited if name not in passed]
    if not waiting and lasted < terms.min_time:
        return Decision.HOLD, f"All gates pass; the step lasts {format_duration(terms.min_time)} at least."
    if not waiting:
        watched = "" if all(gate.awaited for gate in gates) else " that the step waits for"
        return Decision.PROMOTE, f"All gates{watched} pass."
    open_gates = ", ".join(waiting)
    if lasted >= terms.deadline:
        deadline = format_duration(terms.deadline)
        return Decision.ROLLBACK, f"Not enough evidence within {deadline}: {open_gates}."
    because = "".join(f" {sentence}" for sentence in evidence.missing)
    return Decision.HOLD, f"Waiting for {open_gates}.{because}"
