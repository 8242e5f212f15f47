"""The limits that each model's spec states."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import UnknownMetricFamily

from monitors.comparing.column_pair import CONSTANT
from monitors.exposition.families import Family, gauge
from spec import ModelSpec
from spec.drift import DriftMethod


def of_specs(specs: Iterable[ModelSpec]) -> Iterator[Family]:
    """Give the limits that each model's spec states."""
    specs = tuple(specs)
    threshold = gauge("drift_threshold", "Distance from which a feature has drifted.", "model", "method")
    limit = gauge("drifted_features_ratio_limit", "Share of drifted features that is too much.", "model")
    # untyped, for a gauge must not have the label `quantile`, and to join on it is what this one is for
    latency = UnknownMetricFamily(
        "trimtab_latency_objective_seconds", "Longest latency at a quantile.", labels=("model", "quantile")
    )
    slo = gauge("slo_objective_ratio", "Share of requests that must be good.", "model", "slo")
    anomaly = gauge("service_anomaly_limit", "Least factor over the usual that is an anomaly.", "model")
    for spec in specs:
        drift = spec.monitor.data_drift
        methods = {drift.method.value, drift.categorical_method.value}
        if drift.method is DriftMethod.WASSERSTEIN:
            methods.add(CONSTANT)
        limits = dict.fromkeys(methods, drift.effect)
        if drift.correlation is not None:
            limits["correlation"] = drift.correlation
        for method, value in sorted(limits.items()):
            threshold.add_metric((spec.model, method), value)
        limit.add_metric((spec.model,), drift.share)
        latency.add_metric((spec.model, "0.99"), spec.monitor.latency.p99.total_seconds())
        slo.add_metric((spec.model, "availability"), spec.monitor.latency.slo)
        if spec.monitor.latency.anomaly is not None:
            anomaly.add_metric((spec.model,), spec.monitor.latency.anomaly)
    yield from (threshold, limit, latency, slo, anomaly)
