"""Probabilities must mean what they say: the calibration error may not be shown to rise."""

from __future__ import annotations

from monitors.performance import Estimate, all_metrics
from retraining.gates.exam import Exam
from retraining.records import Gate
from spec import PerformanceMetric, Task

NAME = "calibration"


def judge(exam: Exam) -> Gate:
    """Judge the expected calibration error (Naeini et al. 2015) of both sides on the same rows.

    Fails when the candidate's is above the opponent's by more than ``validate.calibration``, and its 95 %
    interval, over days, lies above the opponent's value. Values have no probabilities, and the trivial answer
    is calibrated and useless: both pass.
    """
    if exam.spec.task is Task.REGRESSION:
        return Gate(name=NAME, passed=True, reason="values have no probabilities")
    metric = PerformanceMetric.CALIBRATION_ERROR
    ours, theirs = (all_metrics(exam.truth(side), exam.spec).get(metric) for side in (exam.ours, exam.theirs))
    if not isinstance(ours, Estimate) or not isinstance(theirs, Estimate):
        return Gate(name=NAME, passed=True, reason="too few rows to measure the calibration error")
    if exam.against is None:
        shown = f"calibration error {ours.value:.4f} [{ours.low:.4f}, {ours.high:.4f}]"
        reason = f"{shown}, without a champion's to hold it to"
        return Gate(name=NAME, passed=True, reason=reason, value=ours.value, rows=len(exam.rows))
    limit = theirs.value + exam.spec.validation.calibration
    reason = f"calibration error {ours.value:.4f} [{ours.low:.4f}, {ours.high:.4f}]"
    return Gate(
        name=NAME,
        passed=not (ours.value > limit and ours.low > theirs.value),
        reason=f"{reason}, that of {exam.opponent} {theirs.value:.4f}; up to {limit:.4f} is tolerated",
        value=ours.value,
        limit=limit,
        rows=len(exam.rows),
    )
