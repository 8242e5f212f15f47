"""Whether a window's data are sound: nulls, categories, ranges, ids, volume, schema.

Every check counts offending rows and compares their share with what `spec.monitor.quality` allows; a
count within the allowance is no violation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from monitors.finding import Finding
from monitors.records import Measurement
from monitors.references import Reference
from spec import Feature, FeatureType, ModelSpec


class Check(StrEnum):
    """What is checked, by the name that the results and the metrics use."""

    SCHEMA = "schema"
    NULL_RATE = "null_rate"
    UNSEEN_CATEGORIES = "unseen_categories"
    OUT_OF_RANGE = "out_of_range"
    DUPLICATE_IDS = "duplicate_ids"
    VOLUME = "volume"


@dataclass(frozen=True, slots=True)
class Violation:
    """`rows` rows that a check does not allow; `limit` is the largest share of rows that it does."""

    check: Check
    rows: int
    detail: str
    feature: str | None = None
    limit: float | None = None


def check(
    frame: pd.DataFrame, ids: pd.Series, reference: Reference | None, spec: ModelSpec, *, rows: int
) -> tuple[Violation, ...]:
    """Run every check.

    Parameters
    ----------
    frame
        The window's rows of one version; features by name, in the spec's dtypes (see `frames.typed`).
    ids
        Their prediction ids.
    reference
        The version's reference; None where it has none: then only volume, ids and schema are checked.
        A feature that the reference knows nothing of may be anything.
    rows
        Rows of the window in all versions, which is what `min_rows` speaks of: a canary at 5 % is no
        lack of traffic.
    """
    found = [*_volume(rows, spec), *_duplicates(ids)]
    for name, feature in spec.features.items():
        wrong = _schema(frame, name, feature)
        if wrong is not None:
            found.append(wrong)
        elif len(frame) and reference is not None:
            found += _nulls(frame[name], name, reference.null_rates.get(name), spec)
            found += _unseen(frame[name], name, feature, reference.categories.get(name), spec)
            found += _outside(frame[name], name, reference.ranges.get(name), spec)
    return tuple(found)


def judge(violations: tuple[Violation, ...], rows: int) -> Finding:
    """Return one measurement a violation, a zero for every clean check, and `alarm` if anything is wrong."""
    measurements = [
        Measurement("violations", v.rows, v.feature, v.check.value, limit=v.limit, n=rows, text=v.detail)
        for v in violations
    ]
    clean = set(Check) - {violation.check for violation in violations}
    measurements += [Measurement("violations", 0, method=name.value, n=rows) for name in sorted(clean)]
    measurements.append(Measurement("rows", rows))
    return Finding("alarm" if violations else "ok", tuple(measurements), rows)


def _volume(rows: int, spec: ModelSpec) -> Iterator[Violation]:
    least = spec.monitor.quality.min_rows
    if rows < least:
        yield Violation(Check.VOLUME, least - rows, f"{rows} rows; at least {least} are expected")


def _duplicates(ids: pd.Series) -> Iterator[Violation]:
    repeated = ids[ids.duplicated()]
    if not repeated.empty:
        detail = f"{len(repeated)} rows repeat an id, such as {repeated.iloc[0]!r}"
        yield Violation(Check.DUPLICATE_IDS, len(repeated), detail)


def _schema(frame: pd.DataFrame, name: str, feature: Feature) -> Violation | None:
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


def _nulls(values: pd.Series, name: str, usual: float | None, spec: ModelSpec) -> Iterator[Violation]:
    if usual is None:
        return
    limit = min(usual + spec.monitor.quality.null_rate, 1.0)
    nulls = int(values.isna().sum())
    if nulls / len(values) > limit:
        detail = f"{nulls / len(values):.1%} of the rows are null; the reference has {usual:.1%}"
        yield Violation(Check.NULL_RATE, nulls, detail, name, limit)


def _unseen(
    values: pd.Series, name: str, feature: Feature, known: frozenset[str] | None, spec: ModelSpec
) -> Iterator[Violation]:
    if not known or feature.type is not FeatureType.CATEGORICAL:
        return
    limit = spec.monitor.quality.unseen_categories
    counts = values.dropna().value_counts()
    unseen = counts[~counts.index.isin(list(known))]
    if unseen.sum() / len(values) > limit:
        shown = ", ".join(repr(value) for value in unseen.index[:3])
        detail = f"{len(unseen)} categories that the reference does not have, such as {shown}"
        yield Violation(Check.UNSEEN_CATEGORIES, int(unseen.sum()), detail, name, limit)


def _outside(
    values: pd.Series, name: str, usual: tuple[float, float] | None, spec: ModelSpec
) -> Iterator[Violation]:
    if usual is None:
        return
    low, high = usual
    limit = spec.monitor.quality.out_of_range
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    outside = int(np.count_nonzero((numbers < low) | (numbers > high)))
    if outside / len(values) > limit:
        detail = f"{outside / len(values):.1%} of the rows lie outside [{low:g}, {high:g}]"
        yield Violation(Check.OUT_OF_RANGE, outside, detail, name, limit)
