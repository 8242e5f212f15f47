"""Realised performance of a version, with an interval that knows that the rows of a day go together.

The interval resamples whole days: flights that share a storm are no independent evidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from monitors.finding import Finding, NoData
from monitors.records import Measurement
from monitors.references import Band
from monitors.resample import Array, Blocks, statistic
from spec import ModelSpec, PerformanceMetric, Task

RESAMPLES = 200
CONFIDENCE = 0.95
_MIN_BLOCKS = 5
_GROUPS = 20
Times = npt.NDArray[np.int64]
_TICKS_A_DAY = 86_400 * 10**6


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric with its confidence interval; `n` labelled rows in `blocks` resampled blocks."""

    value: float
    low: float
    high: float
    n: int
    blocks: int


@dataclass(frozen=True, slots=True)
class Truth:
    """Scores beside what came true; one entry a labelled row.

    Parameters
    ----------
    scores
        Shape (rows, outputs): P(positive), or P(class) of each class, or the value.
    labels
        Shape (rows,): 0 or 1, the index of the class, or the value.
    times
        Event times in microseconds since the epoch; shape (rows,).
    """

    scores: Array
    labels: Array
    times: Times

    def __len__(self) -> int:
        return len(self.labels)


def truth(spec: ModelSpec, joined: pa.Table) -> Truth:
    """Turn log rows with their `label` (see `labels.join`) into arrays; rows without a label are left out."""
    rows = joined.filter(pc.and_(pc.is_valid(joined["label"]), pc.is_valid(joined["scores"])))
    if spec.task is Task.MULTICLASS:
        index = pc.index_in(rows["label"], value_set=pa.array(spec.data.target.classes))
        rows = rows.filter(pc.is_valid(index))
        labels = pc.drop_null(index).to_numpy()
    else:
        labels = rows["label"].cast(pa.float64()).to_numpy()
    scores = pc.list_flatten(rows["scores"]).to_numpy().reshape(rows.num_rows, -1 if rows.num_rows else 1)
    times = rows["event_time"].cast(pa.int64()).to_numpy()
    return Truth(scores, labels.astype(float), times)


def estimate(
    truth: Truth, metric: PerformanceMetric, *, seed: int = 0, resamples: int = RESAMPLES
) -> Estimate | NoData:
    """Measure a metric and its two-sided 95 % interval.

    Blocks are days of event time. With fewer than five days the rows are taken as independent
    instead, in 20 groups: too few blocks would give an interval far too narrow.
    """
    if not len(truth):
        return NoData("no labelled rows")
    block = _blocks(truth.times)
    blocks = int(block.max()) + 1
    of_weights = statistic(metric, truth.scores, truth.labels, block)
    value = float(of_weights(np.ones((1, blocks)))[0])
    if not np.isfinite(value):
        return NoData(f"{metric} is not defined: {_WHY_UNDEFINED.get(metric, 'the scores are not finite')}")
    weights = np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1 / blocks), size=resamples)
    drawn = of_weights(weights.astype(float))
    drawn = drawn[np.isfinite(drawn)]
    if blocks == 1 or len(drawn) < resamples / 2:
        return NoData(f"{metric} is not defined on most resamples of the days")
    low, high = _interval(value, drawn, blocks, metric)
    return Estimate(value, low, high, len(truth), blocks)


def judge(measured: Estimate | NoData, band: Band | None, spec: ModelSpec, rows: int) -> Finding:
    """Return the metric against what the version was expected to show.

    `alarm` when the metric is worse than the expected value by more than the spec's `drop` (the effect)
    and by more than chance explains (the significance): the half-widths of both 95 % intervals, the
    window's and the band's, added in quadrature, which is Welch's test at 2.5 %, one-sided. `no_data`
    with fewer labels than `min_labels`, where the metric is not defined, and without a band.

    Parameters
    ----------
    band
        What the version showed when it was registered; None if it says nothing of the metric.
    rows
        Labelled rows.
    """
    metric, wanted = spec.performance_metric, spec.monitor.performance
    if isinstance(measured, Estimate) and rows < wanted.min_labels:
        measured = NoData(f"{rows} labelled rows; {wanted.min_labels} are needed")
    if isinstance(measured, NoData):
        return Finding("no_data", (measured.measurement(method=metric.value),), rows)
    limit = None if band is None else _limit(measured, band, spec)
    number = Measurement(
        "performance",
        measured.value,
        method=metric.value,
        low=measured.low,
        high=measured.high,
        limit=limit,
        n=measured.n,
    )
    if limit is None:
        why = NoData("the version was registered without an expected band for the metric")
        return Finding("no_data", (number, why.measurement(method=metric.value)), rows)
    lost = measured.value < limit if metric.higher_is_better else measured.value > limit
    return Finding("alarm" if lost else "ok", (number,), rows)


def _limit(measured: Estimate, band: Band, spec: ModelSpec) -> float:
    """The value at which a loss is both as large as `drop` and significant for these two samples."""
    noise = math.hypot((measured.high - measured.low) / 2, (band.high - band.low) / 2)
    tolerated = max(spec.monitor.performance.drop, noise)
    return band.value - tolerated if spec.performance_metric.higher_is_better else band.value + tolerated


def _blocks(times: Times) -> Blocks:
    """Number the rows' days 0, 1, …; with too few days, deal the rows out to groups in order of time."""
    days, day = np.unique(times // _TICKS_A_DAY, return_inverse=True)
    if len(days) >= _MIN_BLOCKS:
        return day.astype(np.int64)
    order = np.argsort(times, kind="stable")
    block = np.empty(len(times), dtype=np.int64)
    block[order] = np.arange(len(times)) % min(_GROUPS, len(times))
    return block


def _interval(value: float, drawn: Array, blocks: int, metric: PerformanceMetric) -> tuple[float, float]:
    """Student's interval around the value with the spread of the resamples, inside the metric's range.

    With 5 to 14 blocks it covers the truth 92 to 96 % of the time; the percentiles of the resamples, 79
    to 93 %. √(k/(k-1)) undoes what resampling k blocks takes from their variance.
    """
    from scipy.stats import t  # noqa: PLC0415 - a second, and only the daemon needs it

    reach = t.ppf((1 + CONFIDENCE) / 2, blocks - 1) * drawn.std(ddof=1) * (blocks / (blocks - 1)) ** 0.5
    least, most = _RANGE[metric]
    return max(value - float(reach), least), min(value + float(reach), most)


_WHY_UNDEFINED = {
    PerformanceMetric.ROC_AUC: "the labels are of a single class",
    PerformanceMetric.R2: "the labels are all the same",
}
_RANGE = {
    PerformanceMetric.ROC_AUC: (0.0, 1.0),
    PerformanceMetric.ACCURACY: (0.0, 1.0),
    PerformanceMetric.R2: (-math.inf, 1.0),
    PerformanceMetric.LOG_LOSS: (0.0, math.inf),
    PerformanceMetric.RMSE: (0.0, math.inf),
    PerformanceMetric.MAE: (0.0, math.inf),
}
