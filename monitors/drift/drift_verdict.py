"""From the drift of columns to a verdict: what persists, what share of the features, what it can cost.

The predictions are a column like the features, with a part of the same budget of false alarms. That they have
drifted is told beside the verdict on the inputs, and is none: of one version they move because its inputs do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from monitors.detectors.persistence import Persistence
from monitors.drift.drift import PAIRS, ColumnDrift, Drift
from monitors.finding import Finding, NoData
from monitors.reference_profile import PREDICTION
from monitors.results.records import Measurement
from spec import ModelSpec

Verdicts: TypeAlias = frozenset[str]
"""The columns of one window that had drifted."""


def judge(
    drift: Drift,
    spec: ModelSpec,
    *,
    importances: Mapping[str, float],
    before: Sequence[Verdicts] = (),
) -> Finding:
    """Return the measurements, and `alarm` when enough features have drifted, or a correlation has.

    Parameters
    ----------
    importances
        Of the features to the live model; where none are known, all weigh the same.
    before
        What had drifted in the windows before, the oldest first, for `persistence`.
    """
    limits = spec.monitor.data_drift
    measured = [number for feature in drift.features for number in _of_feature(feature)]
    measured += _of_prediction(drift.prediction, lasts=_lasts(drift.prediction, spec, before))
    lasting = [feature for feature in drift.features if _lasts(feature, spec, before)]
    measured += [
        Measurement("feature_drift_cost", cost, feature=name)
        for name, cost in costs(lasting, importances).items()
    ]
    shifted = False
    if drift.correlation is not None:
        measured += _of_column("correlation_drift_score", drift.correlation)
        shifted = _lasts(drift.correlation, spec, before)
    if all(isinstance(feature.score, NoData) for feature in drift.features):
        measured.append(NoData("no feature could be compared").measurement())
        return Finding("no_data", tuple(measured), drift.rows)
    share = len(lasting) / len(drift.features)
    measured.append(Measurement("drifted_features_ratio", share, limit=limits.share, n=drift.rows))
    return Finding("alarm" if share >= limits.share or shifted else "ok", tuple(measured), drift.rows)


def costs(drifted: Iterable[ColumnDrift], importances: Mapping[str, float]) -> dict[str, float]:
    """Return each drifted feature's share of what drift can cost, the costliest first; the shares sum to 1.

    A feature's cost is how many limits it has moved times its importance to the model. What has not drifted
    has no part in it: its score is noise.
    """
    raw = {
        column.column: column.score
        / column.limit
        * (importances.get(column.column, 0.0) if importances else 1.0)
        for column in drifted
        if isinstance(column.score, float)
    }
    total = sum(raw.values())
    ranked = sorted(raw, key=lambda name: (-raw[name], name))
    return {name: raw[name] / total for name in ranked} if total > 0 else {}


def drifted(measurements: Iterable[Measurement]) -> Verdicts:
    """Return the columns that a stored finding says had drifted, whether or not it lasted."""
    numbers = tuple(measurements)
    sure = {n.feature for n in numbers if n.name == "feature_drift_p_value" and _within(n)}
    found = {
        n.feature for n in numbers if n.name == "feature_drift_score" and _reached(n) and n.feature in sure
    }
    moved = any(n.name == "correlation_drift_score" and _reached(n) for n in numbers)
    told = any(n.name == "prediction_drift_score" and _reached(n) for n in numbers) and any(
        n.name == "prediction_drift_p_value" and _within(n) for n in numbers
    )
    return (
        frozenset(str(name) for name in found)
        | ({PAIRS} if moved else set())
        | ({PREDICTION} if told else set())
    )


def _lasts(column: ColumnDrift, spec: ModelSpec, before: Sequence[Verdicts]) -> bool:
    rule = spec.monitor.data_drift.persistence
    if rule is None:
        return column.drifted
    detector = Persistence(rule.count, rule.of)
    for names in before:
        detector = detector.update(column.column in names)
    return detector.update(column.drifted).alarm


def _of_feature(column: ColumnDrift) -> Iterable[Measurement]:
    name, method = column.column, column.method
    yield from _of_column("feature_drift_score", column, name)
    if isinstance(column.score, NoData):
        return
    yield Measurement(
        "feature_drift_p_value", column.p_value, name, method, limit=column.level, n=column.rows
    )
    if column.drifted and column.since is not None:
        since = f"since {column.since:%Y-%m-%d %H:%M}"
        yield Measurement("feature_drift_lookback", column.lookback, name, n=column.rows, text=since)
    if column.missing or column.missing_before:
        text = f"{column.missing_before:.2%} in the reference"
        yield Measurement("feature_missing_ratio", column.missing, name, text=text)


def _of_prediction(column: ColumnDrift, *, lasts: bool) -> Iterable[Measurement]:
    yield from _of_column("prediction_drift_score", column)
    if isinstance(column.score, NoData):
        return
    p_value, method = "prediction_drift_p_value", column.method
    yield Measurement(p_value, column.p_value, method=method, limit=column.level, n=column.rows)
    since = f"since {column.since:%Y-%m-%d %H:%M}" if lasts and column.since is not None else None
    yield Measurement("prediction_drifted", float(lasts), method=method, n=column.rows, text=since)


def _of_column(name: str, column: ColumnDrift, feature: str | None = None) -> Iterable[Measurement]:
    if isinstance(column.score, NoData):
        yield column.score.measurement(feature or column.column, column.method)
        return
    yield Measurement(
        name,
        column.score,
        feature=feature,
        method=column.method,
        limit=column.limit,
        n=column.rows,
        text=column.detail,
    )


def _reached(number: Measurement) -> bool:
    return number.limit is not None and number.value >= number.limit


def _within(number: Measurement) -> bool:
    return number.limit is not None and number.value <= number.limit
