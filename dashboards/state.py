"""Rows on the state of a model at one glance, and on the monitors that say so."""

from __future__ import annotations

from dashboards import promql
from dashboards.frame import Row
from dashboards.panels import GREEN, RED, Panel, Query, Text, cells, lines, name, stat, timeline


def now() -> Row:
    """One line that says whether all is well."""
    champion, challenger = (
        promql.gauge("trimtab_model_info", "version", stage=stage) for stage in ("champion", "challenger")
    )
    alerts = f"clamp_max({promql.firing('alertname')}, 1)"
    return Row(
        "State",
        [
            name(
                Text("Champion", "Version that the alias `champion` names.", "none"),
                Query(promql.or_none(champion, "version"), "{{version}}"),
                span=3,
            ),
            name(
                Text("Challenger", "Version that wants to be champion, if there is one.", "none"),
                Query(promql.or_none(challenger, "version"), "{{version}}"),
                span=3,
            ),
            stat(
                Text("Alerts", "Alerts of this model that fire now.", "none"),
                Query(f"sum by (model) ({promql.firing('model')}) or on () vector(0)", "alerts"),
                span=3,
                bad_from=1,
            ),
            stat(
                Text(
                    "Performance margin",
                    "Distance of the champion from its limit; below 0 it is lost.",
                    "none",
                ),
                Query(promql.performance_margin(), "{{metric}}"),
                span=3,
                bad_below=0,
            ),
            stat(
                Text("Drift", "Share of drifted features over the share that alerts.", "percentunit"),
                Query(promql.drift_of_limit(), "of limit"),
                span=3,
                bad_from=1,
            ),
            stat(
                Text("Latency", "99th percentile of latency over its objective.", "percentunit"),
                Query(promql.latency_of_objective(), "of objective"),
                span=3,
                bad_from=1,
            ),
            stat(
                Text("Errors", "Share of live requests that the server failed.", "percentunit"),
                Query(promql.error_ratio("model"), "of requests"),
                span=3,
            ),
            stat(
                Text("Freshness", "Age of the stalest monitor over twice its interval.", "percentunit"),
                Query(promql.staleness("model"), "of patience"),
                span=3,
                bad_from=1,
            ),
            timeline(
                Text("Firing alerts", "Alerts of this model over time, one lane an alert.", "none"),
                Query(promql.or_none(alerts, "alertname"), "{{alertname}}"),
                colours={"0": GREEN, "1": RED},
            ),
        ],
    )


def monitoring() -> Row:
    """Whether the numbers above are fresh: a monitor that stopped looks like a model that is well."""
    runs = promql.rate("trimtab_monitoring_runs_total", "monitor", "outcome")
    age = promql.gauge("trimtab_monitoring_last_run_timestamp_seconds", "monitor")
    return Row(
        "Monitoring",
        [
            lines(
                Text(
                    "Staleness",
                    "Age of each monitor's last success over twice its interval; stale above 100 %.",
                    "percentunit",
                ),
                Query(promql.staleness("monitor"), "{{monitor}}"),
                Query("vector(1)", "limit"),
                span=6,
            ),
            lines(
                Text(
                    "Time since the last run",
                    "Age of each monitor's last run, whether or not it succeeded.",
                    "s",
                ),
                Query(f"time() - {age}", "{{monitor}}"),
                span=6,
            ),
            lines(
                Text("Runs", "Runs of each monitor a second, by outcome.", "ops"),
                Query(runs, "{{monitor}}, {{outcome}}"),
                span=6,
            ),
            lines(
                Text("Duration", "Time that each monitor's last run took.", "s"),
                Query(promql.gauge("trimtab_monitoring_last_duration_seconds", "monitor"), "{{monitor}}"),
                span=6,
            ),
            silence(span=24, height=6),
        ],
    )


def silence(*, span: int, height: int) -> Panel:
    """Return the panel of what gives no answer."""
    return cells(
        Text("Silence", "Red where a scraped server or the results store gives no answer.", "none"),
        Query(promql.silent(), "{{job}} {{instance}}"),
        Query(promql.store_silent(), "results store"),
        bad_from=1,
        span=span,
        height=height,
    )
