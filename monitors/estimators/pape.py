"""PAPE: CBPE with the calibrator learnt again on reference rows weighted to look like the window.

Rows of one score are not all alike. Where the mix behind a score has moved, P(label | score) has moved with
it, though P(label | features) has not; weights of the density ratio bring it back. Nothing helps where the
relation of features and label itself has moved.

Weights cost rows: the weighted calibrator is noisier than CBPE's, often by more than the shift amounts to. So
the answer goes from CBPE's towards the weighted one by the share 1 - Var(distance) / distance², 0 at least:
positive-part shrinkage after James and Stein (1961), with the variance over resampled blocks. That is nearly
all of the way for a plain shift and a large reference, and little of it for a few thousand rows.

Only what makes the model worse moves the answer; where weights promise more than CBPE, the distance widens
the band alone. A shift seldom comes without a moved relation, and that one costs: the model was fitted to the
old one (Liu, Wang, Cui, Namkoong 2023, arXiv 2307.05284). And a weighted calibrator, which follows the chance
of fewer rows, promises too much even where the relation stays (numbers in docs/estimates.md).

Source: Białek, Perrakis, Kuberski, Nowicki (2024), Estimating model performance under covariate shift without
labels, arXiv 2401.08348, section 4.2.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from monitors.estimators import bands, calibration
from monitors.estimators.answered import Answered
from monitors.estimators.bands import Expected
from monitors.estimators.cbpe import Cbpe, distance_variances
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
        self, metrics: Collection[PerformanceMetric], window: Answered
    ) -> dict[PerformanceMetric, Expected | NoData]:
        """Return what is expected of metrics (of `expectation.METRICS`).

        It is CBPE's answer, by that name, where a classifier cannot tell the window from the reference, or
        tells them apart so well that hardly any reference row looks like the window's. Where it is not, the
        distance to CBPE's answer is one more source of error in the band: weights are never all there is.
        """
        plain = self.cbpe.expect(metrics, window.scores, window.times)
        ratio = density_ratio(
            self.rows,
            self.encoder.matrix(window.frame, window.scores),
            self.cbpe.block,
            seed=self.seed,
        )
        worth = ratio.weights.sum() ** 2 / (ratio.weights**2).sum()
        if not ratio.differs or not ratio.overlaps or worth < FEWEST:
            return plain
        weighted = calibration.ensemble(
            self.cbpe.sample, self.cbpe.block, weights=ratio.weights, draws=DRAWS, seed=self.seed
        )
        moved = self.cbpe.expect(metrics, window.scores, window.times, ensemble=weighted, method="pape")
        noise = distance_variances(metrics, window.scores, weighted, self.cbpe.ensemble)
        return {
            metric: _between(metric, plain[metric], moved[metric], noise.get(metric, 0.0))
            for metric in metrics
        }


def _between(
    metric: PerformanceMetric, plain: Expected | NoData, moved: Expected | NoData, noise: float
) -> Expected | NoData:
    """Go from CBPE's answer towards a worse weighted one, by as much as their distance is more than noise."""
    if isinstance(moved, NoData) or isinstance(plain, NoData):
        return moved
    distance = moved.value - plain.value
    share = max(0.0, 1 - noise / distance**2) if distance else 0.0
    found = bands.between(metric, plain, moved, share)
    better = (distance > 0) == metric.higher_is_better
    if not better:
        return found
    return bands.band(metric, plain.value, bands.stated_variance(found), plain.rows, moved.method)
