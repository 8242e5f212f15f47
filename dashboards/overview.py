"""The dashboard of all models: one row a model, worst news first, each a click from its own dashboard."""

from __future__ import annotations

from dashboards import frame, promql
from dashboards.frame import Row, Surroundings
from dashboards.panels import Query, Text, cells, lines, rows, stat
from dashboards.sdk import Json
from dashboards.state import silence

_CARRIED = "${datasource:queryparam}&${__url_time_range}"
_DRILL_DOWN = f"/d/{frame.ANY_MODEL_UID}?var-model=${{__data.fields.model}}&{_CARRIED}"


def dashboard(surroundings: Surroundings | None = None) -> Json:
    """Return Grafana's JSON of the overview."""
    surroundings = surroundings or Surroundings()
    what = "Every model that Trimtab watches: its champion, performance, drift, service and freshness."
    page = frame.start("Trimtab / all models", frame.OVERVIEW_UID, what, surroundings)
    page.with_variable(
        frame.choice("model", "Model", "label_values(trimtab_model_info, model)", several=True)
    )
    frame.annotate(page)
    frame.external(page, "Airflow", "${airflow}/dags?tags=trimtab", "The retraining and rollout DAGs")
    frame.external(page, "MLflow", "${mlflow}/#/models", "The registry of models")
    return frame.finish(page, [_totals(), _models(), _trends()])


def _totals() -> Row:
    requests = promql.rate("trimtab_predictions_total", "model", shadow="false")
    models = f"count({promql.gauge('trimtab_model_info', 'model')})"
    lost = f"count({promql.performance_margin()} < 0) or vector(0)"
    drifted = f"count({promql.drift_of_limit()} >= 1) or vector(0)"
    stale = f"count({promql.staleness('model')} > 1) or vector(0)"
    alerts = f"sum({promql.firing('model')}) or vector(0)"
    return Row(
        "Now",
        [
            stat(Text("Models", "Models that Trimtab watches.", "none"), Query(models, "models")),
            stat(Text("Alerts", "Firing alerts of all models.", "none"), Query(alerts, "alerts"), bad_from=1),
            stat(
                Text("Lost performance", "Models whose champion is beyond its limit.", "none"),
                Query(lost, "models"),
                bad_from=1,
            ),
            stat(
                Text("Drifting", "Models whose share of drifted features reaches its limit.", "none"),
                Query(drifted, "models"),
                bad_from=1,
            ),
            stat(
                Text("Stale", "Models with a monitor that is silent for twice its interval.", "none"),
                Query(stale, "models"),
                bad_from=1,
            ),
            stat(
                Text("Requests", "Live requests a second to all models.", "reqps"),
                Query(f"sum({requests})", "requests"),
            ),
        ],
    )


def _models() -> Row:
    champion = promql.gauge("trimtab_model_info", "model", "version", stage="champion")
    decision = promql.gauge("trimtab_triage_decision", "model", "action", "why")
    columns: dict[str, tuple[Query, str | None]] = {
        "champion": (Query(champion), None),
        "decision": (Query(decision), None),
        "margin": (Query(promql.performance_margin()), "none"),
        "drift of limit": (Query(promql.drift_of_limit()), "percentunit"),
        "p99 of objective": (Query(promql.latency_of_objective()), "percentunit"),
        "error budget spent": (Query(promql.error_budget_spent()), "percentunit"),
        "staleness": (Query(promql.staleness("model")), "percentunit"),
    }
    text = Text(
        "Models",
        "The champion of each model, and what is to be done about it. Margin is its distance from the "
        "performance limit in the metric's own unit; the others are shares of what is allowed, so 100 % is "
        "the end of it.",
        "none",
    )
    link = ("model", "Open the model's dashboard", _DRILL_DOWN)
    return Row("Models", [rows(text, columns, height=10, link=link)])


def _trends() -> Row:
    asked = "sum by (outcome) (rate(trimtab_receiver_requests_total[$__rate_interval]))"
    requests = promql.rate("trimtab_predictions_total", "model", shadow="false")
    return Row(
        "Trends",
        [
            lines(
                Text(
                    "Performance margin",
                    "Distance of each champion from its limit; below 0 it is lost.",
                    "none",
                ),
                Query(promql.performance_margin(), "{{model}}, {{metric}}"),
                Query("vector(0)", "limit"),
            ),
            lines(
                Text("Drift", "Share of drifted features over the share that alerts.", "percentunit"),
                Query(promql.drift_of_limit(), "{{model}}"),
                Query("vector(1)", "limit"),
            ),
            lines(
                Text("Alerts", "Firing alerts, by model.", "none"),
                Query(promql.or_none(promql.firing("model"), "model"), "{{model}}"),
                stacked=True,
            ),
            lines(
                Text("Requests", "Live requests a second, by model.", "reqps"),
                Query(requests, "{{model}}"),
            ),
            lines(
                Text(
                    "Error ratio", "Share of live requests that the server failed, by model.", "percentunit"
                ),
                Query(promql.error_ratio("model"), "{{model}}"),
            ),
            lines(
                Text("Latency", "99th percentile of latency over the objective, by model.", "percentunit"),
                Query(promql.latency_of_objective(), "{{model}}"),
                Query("vector(1)", "limit"),
            ),
            lines(
                Text(
                    "Retrain requests",
                    "Alerts that asked for a retrain, a second, by what became of them.",
                    "ops",
                ),
                Query(asked, "{{outcome}}"),
            ),
            silence(span=8, height=8),
            cells(
                Text("Paused", "Models whose retrain DAG is paused in Airflow when it is wanted.", "none"),
                Query(
                    promql.or_none(promql.gauge("trimtab_receiver_dag_paused", "model"), "model"), "{{model}}"
                ),
                bad_from=1,
                span=8,
                height=8,
            ),
        ],
    )
