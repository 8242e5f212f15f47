"""The rules of Grafana's dashboard-linter that apply to us, and the layout rules that Grafana lacks.

Left out, with reasons:

- ``template-job-rule``, ``template-instance-rule``, ``target-job-rule``, ``target-instance-rule``: a model is
  chosen, not a job; all our metrics carry the model and a name that is ours alone.
- ``target-promql-rule``: checked in the tests with a parser, and against a real Prometheus.
- ``target-logql-rule``, ``target-logql-auto-rule``, ``panel-datasource-loki``: there are no logs here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import Any

from dashboards import catalogue
from dashboards.queries import expressions, panels
from dashboards.sdk import reread
from spec import Problem, did_you_mean

Dashboard = Mapping[str, Any]
_COLUMNS = 24
_UID_LIMIT = 40
_ON_TIME_RANGE_CHANGE = 2
_COUNTER = re.compile(r"(\w+)?(\(?)\s*\b(\w+_total)\b")
_SELECTOR = re.compile(r"\b(trimtab_\w+|process_\w+|ALERTS|up)\b(?:\{([^}]*)\})?")
_MATCHED = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_RANGE = re.compile(r"\[([^\]:]+)(?::[^\]]*)?\]")


def lint(dashboard: Dashboard) -> list[Problem]:
    """Return everything that is wrong with a dashboard's JSON; an empty list is a clean one."""
    return [problem for rule in RULES for problem in rule(dashboard)]


def template_datasource(dashboard: Dashboard) -> Iterator[Problem]:
    """The datasource is a variable, so that the dashboard works in any Grafana."""
    chosen = [variable for variable in _variables(dashboard) if variable["type"] == "datasource"]
    if [(variable["name"], variable["query"]) for variable in chosen] != [("datasource", "prometheus")]:
        found = ", ".join(variable["name"] for variable in chosen)
        yield Problem("templating", "must have one prometheus variable named datasource", found)


def template_reload(dashboard: Dashboard) -> Iterator[Problem]:
    """Choices follow the time range: a model that is gone today was there last month."""
    for variable in _variables(dashboard):
        if variable["type"] == "query" and variable.get("refresh") != _ON_TIME_RANGE_CHANGE:
            yield Problem(f"variable {variable['name']!r}", "must refresh when the time range changes")


def identity(dashboard: Dashboard) -> Iterator[Problem]:
    """A dashboard keeps its address, says what it is, and is changed in code only."""
    if not re.fullmatch(rf"[a-z0-9_-]{{1,{_UID_LIMIT}}}", str(dashboard.get("uid", ""))):
        yield Problem("uid", f"must be 1 to {_UID_LIMIT} of a-z, 0-9, _ and -", str(dashboard.get("uid")))
    if dashboard.get("editable") is not False:
        yield Problem("editable", "must be false", hint="The next build would overwrite an edit")
    for key in ("title", "description", "tags"):
        if not dashboard.get(key):
            yield Problem(key, "must be given")


def known_keys(dashboard: Dashboard) -> Iterator[Problem]:
    """Grafana's types know every key: what they drop on the way through is misspelt."""
    yield from _lost(dict(dashboard), reread(dict(dashboard)), "dashboard")


def panel_text(dashboard: Dashboard) -> Iterator[Problem]:
    """Every panel says what it shows and in which unit, and asks the chosen datasource for it."""
    for panel in panels(dashboard):
        where = f"panel {panel.get('title')!r}"
        for key in ("title", "description"):
            if not panel.get(key):
                yield Problem(f"{where}: {key}", "must be given")
        if not panel.get("fieldConfig", {}).get("defaults", {}).get("unit"):
            yield Problem(f"{where}: unit", "must be given")
        if not panel.get("targets"):
            yield Problem(f"{where}: targets", "must ask something")
        for asked in (panel, *panel.get("targets", [])):
            if asked.get("datasource", {}).get("uid") != "${datasource}":
                yield Problem(f"{where}: datasource", "must be ${datasource}", str(asked.get("datasource")))


def counters(dashboard: Dashboard) -> Iterator[Problem]:
    """A counter is read as a rate or an increase: its own value restarts with its process."""
    for where, expr in expressions(dashboard):
        for function, bracket, counter in _COUNTER.findall(expr):
            if not bracket or function not in {"rate", "irate", "increase"}:
                yield Problem(where, f"must read {counter} in rate or increase", expr)


def known_metrics(dashboard: Dashboard) -> Iterator[Problem]:
    """A panel names metrics and labels that exist: a renamed one would show as an empty panel."""
    for where, expr in expressions(dashboard):
        for series, matchers in _SELECTOR.findall(expr):
            metric = catalogue.find(series)
            if metric is None:
                hint = did_you_mean(series, catalogue.CATALOGUE)
                yield Problem(where, "must name metrics of the catalogue", series, hint)
                continue
            labels = {*metric.labels, *catalogue.TARGET_LABELS}
            for label in set(_MATCHED.findall(matchers)) - labels:
                yield Problem(
                    f"{where}, {series}", "must name labels it has", label, did_you_mean(label, labels)
                )


def rate_interval(dashboard: Dashboard) -> Iterator[Problem]:
    """A range fits the scrape interval and the zoom; a literal one fits neither."""
    for where, expr in expressions(dashboard):
        for window in _RANGE.findall(expr):
            if window not in {"$__rate_interval", "$__range"}:
                yield Problem(where, "must use $__rate_interval or $__range", f"[{window}]")


def layout(dashboard: Dashboard) -> Iterator[Problem]:
    """Panels stand inside the 24 columns, on ids of their own, and on top of nobody."""
    every = list(dashboard.get("panels", []))
    if len({panel.get("id") for panel in every}) != len(every) or any(not panel.get("id") for panel in every):
        yield Problem("panels", "must have ids of their own, from 1")
    for panel in every:
        box = panel["gridPos"]
        if box["x"] < 0 or box["w"] < 1 or box["h"] < 1 or box["x"] + box["w"] > _COLUMNS:
            yield Problem(f"panel {panel.get('title')!r}", f"must stand inside {_COLUMNS} columns", str(box))
    for one, other in combinations(every, 2):
        if _overlap(one["gridPos"], other["gridPos"]):
            where = f"panels {one.get('title')!r} and {other.get('title')!r}"
            yield Problem(where, "must not overlap", f"{one['gridPos']} and {other['gridPos']}")


RULES: tuple[Callable[[Dashboard], Iterator[Problem]], ...] = (
    template_datasource,
    template_reload,
    identity,
    known_keys,
    panel_text,
    counters,
    known_metrics,
    rate_interval,
    layout,
)


def _variables(dashboard: Dashboard) -> list[Mapping[str, Any]]:
    return list(dashboard.get("templating", {}).get("list", []))


def _lost(given: object, read: object, where: str) -> Iterator[Problem]:
    if isinstance(given, dict) and isinstance(read, dict):
        for key in given:
            yield from _lost(given[key], read.get(key), f"{where}.{key}")
    elif isinstance(given, list) and isinstance(read, list) and len(given) == len(read):
        for index, (one, other) in enumerate(zip(given, read, strict=True)):
            yield from _lost(one, other, f"{where}[{index}]")
    elif given != read:
        yield Problem(where, "must be what Grafana's schema knows", repr(given))


def _overlap(one: Mapping[str, int], other: Mapping[str, int]) -> bool:
    beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    return not (beside or above)
