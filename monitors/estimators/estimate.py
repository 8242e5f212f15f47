"""An estimator of a version's performance before labels arrive, made from what the version was trained on."""

from __future__ import annotations

from collections.abc import Collection, Container
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pandas as pd

from monitors.estimators import backtest, cbpe, loss_model
from monitors.estimators.answered import Answered
from monitors.estimators.bands import Expected
from monitors.estimators.blocks import Times
from monitors.estimators.cbpe import Cbpe
from monitors.estimators.encoding import Encoder
from monitors.estimators.expectation import METRICS
from monitors.estimators.loss_model import LOSSES
from monitors.estimators.pape import Pape
from monitors.finding import NoData
from monitors.metrics import Array
from monitors.performance import Truth
from spec import ModelSpec, PerformanceMetric, Task
from spec.performance import EstimateMethod

FEWEST_LABELS = 200
"""Labelled rows of a reference below which nothing is learnt from it."""
FEWEST_ROWS = 30
"""Rows of a window below which its band would rest on no law of large numbers."""
Estimates = dict[PerformanceMetric, Expected | NoData]


class _Expects(Protocol):
    def expect(self, metrics: Collection[PerformanceMetric], window: Answered) -> Estimates: ...


@dataclass(frozen=True, slots=True, eq=False)
class _ByScores:
    """CBPE, which needs no features."""

    cbpe: Cbpe

    def expect(self, metrics: Collection[PerformanceMetric], window: Answered) -> Estimates:
        return self.cbpe.expect(metrics, window.scores, window.times)


@dataclass(frozen=True, slots=True, eq=False)
class Estimator:
    """What to expect of a version's windows; deterministic, and it changes nothing that it is given."""

    task: Task
    method: EstimateMethod
    inner: _Expects

    def estimate(self, frame: pd.DataFrame, scores: Array, times: Times | None = None) -> Estimates:
        """Return every metric that suits the task, each with a band or with why there is none.

        Parameters
        ----------
        frame
            The window's features, in the spec's dtypes (see `frames.typed`).
        scores
            What the model answered: shape (rows, 1) with P(positive) or the value, or (rows, classes).
        times
            Event times in microseconds since the epoch, shape (rows,). Without them the rows are taken as
            one block, which widens bands where the reference shows that days go together.
        """
        suited = [metric for metric in PerformanceMetric if metric.suits(self.task)]
        if len(scores) < FEWEST_ROWS:
            return dict.fromkeys(suited, NoData(f"{len(scores)} rows; {FEWEST_ROWS} are needed"))
        known: Container[PerformanceMetric] = LOSSES if self.task is Task.REGRESSION else METRICS
        with _one_thread():
            found = self.inner.expect(
                [each for each in suited if each in known], Answered(frame, scores, times)
            )
        return {
            metric: found.get(metric) or NoData(f"{metric} cannot be estimated without labels")
            for metric in suited
        }


def fit(
    spec: ModelSpec,
    frame: pd.DataFrame,
    truth: Truth,
    *,
    method: EstimateMethod | None = None,
    timed: bool = True,
    seed: int = 0,
) -> Estimator | NoData:
    """Learn from labelled rows of the reference.

    Parameters
    ----------
    frame
        Features of the rows in the spec's dtypes.
    truth
        Scores, labels and times of the same rows.
    method
        The spec's, if None.
    timed
        False where `truth.times` are unknown: rows then count as independent of one another.

    Returns
    -------
    `NoData` with fewer than 200 rows, where a binary model's labels are of one class, or if the spec wants no
    estimate.
    """
    chosen, times = method or spec.estimate_method, truth.times if timed else None
    if chosen is None:
        return NoData("the spec wants no estimate of performance")
    if len(truth) < FEWEST_LABELS:
        return NoData(f"the reference has {len(truth)} labelled rows; {FEWEST_LABELS} are needed")
    if chosen is not EstimateMethod.LOSS_MODEL and len(np.unique(truth.labels)) == 1:
        return NoData("the reference's labels are of a single class")
    with _one_thread():
        return Estimator(spec.task, chosen, _learnt(spec, frame, truth, times, chosen, seed))


def _learnt(
    spec: ModelSpec, frame: pd.DataFrame, truth: Truth, times: Times | None, method: EstimateMethod, seed: int
) -> _Expects:
    encoder = Encoder.of(spec, frame, truth.scores)
    if method is EstimateMethod.LOSS_MODEL:
        quantile = spec.monitor.performance.quantile
        return loss_model.fit(encoder, frame, truth.scores, truth.labels, times, quantile=quantile, seed=seed)
    fitted = cbpe.fit(truth.scores, truth.labels, times, seed=seed)
    wider = backtest.widening(truth.scores, truth.labels, times, seed=seed)
    fitted = replace(fitted, widening=wider)
    if method is EstimateMethod.CBPE:
        return _ByScores(fitted)
    return Pape(fitted, encoder, encoder.matrix(frame, truth.scores), seed)


def _one_thread() -> AbstractContextManager[object]:
    """OpenMP's threads wait for each other by spinning: ruinous beside other work."""
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - heavy

    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits
