"""Panels: each function makes one kind, and asks for all that a reader needs (title, description, unit).

A series whose legend starts with ``limit`` is drawn as a dashed red line: thresholds are metrics too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from dashboards.sdk import (
    PromQueryFormat,
    build,
    build_common,
    build_stat,
    build_table,
    common,
    dashboard,
    heatmap,
    heatmap_model,
    prometheus,
    statetimeline,
    statushistory,
    timeseries,
)

DATASOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
LIMIT = "limit"
RED, ORANGE, GREEN, BLUE = "red", "orange", "green", "blue"

Panel = (
    timeseries.Panel
    | build_stat.Panel
    | build_table.Panel
    | statetimeline.Panel
    | statushistory.Panel
    | heatmap.Panel
)
_P = TypeVar(
    "_P",
    timeseries.Panel,
    build_stat.Panel,
    build_table.Panel,
    statetimeline.Panel,
    statushistory.Panel,
    heatmap.Panel,
)


@dataclass(frozen=True, slots=True)
class Text:
    """What a panel says about itself: its title, a sentence or two, and the Grafana unit of its values."""

    title: str
    description: str
    unit: str


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression of a panel, and the name of its series (``{{label}}`` is replaced)."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Bounds:
    """A value and the bounds of its interval, in one colour; the legends are series names of the panel."""

    value: Query
    low: Query
    high: Query
    colour: str


def lines(
    text: Text, *queries: Query, span: int = 8, stacked: bool = False, top: float | None = None
) -> Panel:
    """Return values over time; `top` fixes the axis to [0, top]."""
    panel = _dressed(timeseries.Panel(), text, span, 8).line_width(1).axis_soft_min(0)
    panel.show_points(common.VisibilityMode.AUTO).tooltip(
        build_common.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI)
    )
    if stacked:
        panel.fill_opacity(40).stacking(build_common.StackingConfig().mode(common.StackingMode.NORMAL))
    if top is not None:
        panel.min(0).max(top)
    return _asking(panel.override_by_regexp(f"/^{LIMIT}/", _dashed()), queries)


def bands(text: Text, *shown: Bounds, limit: Query | None = None, span: int = 12) -> Panel:
    """Return values over time, each inside its confidence band, and the limit that they must keep."""
    panel = _dressed(timeseries.Panel(), text, span, 8).line_width(2)
    panel.show_points(common.VisibilityMode.AUTO)
    for one in shown:
        colour = dashboard.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": one.colour})
        edge = [colour, dashboard.DynamicConfigValue("custom.lineWidth", 0)]
        fill = [
            dashboard.DynamicConfigValue("custom.fillBelowTo", one.low.legend),
            dashboard.DynamicConfigValue("custom.fillOpacity", 20),
        ]
        panel.override_by_name(one.value.legend, [colour])
        panel.override_by_name(one.low.legend, edge).override_by_name(one.high.legend, edge + fill)
    panel.override_by_regexp(f"/^{LIMIT}/", _dashed())
    queries = [query for one in shown for query in (one.value, one.low, one.high)]
    return _asking(panel, queries if limit is None else [*queries, limit])


def stat(
    text: Text,
    query: Query,
    span: int = 4,
    *,
    bad_from: float | None = None,
    bad_below: float | None = None,
) -> Panel:
    """Return the newest number of each series, red from `bad_from` on or below `bad_below`."""
    panel = _number(text, span).text_mode(common.BigValueTextMode.AUTO)
    steps = [dashboard.Threshold(None, GREEN)]
    if bad_from is not None:
        steps.append(dashboard.Threshold(bad_from, RED))
    if bad_below is not None:
        steps = [dashboard.Threshold(None, RED), dashboard.Threshold(bad_below, GREEN)]
    return _asking(panel.thresholds(_absolute(steps)), (query,), instant=True)


def name(text: Text, query: Query, span: int = 4) -> Panel:
    """Return the legend of the newest series, large: the name of a version, say."""
    panel = _number(text, span).text_mode(common.BigValueTextMode.NAME)
    panel.thresholds(_absolute([dashboard.Threshold(None, BLUE)]))
    return _asking(panel, (query,), instant=True)


def timeline(
    text: Text, query: Query, *, colours: Mapping[str, str], span: int = 24, height: int = 5
) -> Panel:
    """Return states over time, one lane a series; `colours` maps a value to its colour."""
    panel = _dressed(statetimeline.Panel(), text, span, height).merge_values(merge_values=True)
    results = {value: dashboard.ValueMappingResult(color=colour) for value, colour in colours.items()}
    panel.mappings([dashboard.ValueMap(results)]).show_value(common.VisibilityMode.NEVER)
    panel.legend(build_common.VizLegendOptions().show_legend(show_legend=False))
    return _asking(panel, (query,))


def cells(text: Text, *queries: Query, bad_from: float, span: int = 12, height: int = 10) -> Panel:
    """Return one lane of coloured cells a series: green, orange from half of `bad_from`, then red."""
    levels = [(None, GREEN), (bad_from / 2, ORANGE), (bad_from, RED)]
    panel = _dressed(statushistory.Panel(), text, span, height).max_data_points(100)
    panel.thresholds(_absolute([dashboard.Threshold(value, colour) for value, colour in levels]))
    panel.color_scheme(build.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS))
    panel.show_value(common.VisibilityMode.NEVER)
    panel.legend(build_common.VizLegendOptions().show_legend(show_legend=False))
    return _asking(panel, queries)


def heat(text: Text, query: Query, span: int = 8) -> Panel:
    """Return the distribution of a classic histogram over time; the unit is that of its buckets."""
    colour = heatmap.HeatmapColorOptions().mode(heatmap_model.HeatmapColorMode.SCHEME).scheme("Oranges")
    panel = _dressed(heatmap.Panel(), text, span, 8).calculate(calculate=False).color(colour.steps(32))
    panel.y_axis(heatmap.YAxisConfig().unit(text.unit))
    return _asking(panel, (query,), form=PromQueryFormat.HEATMAP)


def rows(
    text: Text,
    columns: Mapping[str, tuple[Query, str | None]],
    *,
    span: int = 24,
    height: int = 8,
    link: tuple[str, str, str] | None = None,
) -> Panel:
    """Return a table of the newest values: one row a label set, one column a query with its unit.

    A unit of None hides the value: the query is there for its labels. `link` is (column, title, URL).
    """
    panel = _dressed(build_table.Panel(), text, span, height)
    values = {f"Value #{_ref(index)}": column for index, column in enumerate(columns)}
    hidden = {"Time": True} | {value: True for value, column in values.items() if columns[column][1] is None}
    panel.with_transformation(dashboard.DataTransformerConfig(id_val="merge", options={}))
    organize = {"excludeByName": hidden, "renameByName": values}
    panel.with_transformation(dashboard.DataTransformerConfig(id_val="organize", options=organize))
    for column, (_, unit) in columns.items():
        if unit is not None:
            panel.override_by_name(column, [dashboard.DynamicConfigValue("unit", unit)])
    if link is not None:
        column, title, url = link
        links = [{"title": title, "url": url, "targetBlank": False}]
        panel.override_by_name(column, [dashboard.DynamicConfigValue("links", links)])
    queries = [query for query, _ in columns.values()]
    return _asking(panel, queries, instant=True, form=PromQueryFormat.TABLE)


def _number(text: Text, span: int) -> build_stat.Panel:
    panel = _dressed(build_stat.Panel(), text, span, 4).graph_mode(common.BigValueGraphMode.NONE)
    panel.reduce_options(build_common.ReduceDataOptions().calcs(["lastNotNull"]))
    return panel.no_value("no data")


def _dressed(panel: _P, text: Text, span: int, height: int) -> _P:
    panel.title(text.title).description(text.description).unit(text.unit)
    return panel.datasource(DATASOURCE).span(span).height(height)


def _asking(
    panel: _P,
    queries: Iterable[Query],
    *,
    instant: bool = False,
    form: PromQueryFormat = PromQueryFormat.TIME_SERIES,
) -> _P:
    for index, query in enumerate(queries):
        target = (
            prometheus.Dataquery().expr(query.expr).ref_id(_ref(index)).datasource(DATASOURCE).format(form)
        )
        target.legend_format(query.legend)
        panel.with_target(target.instant() if instant else target.range())
    return panel


def _ref(index: int) -> str:
    return chr(ord("A") + index)


def _absolute(steps: list[dashboard.Threshold]) -> build.ThresholdsConfig:
    return build.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps)


def _dashed() -> list[dashboard.DynamicConfigValue]:
    return [
        dashboard.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": RED}),
        dashboard.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 6]}),
        dashboard.DynamicConfigValue("custom.lineWidth", 2),
        dashboard.DynamicConfigValue("custom.fillOpacity", 0),
        dashboard.DynamicConfigValue("custom.stacking", {"mode": "none", "group": "A"}),
    ]
