"""Backtest: what the reference would have been told of itself, stretch after stretch in order of time.

Of ten stretches of the reference each is estimated by CBPE from those before it, and held against its labels.
Where a model's relation to its inputs wanders, as it does between places or seasons, the misses are larger
than bands say that know only rows and days, and later windows will be missed by as much.

Source: Dawid (1984), Present position and potential developments, some personal views: statistical theory,
the prequential approach, JRSS A 147:278-292.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from monitors.estimators import bands, blocks, cbpe
from monitors.estimators.bands import Expected
from monitors.estimators.blocks import Times
from monitors.estimators.expectation import METRICS, Expectation, Window, expectation
from monitors.metrics import Array
from spec import PerformanceMetric

STRETCHES = 10
FEWEST = 5
"""Stretches below which their misses say nothing."""
_ROWS = 200
"""Labelled rows of the stretches before, below which nothing is learnt from them."""
_DRAWS = 20


def widening(
    scores: Array, labels: Array, times: Times | None, *, seed: int = 0
) -> dict[PerformanceMetric, float]:
    """Return by which factor, 1 or more, misses of later stretches say that CBPE's variances grow, by metric.

    Empty where no time is known; a metric with fewer than five estimated stretches is left out.

    Parameters
    ----------
    scores, labels, times
        Of labelled rows in any order, as `cbpe.fit` takes them.
    """
    if times is None:
        return {}
    squares: dict[PerformanceMetric, list[float]] = {metric: [] for metric in METRICS}
    for missed in _misses(scores, labels, times, seed):
        for metric, square in missed.items():
            squares[metric].append(square)
    return {metric: bands.widening(np.array(each)) for metric, each in squares.items() if len(each) >= FEWEST}


def _misses(
    scores: Array, labels: Array, times: Times, seed: int
) -> Iterator[Mapping[PerformanceMetric, float]]:
    """Yield of each later stretch the squared misses, in units of their stated variances."""
    block = blocks.number(times, len(labels))
    for tested in blocks.folds(block, STRETCHES):
        before = block < block[tested].min()
        if before.sum() < _ROWS or len(np.unique(labels[before])) == 1:
            continue
        known = cbpe.fit(scores[before], labels[before], times[before], draws=_DRAWS, seed=seed)
        expected = known.expect(METRICS, scores[tested], times[tested])
        window = Window.of(scores[tested])
        certain = np.eye(window.scores.shape[1])[labels[tested].astype(np.int64)]
        missed = {}
        for metric, one in expected.items():
            true = expectation(metric, certain, window)
            if isinstance(one, Expected) and isinstance(true, Expectation) and one.high > one.low:
                missed[metric] = (true.value - one.value) ** 2 / bands.stated_variance(one)
        yield missed
