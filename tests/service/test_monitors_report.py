from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from monitors.reports import evidently_workspace, report
from monitors.reports.report import Reporter
from monitors.results.records import Measurement, MonitorName, WindowResult
from monitors.results.store import Store
from spec import Settings, loads

pytestmark = [
    pytest.mark.service,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of what Evidently imports
]
NICEST = 19  # Linux knows no higher niceness
DAY = timedelta(days=1)
START = datetime(2024, 5, 1, tzinfo=UTC)
SPEC = loads("""
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y}}
features: {amount: numeric, gone: numeric, country: categorical, member: boolean}
monitor: {data_drift: {categorical_method: total_variation}}
""")


def frame(rows: int, *, shift: float = 0.0) -> pd.DataFrame:
    """Rows with one column that has no value."""
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "amount": random.normal(shift, 1, rows),
            "gone": np.full(rows, np.nan),
            "country": pd.Series(random.choice(["de", "fr"], rows), dtype="str"),
            "member": pd.Series(random.random(rows) < 0.5, dtype="boolean"),
            "prediction": random.random(rows),
        }
    )


@pytest.fixture(scope="module")
def reporter() -> Iterator[Reporter]:
    """A reporter; importing Evidently takes its process seconds, so all tests use the same."""
    reporter = Reporter()
    yield reporter
    reporter.close()


def test_a_report_is_written_whole_by_a_process_that_gives_way(tmp_path: Path, reporter: Reporter) -> None:
    """The HTML has every column with values, whoever knows its distance; the process is nicer than ours."""
    settings = Settings.from_env({"TRIMTAB_HOME": str(tmp_path)})
    file = report.path(settings, SPEC, "3", datetime(2024, 5, 1, tzinfo=UTC))
    written = reporter.submit(SPEC, frame(3000), frame(300, shift=1.0), file).result(timeout=300)
    assert reporter._pool is not None
    nice = reporter._pool.submit(os.nice, 0).result(timeout=60)

    html = written.read_text("utf-8")
    assert written == tmp_path / "reports" / "shop" / "3" / "2024-05-01T0000Z.html"
    assert [path.name for path in written.parent.iterdir()] == [written.name]
    assert all(name in html for name in ("amount", "country", "member", "prediction"))
    assert nice == min(os.nice(0) + 10, NICEST)


def found(day: int, monitor: MonitorName, *numbers: Measurement) -> WindowResult:
    """What a monitor found on a day."""
    start = START + day * DAY
    return WindowResult("shop", "3", monitor, start, start + DAY, 9, "ok", numbers, start, 0.1, None, "abc")


def settings_with(home: Path, days: int) -> Settings:
    """A home whose results store has some days of drift and rows."""
    settings = Settings.from_env({"TRIMTAB_HOME": str(home)})
    with Store(settings.results_url) as store:
        for day in range(days):
            drift = Measurement("feature_drift_score", day / 10, "amount", "wasserstein", limit=0.5)
            share = Measurement("drifted_features_ratio", 0.25, limit=0.5)
            store.save(found(day, "drift", drift, share))
            store.save(found(day, "quality", Measurement("rows", 100 + day)))
    return settings


@pytest.fixture
def evidently_ui(tmp_path: Path) -> Iterator[str]:
    """Evidently's own server on the workspace of a home in which three days were recorded."""
    settings = settings_with(tmp_path, 3)
    assert 3 == evidently_workspace.record(SPEC, settings, (), make_up=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    workspace = str(evidently_workspace.folder(settings))
    command = [str(Path(sys.executable).with_name("evidently")), "ui", "--workspace", workspace]
    ready = threading.Event()
    with subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)], stderr=subprocess.PIPE, text=True
    ) as server:
        reader = threading.Thread(target=_read, args=(server.stderr, ready))
        reader.start()
        try:
            assert ready.wait(300), "evidently ui does not answer"
            assert server.poll() is None, "evidently ui ended"
            yield f"http://127.0.0.1:{port}/api"
        finally:
            server.terminate()
            reader.join()


def _read(log: Iterable[str], ready: threading.Event) -> None:
    """Read a server's log to its end; `ready` is set once it listens, or has ended."""
    for line in log:
        if "Uvicorn running on" in line:
            ready.set()
    ready.set()


def test_evidently_shows_the_history_of_windows(evidently_ui: str) -> None:
    """Evidently's server lists the model, a run a window, and the distances over time as they were found."""
    (project,) = httpx.get(f"{evidently_ui}/projects").json()
    runs = httpx.get(f"{evidently_ui}/projects/{project['id']}/reports").json()
    wanted = {
        "tags": [],
        "metadata": {},
        "metric": "evidently:metric_v2:ValueDrift",
        "metric_labels": {"column": "amount"},
    }
    answer = httpx.post(
        f"{evidently_ui}/v2/snapshots/{project['id']}/data_series_batch", json={"series_filter": [wanted]}
    )
    (series,) = answer.json()["series"]

    assert (project["name"], len(runs)) == ("shop", 3)
    assert min(run["timestamp"] for run in runs).startswith("2024-05-01T00:00:00")
    assert series["values"] == [0.0, 0.1, 0.2]


def test_a_window_recorded_again_takes_the_place_of_its_snapshot(tmp_path: Path) -> None:
    """Late labels add to a window: it stays one run, now with its performance; the others are left alone."""
    from evidently.ui.workspace import Workspace

    settings = settings_with(tmp_path, 2)
    evidently_workspace.record(SPEC, settings, (), make_up=True)
    with Store(settings.results_url) as store:
        realised = Measurement("performance", 0.81, method="roc_auc", low=0.8, high=0.82, limit=0.7)
        store.save(found(0, "performance", realised))
        store.save(found(0, "estimate", Measurement("estimated_performance", 0.8, method="roc_auc")))

    again = evidently_workspace.record(SPEC, settings, {START}, make_up=True)
    workspace = Workspace(str(evidently_workspace.folder(settings)))
    project = evidently_workspace.project_id("shop")
    run = workspace.get_run(project, evidently_workspace.snapshot_id("shop", "3", START))

    assert (again, len(workspace.list_runs(project))) == (1, 2)
    assert run is not None
    assert {"roc_auc, realised": 0.81, "roc_auc, estimated": 0.8, "Rows": 100.0}.items() <= _values(
        json.loads(run.json())
    ).items()


def test_the_reporter_records_what_was_judged(tmp_path: Path, reporter: Reporter) -> None:
    """It happens in the reporter's process; a model without reports has no part in it."""
    settings = settings_with(tmp_path, 2)
    silent = SPEC.model_copy(update={"monitor": SPEC.monitor.model_copy(update={"report": None})})
    reporter.judged(silent, settings, {START})
    asked = reporter._recording is not None
    reporter.judged(SPEC, settings, {START})
    assert reporter._recording is not None
    written = reporter._recording.result(timeout=300)

    assert (asked, written) == (False, 2)


def test_an_idle_process_ends(tmp_path: Path, reporter: Reporter) -> None:
    """Nothing is left of it once it has been idle for so long, and not before."""
    reporter.submit(SPEC, frame(30), frame(30), tmp_path / "report.html").result(timeout=300)
    reporter.close_if_idle(after_s=3600)
    assert reporter._pool is not None

    reporter.close_if_idle(after_s=0)
    assert reporter._pool is None


def _values(run: dict[str, Any]) -> dict[str, float]:
    return {one["display_name"]: one["value"] for one in run["metric_results"].values() if "value" in one}
