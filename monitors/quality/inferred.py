"""Constraints that good rows suggest: for a person to look at, correct, and keep in the model's file.

They are to catch what cannot be right, not what is new, so they are wide:

- a number lies within the extremes seen, absurd ones drawn in to ``q99 + 3 (q99 - median)``, widened on each
  side by the whole span, and outward to two digits; what was never negative stays so, and what was whole is
  bounded by whole numbers;
- a category is one of those seen, where at most 30 were and hardly any of them once: the probability of a new
  one, by Good's estimate (Biometrika 40 (1953) 237), the share of values seen once, is at most 0.1 %;
- at most three times the share of nulls seen, and at least 1 %, may be null;
- a category of which all of at least 100 rows had another value is unique.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from spec.features import FeatureType

MOST_VALUES = 30
"""Categories up to which they are listed."""

_NEW = 0.001
_FEWEST = 100
_TAIL = 3.0
_NULLS_TIMES, _NULLS_LEAST = 3.0, 0.01


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


def _of(
    column: pd.Series,
    kind: FeatureType,
    extremes: tuple[float, float] | None,
    known: frozenset[str] | None,
) -> Constraints:
    nulls = _share_of_nulls(column)
    if kind is FeatureType.NUMERIC:
        numbers = column.to_numpy(dtype=float, na_value=np.nan)
        low, high, seen = _range(numbers[np.isfinite(numbers)], extremes)
        return Constraints(low, high, nulls=nulls, seen=seen)
    if kind is FeatureType.CATEGORICAL:
        counts = column.dropna().astype(str).value_counts()
        unique = len(counts) >= _FEWEST and bool((counts == 1).all())
        return Constraints(values=_values(counts, known), nulls=nulls, unique=unique)
    return Constraints(nulls=nulls)


def _share_of_nulls(column: pd.Series) -> float | None:
    if len(column) < _FEWEST:
        return None
    share = max(_NULLS_TIMES * float(column.isna().mean()), _NULLS_LEAST)
    return None if share >= 1 else math.ceil(round(share * 100, 6)) / 100


def _values(counts: pd.Series, known: frozenset[str] | None) -> tuple[str, ...] | None:
    values = sorted(frozenset(counts.index) | (known or frozenset()))
    once = int((counts == 1).sum())
    if not 0 < len(values) <= MOST_VALUES or counts.sum() < _FEWEST or once / counts.sum() > _NEW:
        return None
    return tuple(values)


def _range(
    numbers: npt.NDArray[np.float64], extremes: tuple[float, float] | None
) -> tuple[float | None, float | None, str]:
    if not len(numbers):
        return None, None, ""
    least, most = extremes or (float(numbers.min()), float(numbers.max()))
    if len(numbers) < _FEWEST:
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
    lower, upper = (max(lower, 0.0) if least >= 0 else lower), (min(upper, 0.0) if most <= 0 else upper)
    return lower, upper, f"{least:g} to {most:g}"


def _outward(bound: float, span: float, *, whole: bool, up: bool) -> float:
    """Round a bound away from the values, to two digits of their span."""
    digits = 1 - math.floor(math.log10(span))
    if whole:
        digits = min(digits, 0)
    unit = 10.0**-digits
    rounded = (math.ceil if up else math.floor)(bound / unit) * unit
    return round(rounded, max(digits, 0))
