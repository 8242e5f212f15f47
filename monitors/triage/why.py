"""The sentences that tell people what the monitors found."""

from __future__ import annotations

from collections.abc import Iterable

from monitors.concept.recent import SINCE_DRIFT
from monitors.operations.history import THROUGHPUT
from monitors.results.records import Measurement, WindowResult
from monitors.triage.evidence import Evidence, highest_risk, number
from spec import ModelSpec

_MOST = 3


def sentences(spec: ModelSpec, evidence: Evidence) -> tuple[str, ...]:
    """Return one sentence for each monitor that found something, the gravest first."""
    said = (
        *(f"Data: {fault.text or fault.method}." for fault in _named(evidence.faults)),
        *(f"Traffic: {text.text or text.method}." for text in evidence.traffic),
        performance(spec, evidence.newest("performance"), "Realised"),
        performance(spec, evidence.newest("estimate"), "Estimated"),
        _concept(spec, evidence),
        _label_shift(evidence),
        _drift(evidence),
        _predictions(evidence),
        _groups(evidence.newest("slices")),
        service(evidence),
    )
    return tuple(sentence for sentence in said if sentence)


def performance(spec: ModelSpec, result: WindowResult | None, how: str) -> str:
    """Say what the judged metric is, realised or estimated, beside its limit."""
    name = "performance" if how == "Realised" else "estimated_performance"
    measured = number(result, name, spec.performance_metric.value)
    if result is None or measured is None:
        reason = number(result, "no_data")
        return f"{how} {spec.performance_metric} is not known: {reason.text}." if reason else ""
    limit = "" if measured.limit is None else f", limit {measured.limit:.4g}"
    band = "" if measured.low is None else f" [{measured.low:.4g}, {measured.high:.4g}]"
    until = f"{result.end:%Y-%m-%d %H:%M}"
    return (
        f"{how} {measured.method} is {measured.value:.4g}{band}{limit}, of {measured.n} rows until {until}."
    )


def _named(faults: Iterable[Measurement]) -> list[Measurement]:
    """Return the worst faults with the feature's name before what is wrong with it."""
    worst = sorted(faults, key=lambda fault: -fault.value)[:_MOST]
    return [
        fault
        if fault.feature is None
        else Measurement("violations", fault.value, text=f"{fault.feature}: {fault.text}")
        for fault in worst
    ]


def _concept(spec: ModelSpec, evidence: Evidence) -> str:
    newest = evidence.newest("concept")
    drift = number(newest, "concept_drift")
    if not evidence.alarms("concept"):
        return _risk(highest_risk(spec, evidence))
    if drift is None:
        return ""
    since = "" if evidence.onset is None else f", since about {evidence.onset:%Y-%m-%d %H:%M}"
    return f"The loss has risen for sure{since}." if drift.text is None else f"{drift.text}{since}."


def _risk(risk: Measurement | None) -> str:
    """Say what the mean loss of some days is beside its limit."""
    if risk is None:
        return ""
    days = "since the inputs drifted" if risk.method == SINCE_DRIFT else f"of the last {risk.method}"
    band = f"{risk.value:.4g} [{risk.low:.4g}, {risk.high:.4g}]"
    return f"The mean loss {days} is {band}, of {risk.n} rows, limit {risk.limit:.4g}."


def _label_shift(evidence: Evidence) -> str:
    moved = evidence.label_shift
    return "" if moved is None else f"What comes true has moved ({moved.method}): {moved.text}."


def _drift(evidence: Evidence) -> str:
    result = evidence.newest("drift")
    if result is None or not evidence.alarms("drift"):
        return ""
    share = number(result, "drifted_features_ratio")
    costly = [n for n in result.measurements if n.name == "feature_drift_cost"][:_MOST]
    named = ", ".join(f"{cost.feature} ({cost.value:.0%})" for cost in costly)
    since = evidence.since("drift")
    told = f"{share.value:.0%} of the features have drifted" if share else "The inputs have drifted"
    return f"{told} since {since:%Y-%m-%d %H:%M}" + (f", likely to cost most: {named}." if named else ".")


def _predictions(evidence: Evidence) -> str:
    since, score = evidence.predictions_since, number(evidence.newest("drift"), "prediction_drift_score")
    if since is None or score is None:
        return ""
    limit = "" if score.limit is None else f", limit {score.limit:.2g}"
    told = f"{score.method} {score.value:.2g}{limit}, of {score.n} rows"
    return f"The predictions have drifted since {since:%Y-%m-%d %H:%M} ({told})."


def _groups(result: WindowResult | None) -> str:
    if result is None or result.status != "alarm":
        return ""
    unfair = [
        n
        for n in result.measurements
        if n.name == "fairness" and n.limit is not None and (n.low or 0) > n.limit
    ]
    return " ".join(f"{n.method} by {n.feature} is {n.value:.2f}, limit {n.limit:.2f}." for n in unfair)


def service(evidence: Evidence) -> str:
    """Say which figures of the service are beyond their objective, or unlike the version's own past."""
    if not evidence.alarms("latency"):
        return ""
    newest = evidence.newest("latency")
    numbers = () if newest is None else newest.measurements
    told = [f"{n.text}." for n in numbers if n.name == "anomaly" and n.feature != THROUGHPUT and n.text]
    slow = number(newest, "latency_seconds", "p99")
    if slow is not None and slow.limit is not None and (slow.low or 0) > slow.limit:
        objective = f"The 99th percentile of the latency is {slow.value:.3g} s, limit {slow.limit:.3g} s."
        told = [objective, *told]
    return " ".join(told[:_MOST]) or "The service is not as it was."
