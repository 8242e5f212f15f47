"""All PromQL of a dashboard, ready to be run: what its panels, variables and annotations would ask."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from spec import InputError, Problem, did_you_mean

_VARIABLE = re.compile(r"\$\{(\w+)(?::\w+)?\}|\$(\w+)")
_LABEL_VALUES = re.compile(r"label_values\((?:(?P<series>.+),)?\s*(?P<label>\w+)\)")


def queries(
    dashboard: Mapping[str, Any],
    values: Mapping[str, str] | None = None,
    *,
    rate_interval: str = "1m",
    span: str = "1h",
) -> list[str]:
    """Return every PromQL expression of a dashboard's JSON with its variables replaced, without repeats.

    Parameters
    ----------
    dashboard
        Grafana's JSON, from this room or anywhere.
    values
        Values of variables, such as ``{"model": "flights"}``. Constants bring their own; a variable that
        allows "all" falls back to its pattern for all.
    rate_interval, span
        What ``$__rate_interval`` and ``$__range`` stand for, as PromQL durations.

    Raises
    ------
    InputError
        For every variable that an expression names and nothing gives a value.
    """
    known = _defaults(dashboard) | {"__rate_interval": rate_interval, "__interval": rate_interval}
    known |= {"__range": span} | dict(values or {})
    problems: dict[str, Problem] = {}
    found: dict[str, None] = {}
    for where, expr in expressions(dashboard):
        missing = {name for name in names(expr) if name not in known}
        for name in missing:
            hint = f"Give it in `values`. {did_you_mean(name, known)}"
            problems[name] = Problem(where, "must name variables that have a value", f"${name}", hint)
        if not missing:
            found[substitute(expr, known)] = None
    if problems:
        raise InputError(problems.values())
    return list(found)


def expressions(dashboard: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (place, PromQL with variables) of all panels, annotations and query variables."""
    for panel in panels(dashboard):
        for target in panel.get("targets", []):
            yield f"panel {panel.get('title')!r}, query {target.get('refId')}", target["expr"]
    for annotation in dashboard.get("annotations", {}).get("list", []):
        if annotation.get("expr"):
            yield f"annotation {annotation['name']!r}", annotation["expr"]
    for variable in dashboard.get("templating", {}).get("list", []):
        if variable["type"] == "query":
            match = _LABEL_VALUES.fullmatch(_text(variable["query"]))
            if match is not None and match["series"]:
                yield f"variable {variable['name']!r}", match["series"].strip()


def panels(dashboard: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the panels that show something, those inside collapsed rows included."""
    for panel in dashboard.get("panels", []):
        if panel["type"] == "row":
            yield from panel.get("panels", [])
        else:
            yield panel


def names(expr: str) -> set[str]:
    """Names of the variables of an expression, built-in ones included."""
    return {braced or bare for braced, bare in _VARIABLE.findall(expr)}


def substitute(expr: str, values: Mapping[str, str]) -> str:
    """Replace the variables of an expression."""
    return _VARIABLE.sub(lambda match: values[match[1] or match[2]], expr)


def _defaults(dashboard: Mapping[str, Any]) -> dict[str, str]:
    defaults: dict[str, str] = {}
    for variable in dashboard.get("templating", {}).get("list", []):
        if variable["type"] == "constant":
            defaults[variable["name"]] = _text(variable["query"])
        elif variable.get("includeAll"):
            defaults[variable["name"]] = variable.get("allValue") or ".+"
    return defaults


def _text(query: str | Mapping[str, str]) -> str:
    return query if isinstance(query, str) else query["query"]
