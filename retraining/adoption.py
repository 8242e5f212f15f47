"""Take in a model that somebody else made: check it, measure it, make it the champion."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
from google.protobuf.message import DecodeError
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from retraining import native
from retraining.dataset import private, rows
from retraining.dataset.rows import FloatArray
from retraining.gates import signature
from retraining.graphs import parity
from retraining.graphs.export import to_onnx
from retraining.graphs.scorer import Scorer
from retraining.registry import Approval, Registry
from retraining.release import Release, band, importances, population
from retraining.release import held as held_out
from retraining.workspace import Workspace
from spec import DataError, ModelSpec, Problem, Settings, Task

_TICK = timedelta(microseconds=1)
_MIN_ROWS = 100
_MOST_HELD = 0.25
_FOLDS = 2
_SUM = 1e-3  # how far probabilities of a row may sum from 1


def adopt(
    spec: ModelSpec,
    settings: Settings,
    pipeline: Pipeline,
    train_frame: pd.DataFrame,
    holdout_frame: pd.DataFrame | None = None,
    *,
    approval: Approval | None = None,
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
    approval
        Who wants it, and why; by default the user whose process this is.

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
    train = _ordered(spec, settings, train_frame, "train_frame")
    held = None if holdout_frame is None else _ordered(spec, settings, holdout_frame, "holdout_frame")
    content = to_onnx(spec, pipeline).SerializeToString()
    faithful = parity.check(spec, pipeline, content, train, spec.retrain.search.seed)
    work = _workspace(settings, content)
    file = work.put("model.onnx", content)
    scorer = Scorer(spec.task, file)
    if held is None:
        held, scores = _out_of_time(spec, pipeline, train)
    else:
        scores = scorer.predict(rows.inputs(spec, held))
    beside = work.path("native")
    return _crowned(
        spec,
        settings,
        _Adopted(
            work.run,
            file,
            learner=type(pipeline.steps[-1][1]).__name__,
            native=beside if native.save(pipeline, beside) else None,
            metrics={"parity_difference": faithful.difference},
            approval=approval,
        ),
        train,
        held,
        scores,
    )


def adopt_graph(
    spec: ModelSpec,
    settings: Settings,
    file: Path,
    train_frame: pd.DataFrame,
    holdout_frame: pd.DataFrame,
    *,
    approval: Approval | None = None,
) -> str:
    """Register an ONNX file as the champion and return its version; no code of its maker is run.

    A graph cannot be fitted again, so what to expect of it is measured on `holdout_frame` alone. Whether it
    is what its maker trained, only its maker can say: there is no pipeline to compare it with.

    Parameters
    ----------
    file
        One input a feature, named as it, [None, 1], float32 or string (``""`` is null); the outputs ``label``
        and ``probabilities`` [None, classes], or ``variable`` [None, 1].
    train_frame, holdout_frame, approval
        As of `adopt`.

    Raises
    ------
    DataError
        With every problem of the frames, of the graph's inputs and outputs, or of what it answers.
    Refused
        ONNX Runtime cannot execute the graph.
    Unavailable
        The registry did not answer.
    """
    train = _ordered(spec, settings, train_frame, "train_frame")
    held = _ordered(spec, settings, holdout_frame, "holdout_frame")
    content = _graph(spec, file)
    work = _workspace(settings, content)
    stored = work.put("model.onnx", content)
    scores = Scorer(spec.task, stored).predict(rows.inputs(spec, held))
    if problems := list(_answers(spec, file, scores)):
        raise DataError(problems)
    adopted = _Adopted(work.run, stored, "onnx", approval=approval)
    return _crowned(spec, settings, adopted, train, held, scores)


@dataclass(frozen=True, slots=True)
class _Adopted:
    source: str
    onnx: Path
    learner: str
    native: Path | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    approval: Approval | None = None


def _crowned(
    spec: ModelSpec,
    settings: Settings,
    adopted: _Adopted,
    train: pd.DataFrame,
    held: pd.DataFrame,
    scores: FloatArray,
) -> str:
    scorer = Scorer(spec.task, adopted.onnx)
    performance = band(spec, rows.target(spec, held), scores, held[spec.data.time])
    times = train[spec.data.time]
    release = Release(
        source=adopted.source,
        onnx=adopted.onnx,
        population=population(spec, scorer, train),
        importances=importances(spec, scorer, held),
        performance=performance,
        window=(times.iloc[0].to_pydatetime(), times.iloc[-1].to_pydatetime() + _TICK),
        held=held_out(spec, held, scores),
        params={"learner": adopted.learner, "train_rows": str(len(train))},
        metrics={
            **{f"expected_{metric}": item.value for metric, item in performance.items()},
            **adopted.metrics,
            "size_bytes": float(adopted.onnx.stat().st_size),
        },
        native=adopted.native,
    )
    return Registry(settings).adopt(spec, release, adopted.approval)


def _workspace(settings: Settings, content: bytes) -> Workspace:
    return Workspace(settings, f"adopt-{hashlib.sha256(content).hexdigest()[:16]}")


def _graph(spec: ModelSpec, file: Path) -> bytes:
    """Return a file's content, after all checks that need no row."""
    try:
        content = file.read_bytes()
        graph = onnx.load_from_string(content)
    except OSError as error:
        raise DataError([Problem(str(file), "must be a readable file", error.strerror or "")]) from error
    except DecodeError as error:
        must, hint = "must be an ONNX model", "A scikit-learn pipeline comes as .skops; a pickle never"
        raise DataError([Problem(str(file), must, "something else", hint)]) from error
    if wrong := signature.wrong(spec, graph):
        hint = "`trimtab schema` and the model's YAML say what is asked for"
        raise DataError([Problem(f"{file}: {one.what}", one.must, one.found, hint) for one in wrong])
    return content


def _answers(spec: ModelSpec, file: Path, scores: FloatArray) -> Iterator[Problem]:
    """Yield what is wrong with answers [n] or [n, k] to real rows."""
    bad = int((~np.isfinite(scores)).sum())
    if bad:
        yield Problem(f"{file}: its answers", "must be finite numbers", f"{bad} are not")
        return
    if spec.task is Task.REGRESSION:
        return
    if scores.min() < 0 or scores.max() > 1:
        yield Problem(
            f"{file}: probabilities", "must lie in [0, 1]", f"{scores.min():.4g} to {scores.max():.4g}"
        )
    classes = spec.data.target.classes or ()
    if spec.task is Task.MULTICLASS and scores.shape[1] != len(classes):
        yield Problem(f"{file}: probabilities", f"must be {len(classes)} a row", str(scores.shape[1]))
    elif spec.task is Task.MULTICLASS and np.abs(scores.sum(axis=1) - 1).max() > _SUM:
        yield Problem(f"{file}: probabilities", "must sum to 1 in every row", "other sums")


def _ordered(spec: ModelSpec, settings: Settings, frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the rows by time with an index that names the given rows, after all checks, with tokens."""
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
    return private.tokenized(spec, settings, frame).sort_values(time, kind="stable")


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
