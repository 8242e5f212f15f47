"""When the loss began to rise: a change point with a confidence set, for a training window to start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, takewhile

import numpy as np

from monitors.concept.blocks import BlockLoss
from monitors.finding import NoData
from monitors.profiles.plan import Floats, Ints

CONFIDENCE = 0.95
MOST = 400
_FEWEST = 6
_SIMULATED = 200
_LEAST = 1e-300  # a fit without error has a logarithm
_MEDIAN = 0.4549  # of the χ² law with one degree of freedom


@dataclass(frozen=True, slots=True)
class Onset:
    """Since when the loss has been rising, or is higher.

    Parameters
    ----------
    time
        Start of the first block that is part of the change.
    low, high
        The first and the last block that may be it, at 95 %.
    before, after
        Mean loss before, and at the end.
    gradual
        Whether the loss went up over several blocks rather than at once.
    """

    time: datetime
    low: datetime
    high: datetime
    before: float
    after: float
    gradual: bool


@dataclass(frozen=True, slots=True)
class _Shapes:
    """Every way to rise: 0 before a block `start`, then up for `length` blocks to 1, and 1 from there on."""

    start: Ints
    length: Ints
    values: Floats

    @classmethod
    def of(cls, blocks: int) -> _Shapes:
        """Return the rises of all starts, of 1 block (sudden), 2, 4, 8, …: shape (shapes, blocks)."""
        lengths = takewhile(lambda length: length < blocks, accumulate([1] + [2] * 30, lambda a, b: a * b))
        start, length = (
            part.ravel() for part in np.meshgrid(np.arange(1, blocks), list(lengths), indexing="ij")
        )
        risen = (np.arange(blocks) - start[:, None] + 1) / length[:, None]
        return cls(start, length, risen.clip(0.0, 1.0))


def onset(blocks: Sequence[BlockLoss], *, seed: int = 0) -> Onset | NoData:
    """Date the rise of a series of losses: one that is in the newest 400 blocks, and lasts.

    Least squares with one rise, over all starts and lengths; a block weighs by the inverse of its variance,
    that of its rows' mean and that of its day. A sudden rise, a gradual one or none is chosen by the
    Bayesian information criterion (1, 3 and 4 parameters). The confidence set has the starts, sudden or
    gradual, whose likelihood is nearest to the best; how near follows from series simulated around the
    best sudden and the best gradual rise. In simulations it held a sudden onset at its level, and
    that of a slow and weak rise in 87 to 90 %; days that go together over weeks make it too narrow.

    Parameters
    ----------
    blocks
        In order of time; 6 at least. Gaps in time are not seen.
    seed
        Of the simulation.

    References
    ----------
    Siegmund (1988), Confidence sets in change-point problems, International Statistical Review 56.
    """
    blocks = blocks[-MOST:]
    if len(blocks) < _FEWEST:
        return NoData(f"{len(blocks)} blocks with labels; {_FEWEST} are needed to date a change")
    means, weights = np.array([block.mean for block in blocks]), _weights(blocks)
    shapes = _Shapes.of(len(blocks))
    cost = _cost(means[:, None], weights, shapes)[:, 0]
    chosen = _chosen(cost, means, weights, shapes)
    if chosen is None:
        return NoData("the loss has not risen at any one time")
    before, after, _ = _fit(means, weights, shapes.values[chosen])
    by_start = _by_start(cost[:, None], shapes)[:, 0]
    reach = max(_reach(each, means, weights, shapes, seed) for each in _rivals(cost, shapes))
    kept = 1 + np.flatnonzero(by_start - by_start.min() <= reach)
    first = int(shapes.start[chosen])
    return Onset(
        blocks[first].start,
        blocks[min(int(kept[0]), first)].start,
        blocks[max(int(kept[-1]), first)].start,
        before,
        after,
        gradual=bool(shapes.length[chosen] > 1),
    )


def _weights(blocks: Sequence[BlockLoss]) -> Floats:
    """Return 1/(variance of a block's mean), of mean 1; that of the days is told from neighbouring blocks.

    Half the median squared difference of neighbours knows nothing of one jump among them.
    """
    rows = np.array([block.rows for block in blocks])
    sampling = np.maximum([block.variance for block in blocks], 1e-12) / rows
    means = np.array([block.mean for block in blocks])
    whole = float(np.median(np.diff(means) ** 2)) / 2 / _MEDIAN
    weights = 1 / (sampling + max(0.0, whole - float(np.median(sampling))))
    return np.asarray(weights / weights.mean())


def _cost(series: Floats, weights: Floats, shapes: _Shapes) -> Floats:
    """Return T·ln(weighted residual sum of squares), −2 ln L, of each shape; a fall fits as well as nothing.

    Parameters
    ----------
    series
        Shape (blocks, series).

    Returns
    -------
    Shape (shapes, series).
    """
    centred = shapes.values - np.average(shapes.values, axis=1, weights=weights)[:, None]
    own = series - np.average(series, axis=0, weights=weights)
    along = (centred * weights) @ own
    explained = np.maximum(along, 0.0) ** 2 / ((centred**2) @ weights)[:, None]
    left = np.maximum(weights @ own**2 - explained, _LEAST)
    return np.asarray(len(series) * np.log(left))


def _rivals(cost: Floats, shapes: _Shapes) -> tuple[int, int]:
    """Return the best sudden and the best gradual shape."""
    sudden = shapes.length == 1
    return int(np.where(sudden, cost, np.inf).argmin()), int(np.where(sudden, np.inf, cost).argmin())


def _chosen(cost: Floats, means: Floats, weights: Floats, shapes: _Shapes) -> int | None:
    """Return the best shape by the information criterion; None where no rise is worth its parameters."""
    price = float(np.log(len(means)))
    left = float(weights @ (means - np.average(means, weights=weights)) ** 2)
    none = len(means) * float(np.log(max(left, _LEAST))) + price
    sudden, gradual = _rivals(cost, shapes)
    prices = {sudden: cost[sudden] + 3 * price, gradual: cost[gradual] + 4 * price}
    best = min(prices, key=lambda shape: float(prices[shape]))
    return best if prices[best] < none else None


def _reach(shape: int, means: Floats, weights: Floats, shapes: _Shapes, seed: int) -> float:
    """Return how far a start's likelihood falls short of the best where it is the true one, at 95 %."""
    fit = _fit(means, weights, shapes.values[shape])[2]
    noise = np.sqrt(np.average((means - fit) ** 2, weights=weights) / weights)
    random = np.random.default_rng(seed)
    drawn = fit[:, None] + noise[:, None] * random.normal(size=(len(means), _SIMULATED))
    cost = _by_start(_cost(drawn, weights, shapes), shapes)
    return float(np.quantile(cost[shapes.start[shape] - 1] - cost.min(axis=0), CONFIDENCE))


def _by_start(cost: Floats, shapes: _Shapes) -> Floats:
    """Return the least cost of the shapes of each start, shape (starts, series); lengths vary fastest."""
    lengths = int((shapes.start == 1).sum())
    return np.asarray(cost.reshape(-1, lengths, cost.shape[1]).min(axis=1))


def _fit(means: Floats, weights: Floats, shape: Floats) -> tuple[float, float, Floats]:
    """Return the fitted loss before the rise, at the end, and in each block."""
    centre, level = np.average(shape, weights=weights), np.average(means, weights=weights)
    slope = (weights * (shape - centre)) @ (means - level) / (weights @ (shape - centre) ** 2)
    fit = level + slope * (shape - centre)
    return float(fit[0]), float(fit[-1]), np.asarray(fit)
