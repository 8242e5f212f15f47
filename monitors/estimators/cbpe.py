"""CBPE: confidence-based performance estimation, from calibrated scores alone.

Where P(label | score) is what it was on the reference, calibrated scores say how often the model is right. It
is blind to a moved relation of features and label, and to a moved mix of rows with the same score (see
`pape` for that one).

Source: NannyML, How CBPE works; Białek et al. (2024), arXiv 2401.08348, section 4.1. Guo et al. (2017), On
calibration of modern neural networks, for the calibration error.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from monitors.estimators import bands, blocks, calibration
from monitors.estimators.bands import Excess, Expected
from monitors.estimators.blocks import Times
from monitors.estimators.calibration import Ensemble, Sample
from monitors.estimators.expectation import METRICS, Expectation, Window, expectation
from monitors.finding import NoData
from monitors.metrics import Array, Blocks
from spec import PerformanceMetric

DRAWS = 60
"""Resampled calibrators: their spread is known to a tenth."""


@dataclass(frozen=True, slots=True, eq=False)
class Cbpe:
    """Labelled rows of the reference, as calibration reads them.

    Parameters
    ----------
    sample, block
        The rows, and their block of time.
    ensemble
        What calibrates scores.
    excess
        By metric, what rows of a block share beyond calibration.
    widening
        By metric, by which factor a backtest says that variances grow; 1 where there is none.
    """

    sample: Sample
    block: Blocks
    ensemble: Ensemble
    excess: Mapping[PerformanceMetric, Excess]
    widening: Mapping[PerformanceMetric, float] = field(default_factory=dict)

    def expect(
        self,
        metrics: Collection[PerformanceMetric],
        scores: Array,
        times: Times | None = None,
        *,
        ensemble: Ensemble | None = None,
        method: str = "cbpe",
    ) -> dict[PerformanceMetric, Expected | NoData]:
        """Return what is expected of metrics (of `expectation.METRICS`).

        Parameters
        ----------
        scores
            Shape (rows, 1) with P(positive), or (rows, classes).
        times
            Event times in microseconds; if None the rows count as one block.
        ensemble
            Used in place of the reference's own, by methods that weigh its rows.
        """
        window, calibrators = Window.of(scores), ensemble or self.ensemble
        probabilities = calibrators.point(window.scores)
        redrawn = [calibrator(window.scores) for calibrator in calibrators.draws]
        answers: dict[PerformanceMetric, Expected | NoData] = {}
        for metric in metrics:
            found = expectation(metric, probabilities, window)
            if isinstance(found, NoData):
                answers[metric] = found
                continue
            variances = found.row_variances(probabilities)
            sampling = bands.sampling_variance(variances, self.excess.get(metric, Excess({})), times)
            variance = (sampling + _spread(found, redrawn)) * self.widening.get(metric, 1.0)
            answers[metric] = bands.band(metric, found.value, variance, len(scores), method)
        return answers


def distance_variances(
    metrics: Collection[PerformanceMetric], scores: Array, one: Ensemble, other: Ensemble
) -> dict[PerformanceMetric, float]:
    """Return the variance, over resampled rows, of how far apart two calibrators put each metric of a window.

    Both were resampled with one seed, so that the draws are of the same blocks; the fewer of them count. To
    first order in the probabilities; a metric without a value is left out.
    """
    window = Window.of(scores)
    point = one.point(window.scores)
    apart = [
        first(window.scores) - second(window.scores)
        for first, second in zip(one.draws, other.draws, strict=False)
    ]
    found = {metric: expectation(metric, point, window) for metric in metrics}
    return {metric: _spread(each, apart) for metric, each in found.items() if not isinstance(each, NoData)}


def _spread(found: Expectation, redrawn: Sequence[Array]) -> float:
    """Variance of the metric over resampled calibrators, to first order in their probabilities."""
    return float(np.var([np.vdot(found.gains, drawn) / len(drawn) for drawn in redrawn], ddof=1))


def fit(
    scores: Array, labels: Array, times: Times | None = None, *, draws: int = DRAWS, seed: int = 0
) -> Cbpe:
    """Learn calibration from labelled rows.

    Parameters
    ----------
    scores
        Shape (rows, 1) with P(positive), or (rows, classes).
    labels
        0 or 1, or the index of the class; shape (rows,).
    times
        Event times in microseconds; if None the rows count as independent.
    draws
        Resampled calibrators.
    """
    window, block = Window.of(scores), blocks.number(times, len(labels))
    sample = Sample.of(window.scores, labels)
    ensemble = calibration.ensemble(sample, block, weights=None, draws=draws, seed=seed)
    unseen = calibration.cross_fitted(window.scores, labels, block)
    excess = {}
    for metric in METRICS:
        found = expectation(metric, unseen, window)
        if not isinstance(found, NoData):
            excess[metric] = Excess.of(found.residuals(unseen, labels), times)
    return Cbpe(sample, block, ensemble, excess)
