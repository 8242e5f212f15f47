"""Hold the chosen variant against the champion on the same holdout rows: an interval decides, not a point."""

from __future__ import annotations

import numpy as np
import pandas as pd

from monitors.metrics import shortfall
from monitors.performance import Truth
from monitors.slices.fairness import gate
from retraining.dataset import rows
from retraining.dataset.labelled import days_of
from retraining.dataset.rows import FloatArray, IntArray
from retraining.graphs.scorer import Scorer
from retraining.metrics import expected, upper_bound
from retraining.prepare import HOLDOUT, load_rows
from retraining.records import Choice, Snapshot, Validation
from retraining.registry import Registry
from retraining.workspace import Workspace
from spec import ModelSpec, Settings, Task


def validate(spec: ModelSpec, settings: Settings, run: str) -> Validation:
    """Judge the chosen variant on the holdout; doing it again for the same run judges again.

    Accepted when the upper bound of the mean daily shortfall of the spec's performance metric, at
    ``validate.confidence``, is at most ``validate.margin`` of the champion's. Without a champion the
    candidate must be shown to beat the trivial answer (the base rate or mean of the training rows).
    Too few days are no evidence.

    Raises
    ------
    NotFound
        An earlier stage has not run.
    DataError
        The champion needs inputs that the spec does not name.
    Unavailable
        The registry did not answer.
    """
    work = Workspace(settings, run)
    taken, choice = work.load(Snapshot), work.load(Choice)
    holdout = load_rows(work, HOLDOUT)
    inputs, truth = rows.inputs(spec, holdout), rows.target(spec, holdout)
    against, theirs = _opponent(spec, settings, taken, inputs)
    ours = Scorer(spec.task, work.path(choice.chosen.onnx)).predict(inputs)
    record = judge(spec, truth, ours, theirs, holdout[spec.data.time], against)
    record = fair(spec, record, holdout, ours, theirs if against is not None else None)
    work.save(record)
    return record


def fair(
    spec: ModelSpec, record: Validation, holdout: pd.DataFrame, ours: FloatArray, theirs: FloatArray | None
) -> Validation:
    """Return the verdict with that of the fairness gate; without protected features it stays as it is.

    A candidate that is not shown to treat the groups of the `protected` features alike is not accepted, and
    neither is one about which too few rows tell.
    """
    if not spec.protected:
        return record
    labels = rows.target(spec, holdout).astype("float64")
    utc = pd.to_datetime(holdout[spec.data.time], utc=True).dt.as_unit("us")
    times = np.asarray(utc.astype("int64"), dtype=np.int64)
    mine = Truth(ours.reshape(len(labels), -1), labels, times)
    others = None if theirs is None else Truth(theirs.reshape(len(labels), -1), labels, times)
    found = gate(spec, holdout, mine, others, confidence=spec.validation.confidence)
    reasons = tuple(number.text for number in found.measurements if number.text)
    return record.model_copy(
        update={
            "accepted": record.accepted and found.status == "ok",
            "reasons": (*record.reasons, *(f"fairness: {reason}" for reason in reasons)),
        }
    )


def judge(
    spec: ModelSpec,
    truth: FloatArray | IntArray,
    ours: FloatArray,
    theirs: FloatArray,
    times: pd.Series[pd.Timestamp],
    against: str | None,
) -> Validation:
    """Judge scores of the same rows; pure.

    Parameters
    ----------
    truth
        [n], as of `retraining.dataset.rows.target`.
    ours, theirs
        [n] or [n, k] scores of the candidate and of its opponent.
    times
        [n] event times.
    against
        The opponent's version; None for the trivial baseline.
    """
    days = days_of(times)
    mine, others = (scores.reshape(len(times), -1) for scores in (ours, theirs))
    quantile = spec.monitor.performance.quantile
    by_day = shortfall(
        spec.performance_metric, mine, others, truth.astype("float64"), days, quantile=quantile
    )
    defined = np.isfinite(by_day)[days]
    kept = np.unique(days[defined], return_inverse=True)[1]
    count = int(np.isfinite(by_day).sum())
    worse = by_day[days[defined]]
    values = {"candidate": _values(spec, truth, ours, times), "opponent": _values(spec, truth, theirs, times)}
    champions = abs(values["opponent"].get(spec.performance_metric.value, 0.0))
    limit = spec.validation.margin * champions if against is not None else 0.0
    enough = count >= spec.validation.min_days
    upper = upper_bound(worse, kept, spec.validation.confidence) if enough else None
    accepted = upper is not None and (upper <= limit if against is not None else upper < limit)
    return Validation(
        accepted=accepted,
        reasons=(_evidence(spec, count, len(worse)), *_why(spec, worse, upper, limit, against)),
        against=against,
        rows=len(worse),
        days=count,
        **values,
        difference=float(worse.mean()) if count else None,
        upper=upper,
        limit=limit,
        confidence=spec.validation.confidence,
    )


def _opponent(
    spec: ModelSpec, settings: Settings, taken: Snapshot, inputs: pd.DataFrame
) -> tuple[str | None, FloatArray]:
    registry = Registry(settings)
    champion = registry.version(spec.model, "champion")
    if champion is not None:
        return champion, Scorer(spec.task, registry.onnx(spec.model, champion)).predict(inputs)
    shape = (len(inputs), len(taken.base_prediction)) if spec.task is Task.MULTICLASS else (len(inputs),)
    return None, np.broadcast_to(np.asarray(taken.base_prediction), shape).astype("float64")


def _evidence(spec: ModelSpec, days: int, count: int) -> str:
    need = spec.validation.min_days
    if days < need:
        return f"not enough evidence: {days} days with labels < {need} days (validate.min_days)"
    return f"{count} labelled rows of {days} days"


def _why(
    spec: ModelSpec, worse: FloatArray, upper: float | None, limit: float, against: str | None
) -> tuple[str, ...]:
    if upper is None:
        return ()
    name = f"champion {against}" if against is not None else "the trivial baseline"
    confidence = f"{spec.validation.confidence:.0%}"
    shown = f"{spec.performance_metric} by day {_told(float(worse.mean()))} than {name}"
    shown += f", at worst {_told(upper)} at {confidence}"
    if against is None:
        return (f"{shown}: {_verdict('better', held=upper < limit)}",)
    verdict = _verdict("non-inferior", held=upper <= limit)
    return (f"{shown}, {limit:.4f} worse is tolerated: {verdict}",)


def _told(shortfall: float) -> str:
    return f"{abs(shortfall):.4f} {'worse' if shortfall > 0 else 'better'}"


def _verdict(word: str, *, held: bool) -> str:
    return word if held else f"not shown to be {word}"


def _values(
    spec: ModelSpec, truth: FloatArray | IntArray, scores: FloatArray, times: pd.Series[pd.Timestamp]
) -> dict[str, float]:
    return {metric.value: found.value for metric, found in expected(spec, truth, scores, times).items()}
