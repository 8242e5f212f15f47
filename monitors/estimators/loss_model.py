"""DLE: direct loss estimation, a model of how wrong the model is, from features and prediction.

Gradient-boosted trees learn a row's loss. Each of five is fitted without one fifth of the reference, so that
every reference row has a loss expected by a model that has not seen its block; a window's loss is the mean of
the five, and their spread is the delete-a-group jackknife of what was learnt. It is blind to losses that grow
for reasons that the features do not show.

Source: NannyML, How DLE works; Kott (2001), The delete-a-group jackknife, Journal of Official Statistics
17:521-526.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from monitors.estimators import bands, blocks
from monitors.estimators.answered import Answered
from monitors.estimators.bands import Excess, Expected
from monitors.estimators.blocks import Mask, Times
from monitors.estimators.encoding import Encoder
from monitors.finding import NoData
from monitors.metrics import Array, Blocks
from spec import PerformanceMetric

_FOLDS = 5
_SETTINGS = {"max_iter": 100, "max_leaf_nodes": 31, "learning_rate": 0.1, "early_stopping": False}

LOSSES: Mapping[PerformanceMetric, Callable[[Array, Array, float], Array]] = {
    PerformanceMetric.MAE: lambda predicted, true, _: np.abs(predicted - true),
    PerformanceMetric.RMSE: lambda predicted, true, _: (predicted - true) ** 2,
    PerformanceMetric.MAPE: lambda predicted, true, _: np.abs(predicted - true) / np.abs(true),
    PerformanceMetric.PINBALL: lambda predicted, true, quantile: np.maximum(
        quantile * (true - predicted), (1 - quantile) * (predicted - true)
    ),
}
"""Of a row, by the quantile predicted. RMSE is the root of the mean of its losses, the others the mean."""


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """One loss.

    Parameters
    ----------
    models
        Each fitted without a fifth of the reference.
    noise
        Variance of a row's loss in units of its expected loss squared.
    excess
        What rows of a block share beyond the expected loss.
    """

    models: tuple[Any, ...]
    noise: float
    excess: Excess


@dataclass(frozen=True, slots=True, eq=False)
class LossModel:
    """What is expected of each loss by features and prediction."""

    encoder: Encoder
    learnt: Mapping[PerformanceMetric, Learnt]
    absent: Mapping[PerformanceMetric, str]

    def expect(
        self, metrics: Collection[PerformanceMetric], window: Answered
    ) -> dict[PerformanceMetric, Expected | NoData]:
        """Return what is expected of metrics (of `LOSSES`)."""
        rows = self.encoder.matrix(window.frame, window.scores)
        return {
            metric: _expect(metric, self.learnt[metric], rows, window.times)
            if metric in self.learnt
            else NoData(self.absent[metric])
            for metric in metrics
        }


def fit(
    encoder: Encoder,
    frame: pd.DataFrame,
    scores: Array,
    labels: Array,
    times: Times | None = None,
    *,
    quantile: float = 0.5,
    seed: int = 0,
) -> LossModel:
    """Learn the losses of labelled rows; MAPE only if no label is 0."""
    rows = encoder.matrix(frame, scores)
    absent = {} if labels.all() else {PerformanceMetric.MAPE: "a label of the reference is 0"}
    block = blocks.number(times, len(labels))
    learnt = {}
    for metric, loss in LOSSES.items():
        if metric not in absent:
            losses = loss(scores[:, 0], labels, quantile)
            learnt[metric] = _learn(rows, losses, block, times, encoder.categorical, seed)
    return LossModel(encoder, learnt, absent)


def _learn(
    rows: Array,
    losses: Array,
    block: Blocks,
    times: Times | None,
    categorical: Mask,
    seed: int,
) -> Learnt:
    from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415 - heavy

    models, unseen = [], np.empty(len(losses))
    leaf = max(5, min(50, len(losses) // 50))
    for tested in blocks.folds(block, _FOLDS):
        model = HistGradientBoostingRegressor(
            **_SETTINGS, min_samples_leaf=leaf, categorical_features=categorical, random_state=seed
        ).fit(rows[~tested], losses[~tested])
        unseen[tested] = np.maximum(model.predict(rows[tested]), 0.0)
        models.append(model)
    residuals = losses - unseen
    square = float((unseen**2).sum())
    noise = float((residuals**2).sum()) / square if square else 0.0
    return Learnt(tuple(models), noise, Excess.of(residuals, times))


def _expect(metric: PerformanceMetric, learnt: Learnt, rows: Array, times: Times | None) -> Expected:
    each = np.stack([np.maximum(model.predict(rows), 0.0) for model in learnt.models])
    losses, means = each.mean(axis=0), each.mean(axis=1)
    value, models = float(losses.mean()), len(means)
    spread = (models - 1) / models * float(((means - value) ** 2).sum())
    variance = spread + bands.sampling_variance(learnt.noise * losses**2, learnt.excess, times)
    if metric is PerformanceMetric.RMSE:  # the delta method: d√x = dx / (2√x)
        variance, value = variance / (4 * value) if value else 0.0, math.sqrt(value)
    return bands.band(metric, value, variance, len(rows), "loss_model")
