"""Hold the chosen variant against the champion, on the same rows it has not seen, by every gate."""

from __future__ import annotations

from functools import partial

import numpy as np
import onnx
import pandas as pd

from retraining.dataset.cut import cut
from retraining.dataset.rows import FloatArray
from retraining.dataset.stored import HOLDOUT, TRAIN, load_rows
from retraining.gates import (
    budget,
    calibration,
    fairness,
    non_inferiority,
    robustness,
    season,
    served,
    signature,
    slices,
)
from retraining.gates.exam import Answer, Exam
from retraining.graphs.scorer import Scorer
from retraining.records import Choice, Gate, Snapshot, Validation
from retraining.registry import Registry
from retraining.workspace import Workspace
from spec import ModelSpec, Settings, Task


def validate(spec: ModelSpec, settings: Settings, run: str) -> Validation:
    """Judge the chosen variant; doing it again for the same run judges again.

    It is accepted when every gate passes: not worse than the champion on the newest rows by more than
    ``validate.margin`` (without a champion: better than the trivial answer), nor on those of a season ago; no
    declared slice shown to lose; protected groups served alike; probabilities calibrated; as robust as the
    champion; inputs, outputs, size and latency as they must be; answered by a process of the model server as
    by the graph itself. Too few days are no evidence.

    Raises
    ------
    NotFound
        An earlier stage has not run.
    DataError
        The champion needs inputs that the spec does not name.
    Unavailable
        The registry did not answer, or a model server was not ready in time.
    """
    work = Workspace(settings, run)
    taken, choice = work.load(Snapshot), work.load(Choice)
    against, theirs = _opponent(spec, settings, taken)
    file = work.path(choice.chosen.onnx)
    recent = Exam.of(spec, load_rows(work, HOLDOUT), Scorer(spec.task, file).predict, theirs, against)
    past = cut(spec, load_rows(work, TRAIN), taken).season
    proxy = Scorer(spec.task, work.path(choice.chosen.proxy)).predict
    earlier = None if past.empty else Exam.of(spec, past, proxy, theirs, against)
    gates = (
        season.judge(earlier),
        *judged(recent),
        signature.judge(spec, onnx.load(file)),
        budget.judge(spec, choice.chosen),
        served.judge(spec, file, recent.rows.inputs),
    )
    record = verdict(recent, gates)
    work.save(record)
    return record


def judged(exam: Exam) -> tuple[Gate, ...]:
    """Return the verdicts of the gates that look at the newest rows, but for the metric itself."""
    return tuple(gate.judge(exam) for gate in (slices, fairness, calibration, robustness))


def verdict(exam: Exam, others: tuple[Gate, ...]) -> Validation:
    """Return the verdict on the newest rows and of other gates."""
    found = non_inferiority.measure(exam)
    first = non_inferiority.judge(exam, found)
    failed = tuple(f"{gate.name}: {gate.reason}" for gate in others if not gate.passed)
    return Validation(
        accepted=first.passed and not failed,
        reasons=(first.reason, *failed),
        gates=(first, *others),
        against=exam.against,
        rows=found.rows,
        days=found.days,
        candidate=found.candidate,
        opponent=found.opponent,
        difference=found.value,
        upper=found.upper,
        limit=found.limit,
        confidence=exam.spec.validation.confidence,
    )


def _opponent(spec: ModelSpec, settings: Settings, taken: Snapshot) -> tuple[str | None, Answer]:
    registry = Registry(settings)
    champion = registry.version(spec.model, "champion")
    if champion is not None:
        return champion, Scorer(spec.task, registry.onnx(spec.model, champion)).predict
    return None, partial(_trivial, spec, taken.base_prediction)


def _trivial(spec: ModelSpec, answer: tuple[float, ...], inputs: pd.DataFrame) -> FloatArray:
    shape = (len(inputs), len(answer)) if spec.task is Task.MULTICLASS else (len(inputs),)
    return np.broadcast_to(np.asarray(answer), shape).astype("float64")
