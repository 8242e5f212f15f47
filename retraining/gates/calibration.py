"""Probabilities must mean what they say: the calibration error may not be shown to rise."""

from __future__ import annotations

import numpy as np

from monitors.finding import NoData
from monitors.metrics import DEFINITIONS, Rows
from monitors.metrics.blocks import Statistic
from monitors.performance import blocks, estimate
from retraining.gates.exam import Answer, Exam
from retraining.gates.paired import Bounds, bounds
from retraining.records import Gate
from spec import PerformanceMetric, Task

NAME = "calibration"
_METRIC = PerformanceMetric.CALIBRATION_ERROR


def judge(exam: Exam) -> Gate:
    """Judge the expected calibration error (Naeini et al. 2015) of both sides on the same rows.

    Fails when the candidate's is above the opponent's by more than ``validate.calibration``, and the
    difference, paired, with days as the units, is shown to be above zero at ``validate.confidence``. The
    error of few rows is mostly chance: to demand proof that it has not risen would reject half of the good
    candidates on a thousand rows. Values have no probabilities, and the trivial answer is calibrated and
    useless: both pass.
    """
    if exam.spec.task is Task.REGRESSION:
        return Gate(name=NAME, passed=True, reason="values have no probabilities")
    ours = estimate(exam.truth(exam.ours), _METRIC)
    if isinstance(ours, NoData):
        return Gate(name=NAME, passed=True, reason="too few rows to measure the calibration error")
    shown = f"calibration error {ours.value:.4f} [{ours.low:.4f}, {ours.high:.4f}]"
    if exam.against is None:
        reason = f"{shown}, without a champion's to hold it to"
        return Gate(name=NAME, passed=True, reason=reason, value=ours.value, rows=len(exam.rows))
    margin, apart = exam.spec.validation.calibration, _apart(exam)
    told = f"{abs(apart.value):.4f} {'above' if apart.value > 0 else 'below'} that of {exam.opponent}"
    return Gate(
        name=NAME,
        passed=not (apart.value > margin and apart.low > 0),
        reason=f"{shown}, {told}, at least {apart.low:+.4f}; {margin:.4f} above is tolerated",
        value=apart.value,
        limit=margin,
        rows=len(exam.rows),
    )


def _apart(exam: Exam) -> Bounds:
    """Return by how much the candidate's calibration error lies above the opponent's."""
    block = blocks(exam.truth(exam.ours).times)
    count = int(block.max()) + 1
    mine, other = (_error(exam, side, block) for side in (exam.ours, exam.theirs))
    return bounds(lambda weights: mine(weights) - other(weights), count, exam.spec.validation.confidence)


def _error(exam: Exam, side: Answer, block: np.ndarray) -> Statistic:
    truth = exam.truth(side)
    return DEFINITIONS[_METRIC].of(Rows(truth.scores, truth.labels, block))
