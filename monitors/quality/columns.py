"""What must hold of one feature's column: its type, nulls and values.

What the spec states of the feature wins, side by side, over what the version's reference showed. Every share
is held against its allowance by `surely_over`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from monitors.quality.shares import surely_over
from monitors.quality.violation import Check, Violation
from monitors.references import Reference
from spec.features import Feature, FeatureType
from spec.quality import Quality

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Known:
    """What the reference showed of one feature; None where it says nothing."""

    null_rate: float | None = None
    range: tuple[float, float] | None = None
    categories: frozenset[str] | None = None

    @classmethod
    def of(cls, reference: Reference | None, name: str) -> Known:
        """Take what a reference knows of a feature."""
        if reference is None:
            return cls()
        return cls(
            reference.null_rates.get(name), reference.ranges.get(name), reference.categories.get(name) or None
        )


def schema(frame: pd.DataFrame, name: str, feature: Feature) -> Violation | None:
    """Return what is wrong with the column as a whole."""
    if name not in frame:
        return Violation(Check.SCHEMA, len(frame), "the log does not have the column", name)
    values = frame[name]
    fits = {
        FeatureType.NUMERIC: is_numeric_dtype(values) and not is_bool_dtype(values),
        FeatureType.BOOLEAN: is_bool_dtype(values.dropna().infer_objects()),
        FeatureType.CATEGORICAL: not is_numeric_dtype(values),
    }
    if fits[feature.type] or values.isna().all():
        return None
    return Violation(Check.SCHEMA, len(frame), f"must be {feature.type}; found {values.dtype}", name)


def values(
    column: pd.Series, name: str, feature: Feature, known: Known, quality: Quality
) -> Iterator[Violation]:
    """Check the values of a column that has at least one row and the feature's type."""
    yield from _nulls(column, name, feature, known, quality)
    if feature.type is FeatureType.NUMERIC:
        yield from _numbers(column, name, feature, known, quality)
    elif feature.type is FeatureType.CATEGORICAL:
        yield from _categories(column, name, feature, known, quality)


def _nulls(
    column: pd.Series, name: str, feature: Feature, known: Known, quality: Quality
) -> Iterator[Violation]:
    if feature.nulls is not None:
        limit, usual = feature.nulls, f"{feature.nulls:.1%} are allowed"
    elif known.null_rate is not None:
        limit, usual = (
            min(known.null_rate + quality.null_rate, 1.0),
            f"the reference has {known.null_rate:.1%}",
        )
    else:
        return
    nulls = int(column.isna().sum())
    if surely_over(nulls, len(column), limit):
        detail = f"{nulls / len(column):.1%} of the rows are null; {usual}"
        yield Violation(Check.NULL_RATE, nulls, detail, name, limit)


def _numbers(
    column: pd.Series, name: str, feature: Feature, known: Known, quality: Quality
) -> Iterator[Violation]:
    numbers = column.to_numpy(dtype=float, na_value=np.nan)
    broken = _beyond(numbers, feature.min, feature.max)
    yield from _outside(
        numbers, broken, Check.CONSTRAINT, name, _span(feature.min, feature.max), quality.broken
    )
    if known.range is not None:
        low = known.range[0] if feature.min is None else None
        high = known.range[1] if feature.max is None else None
        strange = _beyond(numbers, low, high)
        yield from _outside(
            numbers, strange, Check.OUT_OF_RANGE, name, _span(low, high), quality.out_of_range
        )


def _beyond(numbers: npt.NDArray[np.float64], low: float | None, high: float | None) -> npt.NDArray[np.bool_]:
    lowest, highest = (-np.inf if low is None else low), (np.inf if high is None else high)
    return np.asarray((numbers < lowest) | (numbers > highest))


def _span(low: float | None, high: float | None) -> str:
    """Say what must hold, such as ``[0, 10]`` or ``at least 0``."""
    if low is None or high is None:
        return f"at least {low:g}" if low is not None else f"at most {high:g}" if high is not None else ""
    return f"in [{low:g}, {high:g}]"


def _outside(
    numbers: npt.NDArray[np.float64],
    wrong: npt.NDArray[np.bool_],
    check: Check,
    name: str,
    must: str,
    limit: float,
) -> Iterator[Violation]:
    count = int(np.count_nonzero(wrong))
    if surely_over(count, len(numbers), limit):
        found = numbers[wrong]
        least, most = found.min(), found.max()
        shown = f"{least:g}" if least == most else f"{least:g} to {most:g}"
        detail = f"{count / len(numbers):.1%} of the rows are not {must}, such as {shown}"
        yield Violation(check, count, detail, name, limit)


def _categories(
    column: pd.Series, name: str, feature: Feature, known: Known, quality: Quality
) -> Iterator[Violation]:
    stated = feature.values  # noqa: PD011 - the spec's
    if stated is not None:
        check, allowed, limit = Check.CONSTRAINT, frozenset(stated), quality.broken
        whose = "the file does not allow"
    elif known.categories is not None:
        check, allowed, limit = Check.UNSEEN_CATEGORIES, known.categories, quality.unseen_categories
        whose = "the reference does not have"
    else:
        return
    counts = column.dropna().value_counts()
    strange = counts[~counts.index.isin(list(allowed))]
    count = int(strange.sum())
    if surely_over(count, len(column), limit):
        shown = ", ".join(repr(value) for value in strange.index[:_SHOWN])
        detail = f"{len(strange)} categories that {whose}, such as {shown}"
        yield Violation(check, count, detail, name, limit)
