"""Where the relation changed most, as a rule that a person can read: ``origin = JFK and hour >= 17``.

Three conditions at most, each the one that gains most: the *excess* of a region is its share of the shared
space times how much more the loss rose in it than everywhere (weighted relative accuracy, whose maximum over
all regions is where the rise is above its mean). The rows of three folds choose the rule, those of the other
two measure the rise: a rule fits best the rows it was made from.

Source: Lavrač, Flach, Zupan (1999), Rule evaluation measures: a unifying view, ILP, for the measure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitors.attribution.blocks import interval
from monitors.attribution.explanation import Region
from monitors.attribution.pooled import Mask, Pooled
from monitors.attribution.shared_space import Parts, Shared
from monitors.attribution.sides import Array
from monitors.multivariate.grades import CATEGORIES, GRADES

_CHOOSING_FOLDS = 3
_CONDITIONS = 3
_CUTS = 16  # tried of a number
_SMALLEST = 0.05  # of the shared space
_WORTH = 1.1  # a further condition must raise the excess by a tenth
_LONG = 1e4
_FEWEST = 30  # unseen rows of each side


@dataclass(frozen=True, slots=True)
class _Condition:
    """That a feature's grade lies in [first, last]; the grade `GRADES` is a missing value."""

    feature: int
    first: int
    last: int

    def met(self, pooled: Pooled) -> Mask:
        grades = np.nan_to_num(pooled.matrix[:, self.feature], nan=GRADES)
        return np.asarray((grades >= self.first) & (grades <= self.last))

    def implied_by(self, other: _Condition) -> bool:
        return self.feature == other.feature and self.first <= other.first and other.last <= self.last

    def text(self, pooled: Pooled) -> str:
        name, scale = pooled.names[self.feature], pooled.scales[self.feature]
        if self.first == GRADES:
            return f"{name} is missing"
        if pooled.categorical[self.feature]:
            return f"{name} = {scale[self.first]}"
        upper = self.last == GRADES - 1
        if scale.dtype == np.int8:  # of all columns only booleans come as these
            return f"{name} = {str(upper).lower()}"
        return (
            f"{name} >= {_short(scale[self.first - 1])}" if upper else f"{name} < {_short(scale[self.last])}"
        )


def _short(number: np.generic) -> str:
    value = float(number)
    return f"{value:.4g}" if abs(value) < _LONG else f"{value:.0f}"


def region(pooled: Pooled, shared: Shared, parts: Parts) -> Region | None:
    """Return the region that carries most of the changed relation; None if none stands out on unseen rows."""
    chosen = _choose(pooled, shared, float(np.sign(parts.relation.value)))
    if not chosen:
        return None
    inside = np.logical_and.reduce([condition.met(pooled) for condition in chosen])
    unseen = pooled.fold >= _CHOOSING_FOLDS
    both = [np.count_nonzero(inside & unseen & side) for side in (pooled.current, ~pooled.current)]
    if min(both) < _FEWEST:
        return None
    beyond = interval(pooled, *_difference(pooled, shared, inside & unseen, unseen))
    if not (beyond.low > 0 if parts.relation.value > 0 else beyond.high < 0):
        return None
    rows = int(np.count_nonzero(inside & pooled.current))
    return Region(
        rule=" and ".join(condition.text(pooled) for condition in chosen),
        rows=rows,
        share=rows / int(np.count_nonzero(pooled.current)),
        rise=interval(pooled, *_rise(pooled, shared, inside & unseen)),
    )


def _rise(pooled: Pooled, shared: Shared, rows: Mask) -> tuple[float, Array]:
    """Return the rise of the loss among rows, and each row's influence on it."""
    size = float(pooled.mean(shared.share * rows))
    rise = float(pooled.mean(shared.risen * rows)) / size
    return rise, (shared.risen - rise * shared.share) * rows / size


def _difference(pooled: Pooled, shared: Shared, inside: Mask, unseen: Mask) -> tuple[float, Array]:
    rise, influence = _rise(pooled, shared, inside)
    mean, of_mean = _rise(pooled, shared, unseen)
    return rise - mean, influence - of_mean


def _choose(pooled: Pooled, shared: Shared, sign: float) -> list[_Condition]:
    seen = pooled.fold < _CHOOSING_FOLDS
    size = pooled.weight * shared.share * seen
    mean = _rise(pooled, shared, seen)[0]
    excess = sign * pooled.weight * (shared.risen - mean * shared.share) * seen
    smallest = _SMALLEST * size.sum()
    chosen: list[_Condition] = []
    best = 0.0
    while len(chosen) < _CONDITIONS:
        inside = np.logical_and.reduce([condition.met(pooled) for condition in chosen] or [seen])
        gain, condition = max(
            _gains(pooled, size * inside, excess * inside, smallest), key=lambda found: found[0]
        )
        if gain <= _WORTH * best:
            break
        chosen = [former for former in chosen if not former.implied_by(condition)] + [condition]
        best = gain
    return chosen


def _gains(pooled: Pooled, size: Array, excess: Array, smallest: float) -> Iterator[tuple[float, _Condition]]:
    """Yield every condition with the excess of the rows that meet it; 0 where they are too few."""
    for feature in range(pooled.matrix.shape[1]):
        grades = pooled.matrix[:, feature]
        codes = np.where(np.isnan(grades), GRADES, np.nan_to_num(grades)).astype(np.int64)
        sizes, excesses = (np.bincount(codes, sums, GRADES + 1) for sums in (size, excess))
        for condition in _conditions(pooled, feature, np.unique(codes)):
            of = slice(condition.first, condition.last + 1)
            large = sizes[of].sum() >= smallest
            yield (float(excesses[of].sum()) if large else 0.0), condition


def _conditions(pooled: Pooled, feature: int, codes: npt.NDArray[np.int64]) -> Iterator[_Condition]:
    if GRADES in codes:
        yield _Condition(feature, GRADES, GRADES)
    known = codes[codes < GRADES]
    if pooled.categorical[feature]:
        yield from (_Condition(feature, code, code) for code in known.tolist() if code < CATEGORIES)
        return
    cuts = known[1:]
    for cut in cuts[np.unique(np.linspace(0, len(cuts) - 1, min(_CUTS, len(cuts))).astype(int))].tolist():
        yield _Condition(feature, cut, GRADES - 1)
        yield _Condition(feature, 0, cut - 1)
