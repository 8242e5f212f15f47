"""Take in a model that a data scientist trained: convert it, hold it to the gate, make it the champion."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from retraining.dataset import rows
from retraining.dataset.rows import FloatArray
from retraining.graphs import parity
from retraining.graphs.export import to_onnx
from retraining.graphs.scorer import Scorer
from retraining.registry import Registry
from retraining.release import Release, band, importances, population
from retraining.release import held as held_out
from retraining.workspace import Workspace
from spec import DataError, ModelSpec, Problem, Settings

_TICK = timedelta(microseconds=1)
_MIN_ROWS = 100
_MOST_HELD = 0.25
_FOLDS = 2


def adopt(
    spec: ModelSpec,
    settings: Settings,
    pipeline: Pipeline,
    train_frame: pd.DataFrame,
    holdout_frame: pd.DataFrame | None = None,
) -> str:
    """Register a fitted scikit-learn pipeline as the champion and return its version.

    The performance to expect is measured on `holdout_frame`; without one, on the two newest spans of
    `train_frame` (each as long as ``retrain.holdout``, at most a quarter) with clones fitted on the rows
    before. Adopting the same pipeline again returns its version.

    Parameters
    ----------
    pipeline
        Takes a frame of the spec's features. Classes are true and false (or 1 and 0), or the names of
        ``data.target.classes``.
    train_frame
        [n ≥ 100] the rows that it was fitted on: features, time (timezone-aware) and target.
    holdout_frame
        Rows of the same columns that it has not seen; what it does on them is what will be expected of it.

    Raises
    ------
    DataError
        With every problem of the frames or the pipeline's classes.
    Refused
        The pipeline does not convert, or cannot answer nulls or unseen categories.
    NotFaithful
        The ONNX graph answers differently; the message names the worst rows.
    Unavailable
        The registry did not answer.
    """
    train = _ordered(spec, train_frame, "train_frame")
    held = None if holdout_frame is None else _ordered(spec, holdout_frame, "holdout_frame")
    content = to_onnx(spec, pipeline).SerializeToString()
    faithful = parity.check(spec, pipeline, content, train, spec.retrain.search.seed)
    run = f"adopt-{hashlib.sha256(content).hexdigest()[:16]}"
    file = Workspace(settings, run).put("model.onnx", content)
    scorer = Scorer(spec.task, file)
    if held is None:
        held, scores = _out_of_time(spec, pipeline, train)
    else:
        scores = scorer.predict(rows.inputs(spec, held))
    performance = band(spec, rows.target(spec, held), scores, held[spec.data.time])
    times = train[spec.data.time]
    release = Release(
        source=run,
        onnx=file,
        population=population(spec, scorer, train),
        importances=importances(spec, scorer, held),
        performance=performance,
        window=(times.iloc[0].to_pydatetime(), times.iloc[-1].to_pydatetime() + _TICK),
        held=held_out(spec, held, scores),
        params={"learner": type(pipeline.steps[-1][1]).__name__, "train_rows": str(len(train))},
        metrics={
            **{f"expected_{metric}": item.value for metric, item in performance.items()},
            "parity_difference": faithful.difference,
            "size_bytes": float(len(content)),
        },
    )
    return Registry(settings).adopt(spec, release)


def _ordered(spec: ModelSpec, frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the rows by time with an index that names the given rows, after all checks."""
    rows.check(spec, frame, name)
    problems = []
    time = spec.data.time
    place = f"{name}: column {time!r}"
    if time not in frame:
        problems.append(
            Problem(place, "must be there", "no such column", f"Known: {', '.join(map(str, frame))}")
        )
    elif not isinstance(frame[time].dtype, pd.DatetimeTZDtype):
        problems.append(Problem(place, "must be timestamps with a time zone", str(frame[time].dtype)))
    elif frame[time].isna().any():
        problems.append(
            Problem(place, "must have a value in every row", f"{int(frame[time].isna().sum())} nulls")
        )
    if len(frame) < _MIN_ROWS:
        problems.append(Problem(name, f"must hold {_MIN_ROWS} rows", str(len(frame))))
    if problems:
        raise DataError(problems)
    return frame.sort_values(time, kind="stable")


def _out_of_time(spec: ModelSpec, pipeline: Pipeline, train: pd.DataFrame) -> tuple[pd.DataFrame, FloatArray]:
    """Return the newest rows and how clones score them, each fitted on what is older than its fold."""
    times = train[spec.data.time]
    span = min(spec.retrain.holdout, (times.iloc[-1] - times.iloc[0]) * _MOST_HELD)
    names, end = list(spec.features), times.iloc[-1]
    held, scores = [], []
    for fold in range(_FOLDS, 0, -1):
        after, upto = times > end - fold * span, times <= end - (fold - 1) * span
        older, newer = train[~after], train[after & upto]
        earlier = clone(pipeline).fit(older[names], older[spec.data.target.name])
        held.append(newer)
        scores.append(parity.answer(spec, earlier, newer[names])[0])
    return pd.concat(held), np.concatenate(scores)
