"""What the card tells, collected: the records of the run, and what is measured for the card alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from monitors import frames
from monitors.comparing.compare import compare
from monitors.comparing.comparison import Comparison
from monitors.performance import Estimate
from monitors.results.records import Measurement
from monitors.slices import judge
from retraining.card.explanation import mean_abs_shap
from retraining.gates.exam import Answer, Exam
from retraining.metrics import expected
from retraining.records import Choice, Search, Snapshot, Tuning, Validation
from spec import ModelSpec, PerformanceMetric

Estimates = Mapping[PerformanceMetric, Estimate]


@dataclass(frozen=True, slots=True)
class Records:
    """What the stages of a run left."""

    taken: Snapshot
    tuning: Tuning
    found: Search
    choice: Choice
    verdict: Validation


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that the card is written from.

    Parameters
    ----------
    trigger
        What asked for the retrain: the fields of `alerts.RetrainRequest`; empty where a person ran it.
    candidate, champion
        Metrics on the holdout with their intervals; None without a champion.
    slices
        The watched metric by the slices of `monitor.slices.by`, of the candidate.
    shap, importances
        By feature, the largest first.
    drift
        The holdout beside the training rows.
    """

    spec: ModelSpec
    run: str
    records: Records
    trigger: Mapping[str, Any]
    candidate: Estimates
    champion: Estimates | None
    slices: tuple[Measurement, ...]
    shap: Mapping[str, float]
    importances: Mapping[str, float]
    drift: Comparison


def collect(
    exam: Exam,
    run: str,
    records: Records,
    train: pd.DataFrame,
    trigger: Mapping[str, Any],
    importances: Mapping[str, float],
) -> Evidence:
    """Measure what the card tells beside the records.

    Parameters
    ----------
    exam
        The holdout, with the candidate and its opponent.
    train
        [n, …] the training rows of the snapshot.
    """
    spec = exam.spec
    theirs = None if exam.against is None else _metrics(exam, exam.theirs)
    return Evidence(
        spec=spec,
        run=run,
        records=records,
        trigger=trigger,
        candidate=_metrics(exam, exam.ours),
        champion=theirs,
        slices=_slices(exam),
        shap=mean_abs_shap(exam.ours, exam.rows.inputs, spec.retrain.search.seed),
        importances=dict(sorted(importances.items(), key=lambda item: -item[1])),
        drift=compare(*(_features(spec, frame) for frame in (train, exam.frame)), importances=importances),
    )


def _metrics(exam: Exam, answer: Answer) -> Estimates:
    times = exam.frame[exam.spec.data.time]
    return expected(exam.spec, exam.rows.truth, np.asarray(answer(exam.rows.inputs)), times)


def _slices(exam: Exam) -> tuple[Measurement, ...]:
    spec = exam.spec
    if not spec.monitor.slices.by:
        return ()
    typed = _features(spec, exam.frame)
    told = judge.by_declared(spec, typed, exam.truth(exam.ours), None).measurements
    watched = spec.performance_metric.value
    return tuple(number for number in told if number.method == watched and number.feature is not None)


def _features(spec: ModelSpec, frame: pd.DataFrame) -> pd.DataFrame:
    return frames.typed(spec, frame[list(spec.features)]).reset_index(drop=True)
