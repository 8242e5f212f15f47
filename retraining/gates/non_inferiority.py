"""The metric by day, on the same rows: an interval over days decides, not a point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monitors.metrics import shortfall
from retraining.dataset.rows import FloatArray
from retraining.gates.exam import Exam
from retraining.metrics import expected, upper_bound
from retraining.records import Gate


@dataclass(frozen=True, slots=True)
class Shortfall:
    """By how much the candidate is worse than its opponent, in the unit of the spec's metric.

    Parameters
    ----------
    value
        Mean over days, weighted by rows; below zero the candidate is better. None without a day that tells.
    upper
        One-sided upper bound at ``validate.confidence``; None with fewer than ``validate.min_days`` days.
    limit
        What `upper` may not exceed; for the trivial baseline it must stay below.
    candidate, opponent
        Every metric that is defined on the rows.
    """

    value: float | None
    upper: float | None
    limit: float
    rows: int
    days: int
    candidate: dict[str, float]
    opponent: dict[str, float]


def measure(exam: Exam) -> Shortfall:
    """Measure the daily shortfall of the spec's metric."""
    spec, days = exam.spec, exam.rows.days
    ours, theirs = exam.ours(exam.rows.inputs), exam.theirs(exam.rows.inputs)
    mine, others = (scores.reshape(len(days), -1) for scores in (ours, theirs))
    labels, quantile = exam.rows.truth.astype("float64"), spec.monitor.performance.quantile
    by_day = shortfall(spec.performance_metric, mine, others, labels, days, quantile=quantile)
    defined = np.isfinite(by_day)[days]
    kept = np.unique(days[defined], return_inverse=True)[1]
    count = int(np.isfinite(by_day).sum())
    worse = by_day[days[defined]]
    values, opponents = _values(exam, ours), _values(exam, theirs)
    champions = abs(opponents.get(spec.performance_metric.value, 0.0))
    enough = count >= spec.validation.min_days
    return Shortfall(
        value=float(worse.mean()) if count else None,
        upper=upper_bound(worse, kept, spec.validation.confidence) if enough else None,
        limit=spec.validation.margin * champions if exam.against is not None else 0.0,
        rows=len(worse),
        days=count,
        candidate=values,
        opponent=opponents,
    )


def judge(exam: Exam, found: Shortfall, name: str = "recent") -> Gate:
    """Judge: not worse than the champion by more than the margin, or better than the trivial baseline."""
    return Gate(
        name=name,
        passed=_passes(exam, found),
        reason="; ".join((_evidence(exam, found), *_why(exam, found))),
        value=found.value,
        upper=found.upper,
        limit=found.limit,
        rows=found.rows,
        days=found.days,
    )


def _passes(exam: Exam, found: Shortfall) -> bool:
    if found.upper is None:
        return False
    return found.upper < found.limit if exam.against is None else found.upper <= found.limit


def _evidence(exam: Exam, found: Shortfall) -> str:
    need = exam.spec.validation.min_days
    if found.days < need:
        return f"not enough evidence: {found.days} days with labels < {need} days (validate.min_days)"
    return f"{found.rows} labelled rows of {found.days} days"


def _why(exam: Exam, found: Shortfall) -> tuple[str, ...]:
    if found.upper is None or found.value is None:
        return ()
    confidence = f"{exam.spec.validation.confidence:.0%}"
    shown = f"{exam.spec.performance_metric} by day {_told(found.value)} than {exam.opponent}"
    shown += f", at worst {_told(found.upper)} at {confidence}"
    held = _passes(exam, found)
    if exam.against is None:
        return (f"{shown}: {_verdict('better', held=held)}",)
    return (f"{shown}, {found.limit:.4f} worse is tolerated: {_verdict('non-inferior', held=held)}",)


def _told(shortfall: float) -> str:
    return f"{abs(shortfall):.4f} {'worse' if shortfall > 0 else 'better'}"


def _verdict(word: str, *, held: bool) -> str:
    return word if held else f"not shown to be {word}"


def _values(exam: Exam, scores: FloatArray) -> dict[str, float]:
    found = expected(exam.spec, exam.rows.truth, scores, exam.frame[exam.spec.data.time])
    return {metric.value: item.value for metric, item in found.items()}
