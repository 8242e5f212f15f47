"""Windows in an Evidently workspace: ``evidently ui --workspace <home>/evidently`` shows their history.

A snapshot holds what the monitors have found, under the names of Evidently's own metrics. No row is read for
it, so it costs milliseconds where Evidently's report of the same window takes seconds. Evidently itself takes
seconds to import: call this in the reporter's process.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from monitors.reference_profile import PREDICTION
from monitors.results.records import Measurement, WindowResult
from monitors.results.store import Store
from spec import ModelSpec, PerformanceMetric, Settings, Task

if TYPE_CHECKING:
    from evidently.core.metric_types import Metric, MetricResult
    from evidently.core.serialization import SnapshotModel
    from evidently.legacy.model.widget import BaseWidgetInfo
    from evidently.sdk.models import DashboardPanelPlot
    from evidently.ui.workspace import Workspace

REALISED, ESTIMATED = "realised", "estimated"
_BACK = 400  # windows that a first look makes up for
_TICK = timedelta(microseconds=1)
_CLASSES = {
    PerformanceMetric.ROC_AUC: "RocAuc",
    PerformanceMetric.ACCURACY: "Accuracy",
    PerformanceMetric.F1: "F1Score",
    PerformanceMetric.PRECISION: "Precision",
    PerformanceMetric.RECALL: "Recall",
    PerformanceMetric.LOG_LOSS: "LogLoss",
    PerformanceMetric.R2: "R2Score",
    PerformanceMetric.RMSE: "RMSE",
    PerformanceMetric.MAE: "MAE",
    PerformanceMetric.MAPE: "MAPE",
}
"""Evidently's class of each metric that it has."""
_COLUMNS = ("monitor", "measured", "of", "method", "value", "low", "high", "limit", "rows", "words")


def folder(settings: Settings) -> Path:
    """Return the workspace of a home."""
    return settings.home / "evidently"


def project_id(model: str) -> uuid.UUID:
    """Return the id of a model's project; the same in every home."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"trimtab/{model}")


def snapshot_id(model: str, version: str, start: datetime) -> uuid.UUID:
    """Return the id of a window's snapshot, so that what is recorded again takes its place."""
    return uuid.uuid5(project_id(model), f"{version}/{start.isoformat()}")


def record(spec: ModelSpec, settings: Settings, starts: Collection[datetime], *, make_up: bool) -> int:
    """Write what is known of some windows to the workspace; return the number of snapshots written.

    Parameters
    ----------
    starts
        Starts of the windows.
    make_up
        Whether to write those of the newest 400 too that the workspace does not have.
    """
    from evidently.ui.workspace import Workspace

    workspace = Workspace.create(str(folder(settings)))
    project = project_id(spec.model)
    if workspace.get_project(project) is None:
        _begin(workspace, spec)
    snapshots = folder(settings) / str(project) / "snapshots"
    snapshots.mkdir(exist_ok=True)
    written = 0
    for (start, version), found in groupby(_results(spec, settings, starts, make_up=make_up), key=_where):
        file = snapshots / f"{snapshot_id(spec.model, version, start)}.json"
        if start in starts or (make_up and not file.exists()):
            _write(file, _snapshot(spec, tuple(found)))
            written += 1
    return written


def _results(
    spec: ModelSpec, settings: Settings, starts: Collection[datetime], *, make_up: bool
) -> list[WindowResult]:
    """Return all results of the windows, and of those between them, by window and version."""
    with Store(settings.results_url) as store:
        known = [result.start for result in store.latest(spec.model)] if make_up else []
        first = [max(known) - _BACK * spec.monitor.window] if known else []
        if not (wanted := [*starts, *known]):
            return []
        found = store.history(spec.model, start=min([*starts, *first]), end=max(wanted) + _TICK)
    return sorted(found, key=_where)


def _where(result: WindowResult) -> tuple[datetime, str]:
    return result.start, result.version


def _begin(workspace: Workspace, spec: ModelSpec) -> None:
    """Make the model's project and its dashboard, which people may change afterwards."""
    from evidently.sdk.models import ProjectModel

    text = "What Trimtab's monitors found in each window."
    model = ProjectModel(id=project_id(spec.model), name=spec.model, description=text)
    project = workspace.add_project(model)
    for panel in _panels(spec):
        project.dashboard.add_panel(panel)


def _panels(spec: ModelSpec) -> Iterator[DashboardPanelPlot]:
    from evidently.sdk.models import PanelMetric
    from evidently.sdk.panels import line_plot_panel

    name = _CLASSES.get(spec.performance_metric)
    if name is not None:
        legend = f"{{{{{_kind(spec)}}}}}"
        yield line_plot_panel(str(spec.performance_metric), [PanelMetric(metric=name, legend=legend)])
    share = PanelMetric(
        metric="DriftedColumnsCount", metric_labels={"value_type": "share"}, legend="of the features"
    )
    drift = PanelMetric(metric="ValueDrift", legend="{{column}}")
    yield line_plot_panel("Share of drifted features", [share])
    yield line_plot_panel("Drift of each feature and of the predictions", [drift])
    yield line_plot_panel("Rows", [PanelMetric(metric="RowCount", legend="rows")])


def _snapshot(spec: ModelSpec, results: Sequence[WindowResult]) -> SnapshotModel:
    from evidently.core.serialization import ReportModel, SnapshotModel

    first = results[0]
    metrics = dict(_metrics(spec, results))
    return SnapshotModel(
        report=ReportModel(items=[]),
        name=f"{first.start:%Y-%m-%d %H:%M} – {first.end:%Y-%m-%d %H:%M}, version {first.version}",
        timestamp=first.start,
        metadata={"version": first.version},
        tags=[f"version {first.version}", *(f"{r.monitor}: {r.status}" for r in results)],
        metric_results=metrics,
        top_level_metrics=list(metrics),
        widgets=[_table(results)],
        tests_widgets=[],
    )


def _metrics(spec: ModelSpec, results: Iterable[WindowResult]) -> Iterator[tuple[str, MetricResult]]:
    """Yield the numbers that Evidently has a name for, by the id of its metric."""
    from evidently.metrics import DriftedColumnsCount, RowCount, ValueDrift

    for number in (number for result in results for number in result.measurements):
        match number.name:
            case "rows":
                yield _single(RowCount(), "Rows", number.value)
            case "feature_drift_score" | "prediction_drift_score":
                column = number.feature or PREDICTION
                yield _single(
                    ValueDrift(column=column, method=number.method), f"Drift of {column}", number.value
                )
            case "drifted_features_ratio":
                metric = DriftedColumnsCount(drift_share=number.limit or spec.monitor.data_drift.share)
                yield _share(metric, "Drifted features", number.value, len(spec.compared))
            case "performance":
                yield from _performance(spec, number, REALISED)
            case "estimated_performance":
                yield from _performance(spec, number, ESTIMATED)


def _performance(spec: ModelSpec, number: Measurement, how: str) -> Iterator[tuple[str, MetricResult]]:
    from evidently import metrics

    metric = PerformanceMetric(number.method or "")
    if metric in _CLASSES:
        made = getattr(metrics, _CLASSES[metric])(**{_kind(spec): how})
        yield _single(made, f"{metric}, {how}", number.value)


def _kind(spec: ModelSpec) -> str:
    return "regression_name" if spec.task is Task.REGRESSION else "classification_name"


def _single(metric: Metric, title: str, value: float) -> tuple[str, MetricResult]:
    from evidently.core.metric_types import SingleValue

    return _placed(metric, SingleValue(display_name=title, value=value))


def _share(metric: Metric, title: str, share: float, of: int) -> tuple[str, MetricResult]:
    from evidently.core.metric_types import CountValue, SingleValue

    count, part = (SingleValue(display_name=title, value=value) for value in (round(share * of), share))
    return _placed(metric, CountValue(display_name=title, count=count, share=part))


def _placed(metric: Metric, result: MetricResult) -> tuple[str, MetricResult]:
    result.set_metric_location(metric.to_calculation().to_metric_config())
    return metric.metric_id, result


def _table(results: Iterable[WindowResult]) -> BaseWidgetInfo:
    from evidently.legacy.renderers.html_widgets import table_data

    rows = [
        [result.monitor, n.name, n.feature, n.method, n.value, n.low, n.high, n.limit, n.n, n.text]
        for result in sorted(results, key=lambda result: result.monitor != "triage")
        for n in result.measurements
    ]
    told = [[_cell(value) for value in row] for row in rows]
    return table_data(title="What the monitors found", column_names=_COLUMNS, data=told)


def _cell(value: object) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _write(file: Path, snapshot: SnapshotModel) -> None:
    """Put a snapshot in its place, whole."""
    draft = file.with_name(f"draft-{file.name}")
    draft.write_text(snapshot.json(), "utf-8")
    os.replace(draft, file)
