"""Before and after: the live answers since a promotion beside the first champion's on the same rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd

from monitors.metrics import Array, statistic
from monitors.tables import inference_log, labels
from retraining.dataset.labelled import days_of
from retraining.dataset.rows import inputs, target
from retraining.graphs.scorer import Scorer
from retraining.registry import Registry
from spec import ModelSpec, PerformanceMetric, Settings

LATENCY_CALLS = 300
RESAMPLES = 1000
METRICS = (PerformanceMetric.ROC_AUC, PerformanceMetric.LOG_LOSS)


@dataclass(frozen=True, slots=True)
class Paired:
    """A metric of both models on the same rows, and after minus before with its 95 % interval over days."""

    before: float
    after: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        """After minus before."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Cost:
    """What a model costs: bytes of the ONNX file, median seconds of a one-row call on one thread."""

    size: int
    row_seconds: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """One promoted version beside the first champion, on the rows that it answered live."""

    version: str
    first: datetime
    last: datetime
    rows: int
    metrics: dict[PerformanceMetric, Paired]
    before: Cost
    after: Cost


def compare(spec: ModelSpec, settings: Settings, first: str, version: str) -> Comparison | None:
    """Compare what `version` answered live with what `first` says of the same rows; None without labels."""
    log = labels.join(inference_log.read(spec, settings, version=version), labels.read(spec, settings))
    if not log.num_rows:
        return None
    rows = inference_log.frame(spec, log).rename(columns={"label": spec.data.target.name})
    features = inputs(spec, rows)
    registry = Registry(settings)
    files = registry.onnx(spec.model, first), registry.onnx(spec.model, version)
    old, new = (Scorer(spec.task, file) for file in files)
    return Comparison(
        version=version,
        first=rows["event_time"].min().to_pydatetime(),
        last=rows["event_time"].max().to_pydatetime(),
        rows=len(rows),
        metrics={metric: _paired(spec, metric, rows, old.predict(features)) for metric in METRICS},
        before=_cost(old, features, files[0]),
        after=_cost(new, features, files[1]),
    )


def _paired(spec: ModelSpec, metric: PerformanceMetric, rows: pd.DataFrame, old: Array) -> Paired:
    """Measure both on the same resamples of days, so that what a day does to both cancels."""
    truth, block = target(spec, rows).astype(float), days_of(rows["event_time"])
    new = rows["prediction"].to_numpy("float64")
    before, after = (statistic(metric, scores[:, None], truth, block) for scores in (old, new))
    days = int(block.max()) + 1
    weights = (
        np.random.default_rng(0).multinomial(days, np.full(days, 1 / days), size=RESAMPLES).astype(float)
    )
    low, high = np.nanquantile(after(weights) - before(weights), [0.025, 0.975])
    everything = np.ones((1, days))
    return Paired(float(before(everything)[0]), float(after(everything)[0]), float(low), float(high))


def _cost(model: Scorer, features: pd.DataFrame, file: Path) -> Cost:
    seconds = []
    for index in range(LATENCY_CALLS):
        row = model.feeds(features.iloc[[index % len(features)]])
        start = perf_counter()
        model.call(row)
        seconds.append(perf_counter() - start)
    return Cost(file.stat().st_size, float(np.median(seconds)))
