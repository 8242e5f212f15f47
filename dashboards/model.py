"""The dashboard of one model: fixed to a spec's model, or with a choice of all the models there are."""

from __future__ import annotations

from dashboards import crowding, decision, frame, harm, health, operations, promql, state, traffic
from dashboards.frame import Surroundings
from dashboards.sdk import Json, build
from spec import ModelSpec, format_duration


def dashboard(spec: ModelSpec | None = None, surroundings: Surroundings | None = None) -> Json:
    """Return Grafana's JSON of a model's dashboard.

    Parameters
    ----------
    spec
        The model; None for one dashboard with a `model` variable, which needs no spec at all.
    surroundings
        Where Airflow and MLflow are, and the time range it opens with.
    """
    surroundings = surroundings or Surroundings()
    page = _page(spec, surroundings)
    _variables(page, spec)
    frame.annotate(page)
    _links(page)
    rows = [
        decision.decision(),
        state.now(),
        health.performance(),
        harm.concept(),
        harm.groups(),
        traffic.rollout(),
        health.drift(),
        health.quality(),
        traffic.latency(),
        traffic.errors(),
        crowding.crowding(),
        operations.queueing(),
        operations.anomalies(),
        traffic.resources(),
        operations.cost(),
        state.monitoring(),
    ]
    return frame.finish(page, rows)


def _page(spec: ModelSpec | None, surroundings: Surroundings) -> build.Dashboard:
    if spec is None:
        what = "One model: its versions, performance, drift, data, latency, errors and cost."
        return frame.start("Trimtab / model", frame.ANY_MODEL_UID, what, surroundings)
    what = (
        f"{spec.model}: {spec.task} model, {len(spec.features)} features, "
        f"windows of {format_duration(spec.monitor.window)}."
    )
    return frame.start(f"Trimtab / {spec.model}", frame.uid(spec.model), what, surroundings)


def _variables(page: build.Dashboard, spec: ModelSpec | None) -> None:
    if spec is None:
        page.with_variable(frame.choice("model", "Model", "label_values(trimtab_model_info, model)"))
        metrics = f"label_values({promql.pick('trimtab_model_performance')}, metric)"
        page.with_variable(frame.choice("metric", "Metric", metrics))
    else:
        page.with_variable(frame.constant("model", spec.model))
        page.with_variable(frame.constant("metric", spec.performance_metric.value))


def _links(page: build.Dashboard) -> None:
    frame.external(page, "Retrains", "${airflow}/dags/retrain_${model}", "The retraining runs in Airflow")
    frame.external(page, "Rollouts", "${airflow}/dags/rollout_${model}", "The rollouts in Airflow")
    frame.external(page, "Versions", "${mlflow}/#/models/${model}", "The model's versions in MLflow")
