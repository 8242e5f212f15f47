"""The numbers of each version's newest windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import Metric

from monitors.exposition.families import VERSION, Family, Live, gauge
from monitors.results.store import Measurement, WindowResult

_QUANTILES = {"p50": "0.5", "p95": "0.95", "p99": "0.99"}
_PLAIN = {
    "drifted_features_ratio": ("drifted_features_ratio", "Share of drifted features."),
    "correlation_drift_score": ("correlation_drift_score", "Largest sure change of a rank correlation."),
    "prediction_drifted": ("prediction_drifted", "1 if the predictions have drifted, else 0."),
    "rows": ("window_rows", "Rows of the last window."),
    "throughput_rows_per_second": ("throughput_rows_per_second", "Rows a second of the last window."),
}
"""Measurements that are one number a version, as gauges."""


def of_results(models: Iterable[Live], max_features: int) -> Iterator[Family]:
    """Give the numbers of each version's newest windows, of at most `max_features` features a model."""
    models = tuple(models)
    outputs = gauge("prediction_drift_score", "Distance of the predictions.", *VERSION, "method")
    chance = gauge(
        "prediction_drift_p_value", "Probability of such a distance without drift.", *VERSION, "method"
    )
    faults = gauge("data_quality_violations", "Violations in the last window.", *VERSION, "check")
    latency = Metric("trimtab_latency_seconds", "Latency in the last window.", "summary")
    plain = {key: gauge(name, told, *VERSION) for key, (name, told) in _PLAIN.items()}
    for live in models:
        for result in live.results:
            at = (result.model, result.version)
            for number in result.measurements:
                method = number.method or ""
                match number.name:
                    case "prediction_drift_score":
                        outputs.add_metric((*at, method), number.value)
                    case "prediction_drift_p_value":
                        chance.add_metric((*at, method), number.value)
                    case "latency_seconds":
                        quantile = {"quantile": _QUANTILES.get(method, method)}
                        labels = dict(zip(VERSION, at, strict=True)) | quantile
                        latency.add_sample(latency.name, labels, number.value)
                    case name if name in plain:
                        plain[name].add_metric(at, number.value)
            for check, count in _violations(result.measurements).items():
                faults.add_metric((*at, check), count)
    yield from _of_features(models, max_features)
    yield _of_anomalies(models)
    yield from (outputs, chance, faults, latency, *plain.values())


def _of_anomalies(models: Iterable[Live]) -> Family:
    """Give what is unlike a version's own past: no series where nothing is."""
    ratio = gauge(
        "service_anomaly_ratio",
        "A figure of the service over what is usual of the version, beyond chance.",
        *VERSION,
        "figure",
        "kind",
    )
    for live in models:
        for result in live.results:
            for number in result.measurements:
                if number.name == "anomaly":
                    at = (result.model, result.version, number.feature or "", number.method or "")
                    ratio.add_metric(at, number.value)
    return ratio


def _of_features(models: Iterable[Live], max_features: int) -> Iterator[Family]:
    """Give the drift of each feature, of at most `max_features` a model: those furthest off."""
    score = gauge("feature_drift_score", "Distance from the reference.", *VERSION, "feature", "method")
    chance = gauge(
        "feature_drift_p_value",
        "Probability of such a distance without drift.",
        *VERSION,
        "feature",
        "method",
    )
    cost = gauge("feature_drift_cost", "Share of what the drift can cost.", *VERSION, "feature")
    for live in models:
        furthest = _furthest(live.results, max_features)
        for result in live.results:
            for number in result.measurements:
                if number.feature not in furthest:
                    continue
                at = (result.model, result.version, str(number.feature))
                match number.name:
                    case "feature_drift_score":
                        score.add_metric((*at, number.method or ""), number.value)
                    case "feature_drift_p_value":
                        chance.add_metric((*at, number.method or ""), number.value)
                    case "feature_drift_cost":
                        cost.add_metric(at, number.value)
    yield from (score, chance, cost)


def _furthest(results: Iterable[WindowResult], count: int) -> set[str | None]:
    """Features with the highest costs in any version, then the highest scores relative to their limit."""
    costs: dict[str | None, float] = {}
    scores: dict[str | None, float] = {}
    for result in results:
        for number in result.measurements:
            if number.name == "feature_drift_score":
                relative = number.value / (number.limit or 1.0)
                scores[number.feature] = max(relative, scores.get(number.feature, 0.0))
            elif number.name == "feature_drift_cost":
                costs[number.feature] = max(number.value, costs.get(number.feature, 0.0))
    ranked = sorted(scores, key=lambda name: (-costs.get(name, 0.0), -scores[name], str(name)))
    return set(ranked[:count])


def _violations(numbers: Iterable[Measurement]) -> dict[str, float]:
    counts: dict[str, float] = {}
    for number in numbers:
        if number.name == "violations":
            check = number.method or ""
            counts[check] = counts.get(check, 0.0) + number.value
    return counts
