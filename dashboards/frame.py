"""What every dashboard has around its panels: uid, variables, annotations, links; and its JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboards import promql
from dashboards.panels import DATASOURCE, Panel
from dashboards.sdk import Json, build, dashboard, encoded, prometheus

TAG = "trimtab"
OVERVIEW_UID = "trimtab-all-models"
ANY_MODEL_UID = "trimtab-any-model"
_UID_LIMIT = 40  # Grafana's


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a dashboard links to, and the time range it opens with.

    The defaults of the URLs are those of `Settings.from_env`. `since` is a Grafana time such as ``now-30d``.
    """

    airflow_url: str = "http://127.0.0.1:21088"
    mlflow_url: str = "http://127.0.0.1:21050"
    since: str = "now-7d"
    refresh: str = "1m"


@dataclass(frozen=True, slots=True)
class Row:
    """A titled group of panels, laid out from the left in 24 columns."""

    title: str
    panels: Sequence[Panel]


def uid(model: str) -> str:
    """Return the stable uid of a model's own dashboard, at most 40 characters."""
    plain = f"trimtab-{model}"
    if len(plain) <= _UID_LIMIT:
        return plain
    digest = hashlib.sha256(model.encode()).hexdigest()[:8]
    return f"{plain[: _UID_LIMIT - 9]}-{digest}"


def start(title: str, uid: str, description: str, surroundings: Surroundings) -> build.Dashboard:
    """Begin a dashboard: read-only, UTC, shared crosshair, the datasource variable and the two URLs."""
    page = build.Dashboard(title).uid(uid).description(description).tags([TAG]).readonly().timezone("utc")
    page.time(surroundings.since, "now").refresh(surroundings.refresh)
    page.tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
    page.with_variable(
        build.DatasourceVariable("datasource").label("Data source").type("prometheus").regex("")
    )
    for variable, url in (("airflow", surroundings.airflow_url), ("mlflow", surroundings.mlflow_url)):
        page.with_variable(constant(variable, url))
    everything = build.DashboardLink("All Trimtab dashboards").type(dashboard.DashboardLinkType.DASHBOARDS)
    return page.link(everything.tags([TAG]).as_dropdown(as_dropdown=True).keep_time(keep_time=True))


def constant(variable: str, value: str) -> build.ConstantVariable:
    """Return a hidden variable with one value."""
    return build.ConstantVariable(variable).value(value)


def choice(variable: str, label: str, query: str, *, several: bool = False) -> build.QueryVariable:
    """Return a variable whose values come from Prometheus; `several` allows more than one, and all."""
    chosen = build.QueryVariable(variable).label(label).query({"query": query, "refId": variable})
    chosen.definition(query).datasource(DATASOURCE).sort(dashboard.VariableSort.ALPHABETICAL_ASC)
    chosen.refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED).multi(several).include_all(several)
    if not several:
        return chosen
    everything = dashboard.VariableOption(selected=True, text=["All"], value=["$__all"])
    return chosen.all_value(".+").current(everything)


def annotate(page: build.Dashboard) -> None:
    """Mark retrains, rollouts and critical alerts in every panel."""
    for title, metric, colour in (
        ("Retrains", "trimtab_retraining_runs_total", "blue"),
        ("Rollouts", "trimtab_rollouts_total", "purple"),
    ):
        happened = promql.increase(metric, "model", "outcome", over="$__rate_interval")
        page.annotation(_annotation(title, f"{happened} > 0", "{{model}} {{outcome}}", colour))
    critical = promql.firing("model", "alertname", severity="critical")
    page.annotation(_annotation("Critical alerts", critical, "{{model}} {{alertname}}", "red"))


def external(page: build.Dashboard, title: str, url: str, tooltip: str) -> None:
    """Add a link to another program; `url` may name variables."""
    link = build.DashboardLink(title).type(dashboard.DashboardLinkType.LINK).url(url).tooltip(tooltip)
    page.link(link.icon("external link").target_blank(target_blank=True))


def finish(page: build.Dashboard, rows: Sequence[Row]) -> Json:
    """Lay the rows out, number the panels, and return Grafana's JSON."""
    for row in rows:
        page.with_row(build.Row(row.title))
        for panel in row.panels:
            page.with_panel(panel)
    model = page.build()
    for number, built in enumerate(model.panels or [], start=1):
        built.id_val = number
    return encoded(model)


def text(dashboard_json: Mapping[str, Any]) -> str:
    """Return the JSON as it is written to files: indented, and the same on every machine."""
    return json.dumps(dashboard_json, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _annotation(title: str, expr: str, label: str, colour: str) -> build.AnnotationQuery:
    target = prometheus.Dataquery().expr(expr).ref_id("Anno").datasource(DATASOURCE).range()
    query = build.AnnotationQuery().name(title).datasource(DATASOURCE).enable(enable=True)
    query.icon_color(colour).expr(expr).title_format(title).text_format(label).target(target)
    return query
