"""What is registered beside a model file: what it was trained on, what to expect of it, what it looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from monitors import frames
from monitors.held import Held
from monitors.reference_profile import PREDICTION
from monitors.references import Band
from retraining.dataset import rows
from retraining.dataset.rows import FloatArray, IntArray
from retraining.graphs.scorer import Scorer
from retraining.metrics import expected, row_losses
from spec import ModelSpec, Task

_PERMUTED_ROWS = 2000
_REPEATS = 2


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


def population(spec: ModelSpec, scorer: Scorer, train: pd.DataFrame) -> pd.DataFrame:
    """Return training rows [n] as a reference needs them: event time, features, target and `prediction`."""
    scores = scorer.predict(rows.inputs(spec, train))
    if spec.task is Task.MULTICLASS:
        scores = scores.argmax(axis=1).astype("float64")
    return train[[spec.data.time, *spec.features, spec.data.target.name]].assign(**{PREDICTION: scores})


def held(spec: ModelSpec, frame: pd.DataFrame, scores: FloatArray) -> Held:
    """Return labelled rows [n] that the model has not seen, with what it answered ([n] or [n, k])."""
    times = pd.to_datetime(frame[spec.data.time], utc=True).dt.as_unit("us").astype("int64")
    return Held(
        frames.typed(spec, frame[list(spec.features)]).reset_index(drop=True),
        np.asarray(scores, "float64").reshape(len(frame), -1),
        rows.target(spec, frame).astype("float64"),
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
    inputs, truth = rows.inputs(spec, sample), rows.target(spec, sample)
    base = row_losses(spec.task, truth, scorer.predict(inputs)).mean()
    rises = {}
    for name in spec.features:
        losses = []
        for _ in range(_REPEATS):
            dealt = inputs.assign(**{name: inputs[name].to_numpy()[rng.permutation(len(inputs))]})
            losses.append(row_losses(spec.task, truth, scorer.predict(dealt)).mean())
        rises[name] = max(0.0, float(np.mean(losses) - base))
    total = sum(rises.values())
    return {name: rise / total if total else 1 / len(rises) for name, rise in rises.items()}
