"""The PromQL that panels share. Each function returns one expression over the models of ``$model``.

Gauges are aggregated with `max`: after the exporter restarts elsewhere, its old series live on for up to five
minutes beside the new ones, and a plain join would find two of each.
"""

from __future__ import annotations

_MODELS = 'model=~"$model"'
_SERVED = "~ok|error"  # a client's own bad request is no failure of ours, and no success either


def pick(name: str, /, **labels: str) -> str:
    """Select the series of a metric of the chosen models, with these labels; ``~x`` is a pattern."""
    matchers = [_MODELS, *(_matcher(label, value) for label, value in labels.items())]
    return f"{name}{{{', '.join(matchers)}}}"


def gauge(name: str, /, *by: str, **labels: str) -> str:
    """Value of a gauge by the given labels."""
    return f"max by ({', '.join(by)}) ({pick(name, **labels)})"


def rate(name: str, /, *by: str, **labels: str) -> str:
    """Events a second of a counter, by the given labels."""
    return f"sum by ({', '.join(by)}) (rate({pick(name, **labels)}[$__rate_interval]))"


def increase(name: str, /, *by: str, over: str = "$__range", **labels: str) -> str:
    """Events of a counter within a time range, by the given labels."""
    return f"sum by ({', '.join(by)}) (increase({pick(name, **labels)}[{over}]))"


def of_champion(expr: str) -> str:
    """Keep the series of versions that are the champion of their model."""
    return f"({expr}) and on (model, version) {pick('trimtab_model_info', stage='champion')}"


def or_none(expr: str, label: str) -> str:
    """Return the series, or a single 0 whose label says ``none``, so that a panel never looks broken."""
    return f'{expr} or on () label_replace(vector(0), "{label}", "none", "", "")'


def ratio(part: str, whole: str, *by: str) -> str:
    """Share of events that are `part`; 0 where none is, no series where nothing happened."""
    labels = ", ".join(by)
    return f"({part} or on ({labels}) 0 * {whole}) / on ({labels}) ({whole} > 0)"


def error_ratio(*by: str) -> str:
    """Share of live requests, in [0, 1], that the model server could not answer."""
    errors = rate("trimtab_predictions_total", *by, shadow="false", outcome="error")
    return ratio(errors, rate("trimtab_predictions_total", *by, shadow="false", outcome=_SERVED), *by)


def error_budget_spent() -> str:
    """Share of the time range's error budget that is spent; 1 is all of it."""
    errors = increase("trimtab_predictions_total", "model", shadow="false", outcome="error")
    served = increase("trimtab_predictions_total", "model", shadow="false", outcome=_SERVED)
    spent = ratio(errors, served, "model")
    return f"{spent} / on (model) (1 - {gauge('trimtab_slo_objective_ratio', 'model', slo='availability')})"


def quantile(q: float, *by: str) -> str:
    """Quantile of the live requests' time in the model server, in seconds."""
    buckets = rate("trimtab_prediction_duration_seconds_bucket", *by, "le", shadow="false")
    return f"histogram_quantile({q}, {buckets})"


def latency_of_objective() -> str:
    """99th percentile of latency as a share of the objective; above 1 it is missed."""
    objective = gauge("trimtab_latency_objective_seconds", "model", quantile="0.99")
    return f"{quantile(0.99, 'model')} / on (model) {objective}"


def performance_limit(*by: str, **labels: str) -> str:
    """Worst acceptable performance: a floor where higher is better, else a ceiling."""
    floor = gauge("trimtab_model_performance_floor", *by, **labels)
    ceiling = gauge("trimtab_model_performance_ceiling", *by, **labels)
    return f"{floor} or on ({', '.join(by)}) {ceiling}"


def performance_margin() -> str:
    """Distance of the champion from its limit, in the metric's own unit; below 0 it is lost."""
    keys = ("model", "version", "metric")
    on = f"on ({', '.join(keys)})"
    value = gauge("trimtab_model_performance", *keys, bound="value")
    floor, ceiling = (gauge(f"trimtab_model_performance_{side}", *keys) for side in ("floor", "ceiling"))
    margin = f"{value} - {on} {floor} or {on} ({ceiling} - {on} {value})"
    return f"max by (model, metric) ({of_champion(margin)})"


def drift_of_limit() -> str:
    """Share of drifted features of the champion's traffic over the share that alerts; from 1 on it drifts."""
    share = of_champion(gauge("trimtab_drifted_features_ratio", "model", "version"))
    limit = gauge("trimtab_drifted_features_ratio_limit", "model")
    return f"max by (model) ({share}) / on (model) {limit}"


def feature_drift_of_threshold() -> str:
    """Drift score of the champion's features over their method's threshold; drifted from 1 on."""
    score = of_champion(gauge("trimtab_feature_drift_score", "model", "version", "feature", "method"))
    threshold = gauge("trimtab_drift_threshold", "model", "method")
    score = f"max by (model, feature, method) ({score})"
    return f"{score} / on (model, method) group_left () {threshold}"


def correlation_drift_of_threshold() -> str:
    """Largest sure change of a correlation in the champion's inputs over its limit; drifted from 1 on."""
    score = of_champion(gauge("trimtab_correlation_drift_score", "model", "version"))
    limit = gauge("trimtab_drift_threshold", "model", method="correlation")
    return f"max by (model) ({score}) / on (model) {limit}"


def staleness(*by: str) -> str:
    """Age of a monitor's last success over twice its interval; above 1 its numbers are stale."""
    keys = ("model", "monitor")
    age = f"time() - {gauge('trimtab_monitoring_last_success_timestamp_seconds', *keys)}"
    patience = f"2 * {gauge('trimtab_monitoring_interval_seconds', *keys)}"
    return f"max by ({', '.join(by)}) (({age}) / on ({', '.join(keys)}) ({patience}))"


def firing(*by: str, **labels: str) -> str:
    """Firing alerts of Trimtab's rules, counted by the given labels."""
    alerts = pick("ALERTS", alertname="~Trimtab.+", alertstate="firing", **labels)
    return f"count by ({', '.join(by)}) ({alerts})"


def silent() -> str:
    """1 for each server that Prometheus cannot scrape, by job and instance; else 0."""
    return '1 - min by (job, instance) (up{job=~"trimtab-.+|envoy"})'


def store_silent() -> str:
    """1 while the results store does not answer the exporter; else 0."""
    return "1 - min(trimtab_results_up)"


def _matcher(label: str, value: str) -> str:
    return f'{label}=~"{value[1:]}"' if value.startswith("~") else f'{label}="{value}"'
