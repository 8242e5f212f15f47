"""From specs, results and state to Prometheus' metric families. Pure: nothing is read here.

Names, types and labels are the contract with the alert rules and the dashboards. Only what lives is
given: a version that no longer answers has no series, so that its last value cannot keep an alert firing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, UnknownMetricFamily

from monitors.column_pair import CONSTANT
from monitors.deployment import Deployment
from monitors.resources import GpuUsage, Usage
from monitors.results import MONITORS, OUTCOMES, Measurement, Newest, Runs, WindowResult
from spec.drift import DriftMethod
from spec.model import ModelSpec
from spec.performance import PerformanceMetric

Family: TypeAlias = Metric
RECENT = 2
"""A version lives that has a result within this many windows of the model's newest."""
_VERSION = ("model", "version")
_QUANTILES = {"p50": "0.5", "p95": "0.95", "p99": "0.99"}
_EVENTS = {
    "retrain": ("retraining_runs", "Retrains.", ("started", "accepted", "rejected", "failed")),
    "rollout": ("rollouts", "Rollouts.", ("started", "step", "promoted", "rolled_back")),
}


@dataclass(frozen=True, slots=True)
class Live:
    """The results of one model that are to be seen, and what its slots hold."""

    spec: ModelSpec
    deployment: Deployment
    results: tuple[WindowResult, ...] = field(default=())


def living(spec: ModelSpec, deployment: Deployment, newest: Iterable[Newest]) -> tuple[Newest, ...]:
    """Keep the results of versions that have one within the last windows, and the champion's."""
    named = [entry for entry in newest if entry.model == spec.model]
    if not named:
        return ()
    horizon = max(entry.start for entry in named) - RECENT * spec.monitor.window
    living = {entry.version for entry in named if entry.start > horizon} | {deployment.champion_version}
    return tuple(entry for entry in named if entry.version in living)


def of_specs(specs: Iterable[ModelSpec]) -> Iterator[Family]:
    """Give the limits that each model's spec states."""
    specs = tuple(specs)
    threshold = _gauge("drift_threshold", "Distance from which a feature has drifted.", "model", "method")
    limit = _gauge("drifted_features_ratio_limit", "Share of drifted features that is too much.", "model")
    # untyped, for a gauge must not have the label `quantile`, and to join on it is what this one is for
    latency = UnknownMetricFamily(
        "trimtab_latency_objective_seconds", "Longest latency at a quantile.", labels=("model", "quantile")
    )
    slo = _gauge("slo_objective_ratio", "Share of requests that must be good.", "model", "slo")
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
    yield from (threshold, limit, latency, slo)


def of_deployments(models: Iterable[Live]) -> Iterator[Family]:
    """Give each version's stage and each slot's share of the traffic."""
    info = _gauge("model_info", "1 for the stage of a version.", *_VERSION, "stage")
    traffic = _gauge("canary_traffic_ratio", "Share of the live traffic that a slot gets.", "model", "slot")
    for live in models:
        model = live.spec.model
        for version, stage in sorted(_stages(live).items()):
            info.add_metric((model, version, stage), 1)
        for slot, share in live.deployment.traffic.items():
            traffic.add_metric((model, slot), share)
    yield from (info, traffic)


def of_results(models: Iterable[Live], max_features: int) -> Iterator[Family]:
    """Give the numbers of each version's newest windows, of at most `max_features` features a model."""
    models = tuple(models)
    outputs = _gauge("prediction_drift_score", "Distance of the predictions.", *_VERSION, "method")
    faults = _gauge("data_quality_violations", "Violations in the last window.", *_VERSION, "check")
    latency = Metric("trimtab_latency_seconds", "Latency in the last window.", "summary")
    plain = {
        "drifted_features_ratio": _gauge("drifted_features_ratio", "Share of drifted features.", *_VERSION),
        "correlation_drift_score": _gauge(
            "correlation_drift_score", "Largest sure change of a rank correlation.", *_VERSION
        ),
        "rows": _gauge("window_rows", "Rows of the last window.", *_VERSION),
        "throughput_rows_per_second": _gauge(
            "throughput_rows_per_second", "Rows a second of the last window.", *_VERSION
        ),
    }
    for live in models:
        for result in live.results:
            at = (result.model, result.version)
            for number in result.measurements:
                method = number.method or ""
                match number.name:
                    case "prediction_drift_score":
                        outputs.add_metric((*at, method), number.value)
                    case "latency_seconds":
                        quantile = {"quantile": _QUANTILES.get(method, method)}
                        labels = dict(zip(_VERSION, at, strict=True)) | quantile
                        latency.add_sample(latency.name, labels, number.value)
                    case name if name in plain:
                        plain[name].add_metric(at, number.value)
            for check, count in _violations(result.measurements).items():
                faults.add_metric((*at, check), count)
    yield from _of_features(models, max_features)
    yield from (outputs, faults, latency, *plain.values())


def _of_features(models: Iterable[Live], max_features: int) -> Iterator[Family]:
    """Give the drift of each feature, of at most `max_features` a model: those furthest off."""
    score = _gauge("feature_drift_score", "Distance from the reference.", *_VERSION, "feature", "method")
    chance = _gauge(
        "feature_drift_p_value",
        "Probability of such a distance without drift.",
        *_VERSION,
        "feature",
        "method",
    )
    cost = _gauge("feature_drift_cost", "Share of what the drift can cost.", *_VERSION, "feature")
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


def of_performance(models: Iterable[Live]) -> Iterator[Family]:
    """Give realised performance with its interval and limit, and how many labels there are."""
    measured = _gauge("model_performance", "Realised performance.", *_VERSION, "metric", "bound")
    floor = _gauge("model_performance_floor", "Least performance to expect.", *_VERSION, "metric")
    ceiling = _gauge("model_performance_ceiling", "Largest error to expect.", *_VERSION, "metric")
    known = _gauge("labels_available_ratio", "Share of predictions whose label is known.", "model")
    unmatched = _gauge("labels_unmatched", "Labels without a prediction in the log.", "model")
    by_model = {"labels_available_ratio": known, "labels_unmatched": unmatched}
    for live in models:
        said: dict[str, float] = {}
        for result in sorted(live.results, key=lambda result: (result.start, result.rows)):
            for number in result.measurements:
                if number.name == "performance":
                    _add_performance(number, (result.model, result.version), measured, floor, ceiling)
                elif number.name in by_model:
                    said[number.name] = number.value  # of the newest window's busiest version
        for name, value in said.items():
            by_model[name].add_metric((live.spec.model,), value)
    yield from (measured, floor, ceiling, known, unmatched)


def of_runs(
    specs: Iterable[ModelSpec], runs: Iterable[Runs], interval_s: Mapping[str, float]
) -> Iterator[Family]:
    """Give how each monitor's runs ended and when, by the wall; `interval_s` is each model's due interval."""
    specs, runs = tuple(specs), tuple(runs)
    labels = ("model", "monitor")
    success = _gauge("monitoring_last_success_timestamp_seconds", "When a run last succeeded.", *labels)
    run = _gauge("monitoring_last_run_timestamp_seconds", "When a run last ended.", *labels)
    duration = _gauge("monitoring_last_duration_seconds", "How long the last run took.", *labels)
    interval = _gauge("monitoring_interval_seconds", "Time between two runs.", *labels)
    total = _counter("monitoring_runs", "Runs of a monitor.", *labels, "outcome")
    for model in (spec.model for spec in specs):
        for monitor in MONITORS:
            at = (model, monitor)
            ended = {one.outcome: one for one in runs if (one.model, one.monitor) == at}
            interval.add_metric(at, interval_s[model])
            for outcome in OUTCOMES:
                total.add_metric((*at, outcome), ended[outcome].count if outcome in ended else 0)
            if good := [one.last_at for one in ended.values() if one.outcome != "error"]:
                success.add_metric(at, max(good).timestamp())
            if ended:
                last = max(ended.values(), key=_ended_at)
                run.add_metric(at, last.last_at.timestamp())
                duration.add_metric(at, last.last_duration_s)
    yield from (success, run, duration, interval, total)


def of_events(specs: Iterable[ModelSpec], counts: Mapping[tuple[str, str, str], int]) -> Iterator[Family]:
    """Count retrains and rollouts by outcome, from 0, so that the first one is an increase."""
    models = [spec.model for spec in specs]
    for kind, (name, text, outcomes) in _EVENTS.items():
        family = _counter(name, text, "model", "outcome")
        for model in models:
            seen = {outcome for k, m, outcome in counts if (k, m) == (kind, model)}
            for outcome in sorted(seen.union(outcomes)):
                family.add_metric((model, outcome), counts.get((kind, model, outcome), 0))
        yield family


def of_resources(processes: Iterable[Usage], gpus: Iterable[GpuUsage]) -> Iterator[Family]:
    """Give what the stack's processes and, where there are any, the GPUs use."""
    cpu = _counter("process_cpu_seconds", "CPU time of a process of the stack.", "process")
    memory = _gauge("process_resident_memory_bytes", "Memory of a process of the stack.", "process")
    for usage in processes:
        cpu.add_metric((usage.process,), usage.cpu_seconds)
        memory.add_metric((usage.process,), usage.resident_bytes)
    yield from (cpu, memory)
    gpus = tuple(gpus)
    if gpus:
        busy = _gauge("gpu_busy_ratio", "Share of time in which a GPU computes.", "gpu")
        used = _gauge("gpu_memory_used_bytes", "Memory in use of a GPU.", "gpu")
        size = _gauge("gpu_memory_size_bytes", "Memory of a GPU.", "gpu")
        for gpu in gpus:
            busy.add_metric((gpu.gpu,), gpu.busy_ratio)
            used.add_metric((gpu.gpu,), gpu.memory_used_bytes)
            size.add_metric((gpu.gpu,), gpu.memory_total_bytes)
        yield from (busy, used, size)


def of_build(version: str, revision: str) -> Family:
    """Give which code exports."""
    info = _gauge("build_info", "1 for the code that exports.", "version", "revision")
    info.add_metric((version, revision), 1)
    return info


def of_store(*, is_up: bool) -> Family:
    """Give whether the results store answers; without it the series made from it are missing."""
    up = _gauge("results_up", "1 if the results store answers, else 0.")
    up.add_metric((), float(is_up))
    return up


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"trimtab_{name}", text, labels=labels)


def _counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"trimtab_{name}", text, labels=labels)


def _stages(live: Live) -> dict[str, str]:
    """Stage by version; with no slot known, the version that answered most is the champion."""
    answered = [result for result in live.results if result.monitor != "performance"]
    versions = {result.version for result in live.results} | set(live.deployment.versions.values())
    if live.deployment.champion_version is None and answered:
        busiest = max(answered, key=lambda result: (result.start, result.rows)).version
        return {version: "champion" if version == busiest else "previous" for version in versions}
    return {version: live.deployment.stage(version) for version in versions}


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


def _add_performance(
    number: Measurement,
    at: tuple[str, str],
    measured: GaugeMetricFamily,
    floor: GaugeMetricFamily,
    ceiling: GaugeMetricFamily,
) -> None:
    metric = number.method or ""
    bounds = {"lower": number.low, "value": number.value, "upper": number.high}
    for bound, value in bounds.items():
        if value is not None:
            measured.add_metric((*at, metric, bound), value)
    if number.limit is not None:
        limit = floor if PerformanceMetric(metric).higher_is_better else ceiling
        limit.add_metric((*at, metric), number.limit)


def _ended_at(runs: Runs) -> datetime:
    return runs.last_at
