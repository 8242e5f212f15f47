"""PAPE: CBPE with the calibrator learnt again on reference rows weighted to look like the window.

Rows of one score are not all alike. Where the mix behind a score has moved, P(label | score) has moved with
it, though P(label | features) has not; weights of the density ratio bring it back. Nothing helps where the
relation of features and label itself has moved.

Source: Białek, Perrakis, Kuberski, Nowicki (2024), Estimating model performance under covariate shift without
labels, arXiv 2401.08348, section 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from monitors.estimators import bands, calibration
from monitors.estimators.bands import Expected
from monitors.estimators.blocks import Times
from monitors.estimators.cbpe import Cbpe
from monitors.estimators.density_ratio import density_ratio
from monitors.estimators.encoding import Encoder
from monitors.finding import NoData
from monitors.metrics import Array
from spec import PerformanceMetric

DRAWS = 30
FEWEST = 100
"""Rows that the weighted reference must be worth, (Σw)²/Σw²; below, the window shares too little with it."""


@dataclass(frozen=True, slots=True, eq=False)
class Pape:
    """The reference's rows: what CBPE knows of them, and as the encoder gives them."""

    cbpe: Cbpe
    encoder: Encoder
    rows: Array
    seed: int = 0

    def expect(
        self,
        metrics: Sequence[PerformanceMetric],
        frame: pd.DataFrame,
        scores: Array,
        times: Times | None = None,
    ) -> dict[PerformanceMetric, Expected | NoData]:
        """Return what is expected of metrics (of `expectation.METRICS`).

        It is CBPE's answer, by that name, where a classifier cannot tell the window from the reference, or
        tells them apart so well that hardly any reference row looks like the window's. Where it is not, the
        distance of the two answers is one more source of error in the band: weights are never all there is.
        """
        ratio = density_ratio(
            self.rows,
            self.encoder.matrix(frame, scores),
            self.encoder.categorical,
            self.cbpe.block,
            seed=self.seed,
        )
        worth = ratio.weights.sum() ** 2 / (ratio.weights**2).sum()
        plain = self.cbpe.expect(metrics, scores, times)
        if not ratio.differs or not ratio.overlaps or worth < FEWEST:
            return plain
        ensemble = calibration.ensemble(
            self.cbpe.sample,
            self.cbpe.block,
            weights=ratio.weights,
            draws=DRAWS,
            seed=self.seed,
        )
        weighted = self.cbpe.expect(metrics, scores, times, ensemble=ensemble, method="pape")
        return {metric: _apart(metric, weighted[metric], plain[metric]) for metric in metrics}


def _apart(
    metric: PerformanceMetric, weighted: Expected | NoData, plain: Expected | NoData
) -> Expected | NoData:
    if isinstance(weighted, NoData) or isinstance(plain, NoData):
        return weighted
    return bands.widened(metric, weighted, (weighted.value - plain.value) ** 2)
