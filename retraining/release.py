"""What is registered beside a model file: what it was trained on, what to expect of it, what it looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from monitors import frames
from monitors.held import Held
from monitors.reference_profile import PREDICTION
from monitors.references import Band
from retraining.dataset.rows import FloatArray, IntArray, inputs, target
from retraining.graphs.scorer import Scorer
from retraining.metrics import expected, row_losses
from spec import ModelSpec, Task

_PERMUTED_ROWS = 2000
_REPEATS = 2


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial of the search, for the tracking server.

    Parameters
    ----------
    state
        As Optuna has it: ``COMPLETE``, ``PRUNED``, ``FAIL``.
    start, end
        Wall time.
    """

    name: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    state: str
    start: datetime
    end: datetime

    @property
    def status(self) -> Literal["FINISHED", "KILLED", "FAILED"]:
        """What became of it: a trial that was ended early counts as killed."""
        return "FINISHED" if self.state == "COMPLETE" else "KILLED" if self.state == "PRUNED" else "FAILED"


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that a model was made from, for the tracking server.

    Parameters
    ----------
    kind, source
        Kind of the source and its address, as `mlflow.data` reads them back.
    profile
        Numbers of rows, JSON-able.
    """

    name: str
    sha256: str
    kind: Literal["delta_table", "local"]
    source: Mapping[str, Any]
    profile: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A retrain that ended without a version, on its way into the tracking server.

    Parameters
    ----------
    source
        What it was made by: ``retrain/<run>``; a later attempt of the same source takes its place.
    tags
        What asked for it, who refused it and why; stored as ``trimtab.<name>``.
    params, metrics, artifacts, rows, trials
        As of `Release`, as far as the retrain came.
    """

    source: str
    tags: Mapping[str, str]
    artifacts: tuple[Path, ...]
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    rows: Rows | None = None
    trials: tuple[Trial, ...] = ()


@dataclass(frozen=True, slots=True)
class Release:
    """A model file on its way into the registry.

    Parameters
    ----------
    source
        What it was made by, such as ``retrain/<run>``; one source is registered once.
    onnx
        The model file.
    population
        All training rows with their prediction, null where missing; the reference is sampled from them.
    importances
        Share of each feature, see `importances`.
    performance
        What to expect of realised performance, by metric.
    window
        Event times of the training rows, [start, end).
    held
        Labelled rows that the model has not seen, see `held`; None where there are none.
    params, metrics
        For the tracking run; metrics in the unit of their name.
    artifacts
        Further files of the tracking run.
    native
        Folder of the model in its own library's form, see `retraining.native`; None where there is none.
    rows, trials
        What it was made from, and the search.
    tags
        What asked for it, for the tracking run and the version; stored as ``trimtab.<name>``.
    """

    source: str
    onnx: Path
    population: pd.DataFrame
    importances: Mapping[str, float]
    performance: Mapping[str, Band]
    window: tuple[datetime, datetime]
    held: Held | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    artifacts: tuple[Path, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    native: Path | None = None
    rows: Rows | None = None
    trials: tuple[Trial, ...] = ()


def triggered(trigger: Mapping[str, Any]) -> dict[str, str]:
    """Return what asked for a retrain as tags; what nobody said is left out."""
    return {f"trigger.{name}": str(value) for name, value in trigger.items() if value is not None}


def population(spec: ModelSpec, scorer: Scorer, train: pd.DataFrame) -> pd.DataFrame:
    """Return training rows [n] as a reference needs them: event time, features, target and `prediction`.

    Features that are private and dropped are null: the registry keeps some of the rows.
    """
    scores = scorer.predict(inputs(spec, train))
    if spec.task is Task.MULTICLASS:
        scores = scores.argmax(axis=1).astype("float64")
    kept = train[[spec.data.time, *spec.features, spec.data.target.name]]
    return kept.assign(**dict.fromkeys(spec.dropped), **{PREDICTION: scores})


def held(spec: ModelSpec, frame: pd.DataFrame, scores: FloatArray) -> Held:
    """Return labelled rows [n] that the model has not seen, with what it answered ([n] or [n, k])."""
    times = pd.to_datetime(frame[spec.data.time], utc=True).dt.as_unit("us").astype("int64")
    return Held(
        frames.typed(spec, frame[list(spec.logged.features)]).reset_index(drop=True),
        np.asarray(scores, "float64").reshape(len(frame), -1),
        target(spec, frame).astype("float64"),
        np.asarray(times, dtype=np.int64),
    )


def band(
    spec: ModelSpec, truth: FloatArray | IntArray, scores: FloatArray, times: pd.Series[pd.Timestamp]
) -> dict[str, Band]:
    """Return the performance to expect, from rows later than those of the training."""
    found = expected(spec, truth, scores, times)
    return {metric.value: Band(item.value, item.low, item.high) for metric, item in found.items()}


def importances(spec: ModelSpec, scorer: Scorer, frame: pd.DataFrame, seed: int = 0) -> dict[str, float]:
    """Return each feature's share of what the model knows, in [0, 1], summing to 1.

    The share is that of the rise of the loss when the feature's values are dealt out anew among up to
    2,000 rows. It is measured on the served graph, so it means the same for every learner. A model that
    no feature matters to gets equal shares.

    Parameters
    ----------
    frame
        [n] labelled rows, best those that the model has not seen.
    """
    rng = np.random.default_rng(seed)
    sample = frame.sample(min(_PERMUTED_ROWS, len(frame)), random_state=seed)
    asked, truth = inputs(spec, sample), target(spec, sample)
    base = row_losses(spec.task, truth, scorer.predict(asked)).mean()
    rises = {}
    for name in spec.features:
        losses = []
        for _ in range(_REPEATS):
            dealt = asked.assign(**{name: asked[name].to_numpy()[rng.permutation(len(asked))]})
            losses.append(row_losses(spec.task, truth, scorer.predict(dealt)).mean())
        rises[name] = max(0.0, float(np.mean(losses) - base))
    total = sum(rises.values())
    return {name: rise / total if total else 1 / len(rises) for name, rise in rises.items()}
