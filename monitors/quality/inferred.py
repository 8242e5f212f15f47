"""Constraints that good rows suggest: for a person to look at, correct, and keep in the model's file.

They are to catch what cannot be right, not what is new, so they are wide:

- a number lies within the extremes seen, absurd ones drawn in to ``q99 + 3 (q99 - median)``, widened on each
  side by the whole span, and outward to two digits; but not past 0, where no value was and one came within a
  tenth of the span; what was whole is bounded by whole numbers, and fewer than ten different ones (codes, and
  months, which go on) by none;
- a category is one of those seen, where at most 30 were and hardly any of them once: the probability of a new
  one, by Good's estimate (Biometrika 40 (1953) 237), the share of values seen once, is at most 0.1 %;
- at most three times the share of nulls seen, and at least 5 %, may be null;
- a category of which all of at least 100 rows had another value is unique.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitors.quality.quartiles import FEWEST_DISTINCT
from spec.features import FeatureType

MOST_VALUES = 30
"""Categories up to which they are listed."""

_NEW = 0.001
_FEWEST = 100
_TAIL = 3.0
_NEAR_ZERO = 10
_NULLS_TIMES, _NULLS_LEAST = 3.0, 0.05


@dataclass(frozen=True, slots=True)
class Constraints:
    """What may be stated of a feature, and what was seen, in words, for the comment beside it."""

    min: float | None = None
    max: float | None = None
    values: tuple[str, ...] | None = None
    nulls: float | None = None
    unique: bool = False
    seen: str = ""


def constraints(
    rows: pd.DataFrame,
    types: Mapping[str, FeatureType],
    *,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    categories: Mapping[str, frozenset[str]] | None = None,
) -> dict[str, Constraints]:
    """Infer the constraints of each feature that `rows` has.

    Parameters
    ----------
    rows
        Known to be good, or a sample of them: ``reference.frame``, or what `trimtab init` reads.
    ranges, categories
        Of all the rows that `rows` is a sample of, where they are known: a reference has them.
    """
    return {
        name: _of(rows[name], kind, (ranges or {}).get(name), (categories or {}).get(name))
        for name, kind in types.items()
        if name in rows
    }


def of_numbers(
    values: npt.NDArray[np.float64], rows: int, extremes: tuple[float, float] | None = None
) -> Constraints:
    """Infer the constraints of a numeric feature.

    Parameters
    ----------
    values
        Of the `rows` rows that have one.
    extremes
        Least and largest value of the data that the rows are a sample of.
    """
    low, high, seen = _range(values[np.isfinite(values)], extremes)
    return Constraints(low, high, nulls=_nulls(rows - len(values), rows), seen=seen)


def of_categories(values: Sequence[str], rows: int, known: frozenset[str] | None = None) -> Constraints:
    """Infer the constraints of a categorical feature, whose other known values are `known`."""
    counts = Counter(values)
    unique = len(counts) == len(values) >= _FEWEST
    return Constraints(
        values=_values(counts, known or frozenset()), nulls=_nulls(rows - len(values), rows), unique=unique
    )


def of_booleans(nulls: int, rows: int) -> Constraints:
    """Infer the constraints of a boolean feature: its nulls."""
    return Constraints(nulls=_nulls(nulls, rows))


def _of(
    column: pd.Series,
    kind: FeatureType,
    extremes: tuple[float, float] | None,
    known: frozenset[str] | None,
) -> Constraints:
    present = column.dropna()
    if kind is FeatureType.NUMERIC:
        return of_numbers(present.to_numpy(dtype=float), len(column), extremes)
    if kind is FeatureType.CATEGORICAL:
        return of_categories([str(value) for value in present], len(column), known)
    return of_booleans(len(column) - len(present), len(column))


def _nulls(nulls: int, rows: int) -> float | None:
    if rows < _FEWEST:
        return None
    share = max(_NULLS_TIMES * nulls / rows, _NULLS_LEAST)
    return None if share >= 1 else math.ceil(round(share * 100, 6)) / 100


def _values(counts: Counter[str], known: frozenset[str]) -> tuple[str, ...] | None:
    values = sorted(known.union(counts))
    total, once = counts.total(), sum(times == 1 for times in counts.values())
    if not 0 < len(values) <= MOST_VALUES or total < _FEWEST or once / total > _NEW:
        return None
    return tuple(values)


def _range(
    numbers: npt.NDArray[np.float64], extremes: tuple[float, float] | None
) -> tuple[float | None, float | None, str]:
    if not len(numbers):
        return None, None, ""
    least, most = extremes or (float(numbers.min()), float(numbers.max()))
    if len(numbers) < _FEWEST or len(np.unique(numbers)) < FEWEST_DISTINCT:
        return None, None, f"{least:g} to {most:g}"
    tail, middle, top = (float(each) for each in np.quantile(numbers, (0.01, 0.5, 0.99)))
    low = max(least, tail - _TAIL * (middle - tail)) if middle > tail else least
    high = min(most, top + _TAIL * (top - middle)) if top > middle else most
    span = high - low
    if not span or not math.isfinite(3 * span):
        return None, None, f"{least:g} to {most:g}"
    whole = bool((numbers == np.round(numbers)).all())
    lower = _outward(low - span, span, whole=whole, up=False)
    upper = _outward(high + span, span, whole=whole, up=True)
    if 0 <= least <= span / _NEAR_ZERO:
        lower = max(lower, 0.0)
    if 0 <= -most <= span / _NEAR_ZERO:
        upper = min(upper, 0.0)
    return lower, upper, f"{least:g} to {most:g}"


def _outward(bound: float, span: float, *, whole: bool, up: bool) -> float:
    """Round a bound away from the values, to two digits of their span."""
    digits = 1 - math.floor(math.log10(span))
    if whole:
        digits = min(digits, 0)
    steps = (math.ceil if up else math.floor)(bound * 10.0**digits)
    return round(steps * 10.0**-digits, max(digits, 0))
