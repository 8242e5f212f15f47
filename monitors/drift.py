"""How far a window's inputs and predictions lie from the version's reference.

The distances are Evidently's own functions, called directly: its `Report` computes each of them three
times and draws every column, which takes seconds where the numbers take milliseconds.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

from monitors.finding import Finding, NoData
from monitors.records import Measurement
from spec import FeatureType, ModelSpec, Problem, SpecError, Task
from spec.model import DriftMethod

PREDICTION = "prediction"
"""Column of the scores, in the reference and in the frames compared here."""

_INFINITE = 1e150  # the square of anything larger is no float, and neither is a deviation
_LEAST_STD = 1e-9  # relative; below it a column is constant but for rounding


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """The distance of one column.

    `score` is at least 0 and grows with drift; `wasserstein` is in standard deviations of the
    reference, `jensenshannon` and `hellinger` end at √ln 2 and 1, `psi` and `kl_div` have no end.
    """

    column: str
    method: DriftMethod
    score: float | NoData
    limit: float

    @property
    def drifted(self) -> bool:
        """Whether the score has reached the limit; a column without a score has not drifted."""
        return isinstance(self.score, float) and self.score >= self.limit


@dataclass(frozen=True, slots=True)
class Drift:
    """The distances of a window: of every feature in the model's order, and of the predictions."""

    features: tuple[ColumnDrift, ...]
    prediction: ColumnDrift

    @property
    def share(self) -> float | NoData:
        """Share of all features that have drifted; `NoData` if not one could be compared."""
        if all(isinstance(feature.score, NoData) for feature in self.features):
            return NoData("no feature could be compared")
        return sum(feature.drifted for feature in self.features) / len(self.features)


def compare(reference: pd.DataFrame, current: pd.DataFrame, spec: ModelSpec) -> Drift:
    """Compare two frames column by column, each by the method of `spec.monitor.data_drift`.

    Parameters
    ----------
    reference, current
        One row a prediction; columns are the features by name and `prediction`, as `inference_log.frame`
        makes them. Nulls and infinities are left out, as Evidently does; columns or rows may be missing.

    Raises
    ------
    SpecError
        If the spec asks for the Wasserstein distance of categories, which have no order.
    """
    limits = spec.monitor.data_drift
    if limits.categorical_method is DriftMethod.WASSERSTEIN:
        known = [method.value for method in DriftMethod if method is not DriftMethod.WASSERSTEIN]
        where, found = "monitor.data_drift.categorical_method", limits.categorical_method.value
        raise SpecError([Problem(where, f"must be one of {', '.join(known)}", found)])

    def column(name: str, *, numeric: bool) -> ColumnDrift:
        method = limits.method if numeric else limits.categorical_method
        score = distance(reference.get(name), current.get(name), method, numeric=numeric)
        return ColumnDrift(name, method, score, limits.threshold)

    features = tuple(
        column(name, numeric=feature.type is FeatureType.NUMERIC) for name, feature in spec.features.items()
    )
    return Drift(features, column(PREDICTION, numeric=spec.task is not Task.MULTICLASS))


def distance(
    reference: pd.Series | None, current: pd.Series | None, method: DriftMethod, *, numeric: bool
) -> float | NoData:
    """Return Evidently's distance between two columns, finite and at least 0, or why there is none."""
    clean = _numbers if numeric else _categories
    sides = []
    for side, series in (("reference", reference), ("window", current)):
        if series is None:
            return NoData(f"the {side} does not have the column")
        values = clean(series)
        if values.empty:
            return NoData(f"the {side} has no values in the column")
        sides.append(values)
    if method is DriftMethod.WASSERSTEIN and _is_constant(sides[0].to_numpy()):
        return NoData("the column is constant in the reference: it has no standard deviation to measure in")
    return _evidently(sides[0], sides[1], method, numeric=numeric)


def _evidently(
    reference: pd.Series, current: pd.Series, method: DriftMethod, *, numeric: bool
) -> float | NoData:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Evidently's import says of its dependencies is not ours
        from evidently.legacy.calculations import stattests
        from evidently.legacy.core import ColumnType

        kind = ColumnType.Numerical if numeric else ColumnType.Categorical
        test = stattests.registry.get_registered_stattest(method.value, kind)
        try:
            score = float(test(reference, current, kind, None).drift_score)
        except ValueError as error:  # np.histogram, of a range too narrow for floats
            return NoData(f"the values cannot be binned: {error}")
    if method is DriftMethod.JENSEN_SHANNON and math.isnan(score):
        return 0.0  # scipy takes the root of -1e-17 where the two sides are equal but for rounding
    if not math.isfinite(score):
        return NoData("the distance of these values is not a finite number")
    return max(score, 0.0)


def judge(drift: Drift, spec: ModelSpec, rows: int) -> Finding:
    """Return the measurements, and `alarm` when the share of drifted features has reached its limit."""
    limit = spec.monitor.data_drift.share
    measurements = [
        _measurement("feature_drift_score", feature, feature=feature.column, limit=feature.limit)
        for feature in drift.features
    ]
    measurements.append(_measurement("prediction_drift_score", drift.prediction))
    if isinstance(drift.share, NoData):
        return Finding("no_data", (*measurements, drift.share.measurement()), rows)
    measurements.append(Measurement("drifted_features_ratio", drift.share, limit=limit, n=rows))
    return Finding("alarm" if drift.share >= limit else "ok", tuple(measurements), rows)


def _measurement(
    name: str, column: ColumnDrift, *, feature: str | None = None, limit: float | None = None
) -> Measurement:
    method = column.method.value
    if isinstance(column.score, NoData):
        return column.score.measurement(feature or column.column, method)
    return Measurement(name, column.score, feature=feature, method=method, limit=limit)


def _numbers(series: pd.Series) -> pd.Series:
    values = pd.to_numeric(series, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    return pd.Series(values[np.abs(values) < _INFINITE])


def _categories(series: pd.Series) -> pd.Series:
    return series.dropna().astype(str)


def _is_constant(values: np.ndarray) -> bool:
    low, high = values.min(), values.max()
    return bool(high - low <= _LEAST_STD * max(abs(low), abs(high)))
