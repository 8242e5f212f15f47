from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sqlalchemy import delete

from monitors import delta, inference_log, job, labels, recall, references
from monitors.job import ModelJob
from monitors.ledger import HORIZON
from monitors.records import MonitorName, WindowResult
from monitors.report import Reporter
from monitors.results import Store
from monitors.results_tables import profiles
from spec import ModelSpec, Settings, loads, set_clock
from spec.tables import log_columns

SPEC = """
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y, delay: 1d}}
features: {amount: numeric, country: categorical}
monitor:
  report: null
  data_drift: {effect: 0.5, share: 0.5, over: 2}
  performance: {over: 3, min_labels: 100}
"""
DAY = timedelta(days=1)
START = datetime(2024, 5, 1, tzinfo=UTC)
ROWS = 120


class Shop:
    """A shop's model in a replay: a folder, a clock, a log that the test writes, and one daemon's job."""

    def __init__(self, home: Path) -> None:
        self.spec: ModelSpec = loads(SPEC)
        self.clock = home / "clock"
        set_clock(self.clock, START)
        self.settings = Settings.from_env({"TRIMTAB_HOME": str(home), "TRIMTAB_CLOCK": str(self.clock)})
        self.store = Store(self.settings.results_url)
        self.reporter = Reporter()
        self.daemon = self.new_daemon()
        self._written = 0

    def new_daemon(self) -> ModelJob:
        """A daemon that has seen nothing, on the same home."""
        return ModelJob(self.spec, self.settings, self.store, self.reporter, settle_s=0)

    def publish(self, version: str, *, mean: float = 100.0) -> None:
        """Publish the reference of a version that was trained on amounts around `mean`."""
        random = np.random.default_rng(0)
        rows = pd.DataFrame(
            {
                "amount": random.normal(mean, 10, 1000),
                "country": random.choice(["de", "fr"], 1000),
                "prediction": random.random(1000),
            }
        )
        band = {"value": 0.82, "low": 0.78, "high": 0.86}
        references.publish(
            self.spec,
            self.settings,
            version,
            rows,
            importances={},
            performance={"roc_auc": band},
            window=(START - DAY, START),
        )

    def serve(self, day: int, *, rows: int = ROWS, version: str = "1", mean: float = 100.0) -> list[str]:
        """Write a day of the log and return the ids."""
        random = np.random.default_rng(day)
        self._written += 1
        ids = [f"{self._written}-{row}" for row in range(rows)]
        times = [START + day * DAY + row * DAY / rows for row in range(rows)]
        scores = random.random(rows)
        columns = {
            "row_id": ids,
            "prediction_id": ids,
            "event_time": times,
            "event_date": [f"{time:%Y-%m-%d}" for time in times],
            "logged_at": [self.settings.clock.now()] * rows,
            "version": [version] * rows,
            "slot": ["blue"] * rows,
            "shadow": [False] * rows,
            "latency_ms": random.gamma(2.0, 1.0, rows),
            "scores": [[score] for score in scores],
            "f_amount": random.normal(mean, 10, rows),
            "f_country": random.choice(["de", "fr"], rows),
        }
        schema = delta.schema_of(log_columns(self.spec))
        table = pa.table({name: pa.array(columns[name], schema.field(name).type) for name in schema.names})
        location = self.settings.location(self.spec.data.inference_log)
        delta.append(location, table, partition_by=["event_date"])
        self.scores = dict(zip(ids, scores, strict=True))
        return ids

    def label(self, ids: Sequence[str]) -> None:
        """Append the truth of predictions of the last `serve`: as likely as the model says."""
        random = np.random.default_rng(1)
        truth = [bool(random.random() < self.scores[key]) for key in ids]
        labels.append(self.spec, self.settings, pd.DataFrame({"id": ids, "y": truth}))

    def tick(self, at: timedelta) -> bool:
        """Move the clock to a time after the start and let the daemon work."""
        set_clock(self.clock, START + at)
        self.settings.clock._read_at = float("-inf")
        return self.daemon.tick(0.0, threading.Event())

    def results(self, monitor: MonitorName, version: str = "1") -> list[WindowResult]:
        """What the store has, by window."""
        return list(self.store.history("shop", monitor, version))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop with version 1 and its reference."""
    shop = Shop(tmp_path)
    shop.publish("1")
    return shop


def value(result: WindowResult, name: str) -> float:
    """The value of a measurement of a result."""
    return next(measurement.value for measurement in result.measurements if measurement.name == name)


def test_a_window_is_computed_when_it_has_closed_and_not_before(shop: Shop) -> None:
    """A second before its end nothing is known of a day; at its end drift, quality and latency are."""
    shop.serve(0)

    shop.tick(DAY - timedelta(seconds=1))
    before = shop.results("quality")
    shop.tick(DAY)

    assert before == []
    assert [(r.start, r.end, r.rows) for r in shop.results("quality")] == [(START, START + DAY, ROWS)]
    assert [(r.status, r.reason, r.revision) for r in shop.results("drift")] == [("ok", "first", 1)]
    assert [r.status for r in shop.results("latency")] == ["ok"]
    assert shop.results("performance") == []


def test_performance_waits_until_the_labels_are_due(shop: Shop) -> None:
    """Performance is computed one label delay after the window's end, with the labels known by then."""
    shop.label(shop.serve(0))

    shop.tick(2 * DAY - timedelta(seconds=1))
    before = shop.results("performance")
    shop.tick(2 * DAY)
    (after,) = shop.results("performance")

    assert before == []
    assert (after.status, after.rows) == ("ok", ROWS)
    assert value(after, "labels_available_ratio") == 1.0
    assert value(after, "labels_unmatched") == 0.0


def test_a_result_can_be_traced(shop: Shop) -> None:
    """A result names the model, the version, the reference, the time of its making and the code."""
    shop.serve(0)
    shop.tick(DAY)

    (result,) = shop.results("drift")

    assert (result.model, result.version, result.computed_at) == ("shop", "1", START + DAY)
    assert result.reference == f"shop/1@{START.isoformat()}"
    assert result.code_revision
    assert result.duration_s > 0


def test_late_rows_recompute_the_window_and_those_that_pool_it(shop: Shop) -> None:
    """Rows of a computed day change it and the next day's pooled drift, once, with reason and revision."""
    shop.serve(0)
    shop.serve(1)
    shop.tick(2 * DAY)
    shop.serve(0, rows=30)

    shop.tick(3 * DAY)
    quality, drift = shop.results("quality"), shop.results("drift")

    assert [(r.rows, r.reason, r.revision) for r in quality[:2]] == [(150, "late rows", 2), (120, "first", 1)]
    assert [(r.rows, r.reason, r.revision) for r in drift[:2]] == [
        (150, "late rows", 2),
        (270, "late rows", 2),
    ]
    assert not shop.tick(3 * DAY)


def test_drift_reads_no_row_twice(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a window is counted, later lookbacks add its profile up; its rows are not asked for again."""
    spans: list[tuple[datetime, datetime]] = []
    read = inference_log.read

    def watched(
        spec: ModelSpec, settings: Settings, start: datetime, end: datetime, *, columns: Sequence[str]
    ) -> pa.Table:
        if "latency_ms" in columns:  # the labels' side has its own look at the log
            spans.append((start, end))
        return read(spec, settings, start, end, columns=columns)

    monkeypatch.setattr("monitors.answered.inference_log.read", watched)
    for day in range(3):
        shop.serve(day)
        shop.tick((day + 1) * DAY)

    assert [(START + day * DAY, START + (day + 1) * DAY) for day in range(3)] == spans
    assert [120, 240, 240] == [result.rows for result in shop.results("drift")]


def test_what_was_not_counted_is_counted_when_a_lookback_needs_it(shop: Shop) -> None:
    """Profiles that are gone are made again from the rows."""
    for day in range(2):
        shop.serve(day)
        shop.tick((day + 1) * DAY)
    shop.store._database.write(lambda connection: connection.execute(delete(profiles)))
    shop.serve(2)

    shop.tick(3 * DAY)

    assert 240 == shop.results("drift")[2].rows


def test_persistence_waits_for_the_second_window(shop: Shop) -> None:
    """With `2 of 2` a day that drifts is no alarm, the next one is; the first says so in its numbers."""
    shop.spec = loads(SPEC.replace("share: 0.5", "share: 0.5, persistence: 2 of 2"))
    shop.daemon = shop.new_daemon()
    for day in range(2):
        shop.serve(day, mean=200.0)
        shop.tick((day + 1) * DAY)

    first, second = shop.results("drift")

    assert ("ok", 0.0, "alarm", 0.5) == (
        first.status,
        value(first, "drifted_features_ratio"),
        second.status,
        value(second, "drifted_features_ratio"),
    )
    assert 1.0 == value(first, "feature_drift_lookback")


def test_labels_that_trickle_in_cost_one_recomputation_a_window_length(shop: Shop) -> None:
    """However often labels arrive, performance is computed again at most once a window length."""
    ids = shop.serve(0)
    shop.label(ids[:100])
    shop.tick(2 * DAY)

    for minute in range(1, 4):
        shop.label(ids[100 + minute : 101 + minute])
        shop.tick(2 * DAY + timedelta(minutes=minute))
    (early,) = shop.results("performance")
    shop.tick(3 * DAY)
    late = shop.results("performance")[0]

    assert (early.rows, early.reason, early.revision) == (100, "first", 1)
    assert (late.rows, late.reason, late.revision) == (103, "late labels", 2)


def test_each_version_is_held_against_its_own_reference(shop: Shop) -> None:
    """After a version that was trained on the new world answers, the new world is no longer drift."""
    shop.publish("2", mean=200.0)
    shop.serve(0, mean=200.0)
    shop.serve(1, mean=200.0, version="2")
    shop.tick(2 * DAY)

    (old,), (new,) = shop.results("drift", "1"), shop.results("drift", "2")

    assert (old.status, value(old, "drifted_features_ratio")) == ("alarm", 0.5)
    assert (new.status, value(new, "drifted_features_ratio")) == ("ok", 0.0)
    assert new.reference is not None
    assert new.reference.startswith("shop/2@")
    assert (old.start, new.start) == (START, START + DAY)


def test_both_versions_of_a_canary_are_judged_in_the_same_window(shop: Shop) -> None:
    """Two live versions of a window have a result each, and a small share of traffic is no lack of volume."""
    shop.publish("2")
    shop.serve(0)
    shop.serve(0, rows=6, version="2")
    shop.tick(DAY)

    assert [r.rows for r in shop.results("quality", "1")] == [ROWS]
    assert [(r.rows, r.status) for r in shop.results("quality", "2")] == [(6, "ok")]


def test_a_silent_window_is_a_violation_of_the_version_that_spoke_last(shop: Shop) -> None:
    """A day without traffic has no drift data and an alarm for volume."""
    shop.serve(0)
    shop.tick(2 * DAY)

    silent = shop.results("quality")[1]

    assert (silent.rows, silent.status) == (0, "alarm")
    assert shop.results("latency")[1].status == "no_data"


def test_a_version_without_a_reference_is_no_data_not_a_pass(shop: Shop) -> None:
    """Without a reference drift says so and stays `no_data`; quality and latency go on."""
    shop.serve(0, version="9")
    shop.tick(DAY)

    (drift,) = shop.results("drift", "9")

    assert (drift.status, drift.reference) == ("no_data", None)
    assert drift.measurements[0].text == "the version has no reference"
    assert [r.status for r in shop.results("quality", "9")] == ["ok"]


def test_a_new_daemon_takes_up_where_the_last_one_stopped(shop: Shop) -> None:
    """After a restart nothing is computed twice, but for windows whose rows came while nobody looked."""
    shop.serve(0)
    shop.serve(1)
    shop.tick(2 * DAY)
    set_clock(shop.clock, START + 3 * DAY)
    shop.settings.clock._read_at = float("-inf")
    shop.serve(0, rows=30)
    shop.serve(2)

    shop.daemon = shop.new_daemon()
    shop.tick(3 * DAY)

    assert [(r.rows, r.reason) for r in shop.results("quality")] == [
        (150, "late rows"),
        (120, "first"),
        (120, "first"),
    ]


def test_a_new_daemon_knows_the_windows_of_a_monitor_that_lags(shop: Shop) -> None:
    """Performance results further back than the other monitors' horizon are found again after a restart."""
    far = START + (HORIZON + 40) * DAY
    for monitor, start in (("performance", START), ("quality", far)):
        shop.store.save(
            WindowResult(
                "shop",
                "1",
                cast("MonitorName", monitor),
                start,
                start + DAY,
                ROWS,
                "ok",
                (),
                computed_at=far,
                duration_s=0.1,
                reference=None,
                code_revision="",
                reason="first",
            )
        )

    known = recall.computed(shop.spec, shop.store)

    assert {(window.start, monitor) for window, monitor in known} == {
        (START, "performance"),
        (far, "quality"),
    }


def test_one_monitors_failure_is_recorded_and_stops_no_other(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """A damaged reference fails the monitors that need it with a traceback; it is retried and then heals."""
    shop.serve(0)
    facts = shop.settings.home / "references" / "shop" / "1" / "reference.json"
    whole = facts.read_text()
    facts.write_text("{")

    shop.tick(DAY)
    failed = {(run.monitor, run.outcome) for run in shop.store.runs()}
    facts.write_text(whole)
    set_clock(shop.clock, START + DAY)
    shop.daemon.tick(60.0, threading.Event())

    assert ("drift", "error") in failed
    assert "reference.json: must be readable JSON" in caplog.text
    assert [r.reason for r in shop.results("drift")] == ["after a failure"]


def test_labels_of_unknown_predictions_are_counted(shop: Shop) -> None:
    """Labels whose id the log does not have are counted in the window whose labels were then due."""
    ids = shop.serve(0)
    set_clock(shop.clock, START + DAY)
    shop.settings.clock._read_at = float("-inf")
    shop.label(ids[:110])
    labels.append(shop.spec, shop.settings, pd.DataFrame({"id": ["x", "y"], "y": [True, False]}))

    shop.tick(2 * DAY)
    (result,) = shop.results("performance")

    assert value(result, "labels_unmatched") == 2.0
    assert value(result, "labels_available_ratio") == pytest.approx(110 / 120)


def test_without_follow_the_job_computes_what_has_closed_and_returns(shop: Shop) -> None:
    """`run(follow=False)` leaves the store as a daemon would have, and ends."""
    shop.label(shop.serve(0))
    set_clock(shop.clock, START + 2 * DAY)

    job.run({"shop": shop.spec}, shop.settings, follow=False)

    assert len(shop.results("drift")) == 2
    assert len(shop.results("performance")) == 1


def test_the_daemon_ends_when_told_to(shop: Shop) -> None:
    """A daemon that waits for its next look ends at once when its stop event is set."""
    stop = threading.Event()
    daemon = threading.Thread(
        target=job.run, args=({"shop": shop.spec}, shop.settings), kwargs={"stop": stop}
    )
    daemon.start()

    stop.set()
    daemon.join(timeout=10)

    assert not daemon.is_alive()
