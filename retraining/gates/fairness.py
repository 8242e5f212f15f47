"""The groups of the protected features must be shown to be served alike."""

from __future__ import annotations

from monitors.slices.fairness import gate
from retraining.gates.exam import Exam
from retraining.records import Gate

NAME = "fairness"


def judge(exam: Exam) -> Gate:
    """Judge by `monitors.slices.fairness.gate`; passes where nothing is protected.

    A candidate that is not shown to treat the groups alike does not pass, and neither does one about which
    too few rows tell.
    """
    if not exam.spec.protected:
        return Gate(name=NAME, passed=True, reason="no feature is protected")
    theirs = None if exam.against is None else exam.truth(exam.theirs)
    confidence = exam.spec.validation.confidence
    found = gate(exam.spec, exam.frame, exam.truth(exam.ours), theirs, confidence=confidence)
    texts = [number.text for number in found.measurements if number.text]
    reason = "; ".join(texts) or "the groups are served alike"
    return Gate(name=NAME, passed=found.status == "ok", reason=reason, rows=found.rows)
