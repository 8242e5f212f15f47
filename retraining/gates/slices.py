"""No declared slice may be shown to lose: what is better overall may be paid for by a few."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from monitors import frames
from monitors.slices.cuts import cuts
from monitors.slices.holm import holm
from retraining.dataset.rows import FloatArray
from retraining.gates.exam import Exam
from retraining.records import Gate

NAME = "slices"


def judge(exam: Exam) -> Gate:
    """Judge the slices of `monitor.slices.by` by their losses, paired, with days as the units.

    A slice fails when its loss is shown to be worse than the champion's by more than
    ``validate.slice_margin`` of the champion's mean loss over all rows; any is shown wrongly with
    1 - ``validate.confidence`` at most (Holm). Slices with fewer than ``monitor.slices.min_rows`` rows or
    ``validate.min_days`` days are not judged: a small slice can hardly ever be shown to be as good, and would
    stop every retrain.
    """
    spec = exam.spec
    if exam.against is None or not spec.monitor.slices.by:
        why = "no slice is declared" if exam.against is not None else "there is no champion to lose against"
        return Gate(name=NAME, passed=True, reason=why)
    ours, theirs = exam.losses()
    allowed = spec.validation.slice_margin * float(theirs.mean())
    names, p_values, rises = [], [], []
    for name, inside in _slices(exam):
        if inside.sum() >= spec.monitor.slices.min_rows:
            rise, days = (ours - theirs)[inside], exam.rows.days[inside]
            tested = _tested(rise, days, allowed, spec.validation.min_days)
            if tested is not None:
                names.append(name)
                rises.append(tested[0])
                p_values.append(tested[1])
    if not names:
        return Gate(name=NAME, passed=True, reason="no slice has rows and days enough to be judged")
    shown = holm(np.array(p_values)) <= 1 - spec.validation.confidence
    worst = int(np.argmax(rises))
    told = f"{names[worst]} fares worst of {len(names)} slices: loss {rises[worst]:+.4f}"
    lost = [f"loss {rise:+.4f} in {name}" for name, rise, bad in zip(names, rises, shown, strict=True) if bad]
    return Gate(
        name=NAME,
        passed=not lost,
        reason=f"{'; '.join(lost) or told}, {allowed:+.4f} is tolerated",
        value=rises[worst],
        limit=allowed,
        rows=len(ours),
        days=len(np.unique(exam.rows.days)),
    )


def _slices(exam: Exam) -> list[tuple[str, NDArray[np.bool_]]]:
    typed = frames.typed(exam.spec, exam.frame[list(exam.spec.features)])
    found = []
    for cut in cuts(exam.spec, typed, exam.spec.monitor.slices.by):
        codes = cut.codes(typed[cut.feature])
        found += [(name, np.asarray(codes == code)) for code, name in enumerate(cut.names)]
    return found


def _tested(
    rises: FloatArray, days: NDArray[np.int64], allowed: float, least: int
) -> tuple[float, float] | None:
    """Return the mean rise, and the p-value of it being no more than allowed; days are the units."""
    day = np.unique(days, return_inverse=True)[1]
    count = int(day.max()) + 1
    if count < least:
        return None
    sums, sizes = np.bincount(day, rises), np.bincount(day)
    mean = float(sums.sum() / sizes.sum())
    apart = sums - mean * sizes  # the linearised ratio of sums
    error = math.sqrt(float((apart**2).sum()) * count / (count - 1)) / float(sizes.sum())
    if error == 0:
        return mean, float(mean <= allowed)
    return mean, float(stdtr(count - 1, (allowed - mean) / error))
