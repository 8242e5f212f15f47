"""What the daemon computes again, and what it never reads twice: late data, lookbacks, restarts, failures."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pyarrow as pa
import pytest
from sqlalchemy import delete

from monitors.daemon import recall
from monitors.daemon.model_job import ModelJob
from monitors.ledger import HORIZON
from monitors.operations.meter import Meter
from monitors.results.records import Measurement, MonitorName, WindowResult
from monitors.results.tables import profiles
from monitors.tables import inference_log
from spec import ModelSpec, Settings

DAY = timedelta(days=1)
START = datetime(2024, 5, 1, tzinfo=UTC)
ROWS = 120


def test_late_rows_recompute_the_window_and_those_that_pool_it(shop: Any) -> None:
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


def test_drift_reads_no_row_twice(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
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
        shop.label(shop.serve(day))  # or the triage reads the rows to have some labelled
        shop.tick((day + 1) * DAY)

    assert [(START + day * DAY, START + (day + 1) * DAY) for day in range(3)] == spans
    assert [120, 240, 240] == [result.rows for result in shop.results("drift")]


def test_what_was_not_counted_is_counted_when_a_lookback_needs_it(shop: Any) -> None:
    """Profiles that are gone are made again from the rows."""
    for day in range(2):
        shop.serve(day)
        shop.tick((day + 1) * DAY)
    shop.store._database.write(lambda connection: connection.execute(delete(profiles)))
    shop.serve(2)

    shop.tick(3 * DAY)

    assert 240 == shop.results("drift")[2].rows


def test_labels_that_trickle_in_cost_one_recomputation_a_window_length(shop: Any) -> None:
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


def test_a_new_daemon_takes_up_where_the_last_one_stopped(shop: Any) -> None:
    """After a restart nothing is computed twice, but for windows whose rows came while nobody looked."""
    shop.serve(0)
    shop.serve(1)
    shop.tick(2 * DAY)
    shop.wait(3 * DAY)
    shop.serve(0, rows=30)
    shop.serve(2)

    shop.daemon = shop.new_daemon()
    shop.tick(3 * DAY)

    assert [(r.rows, r.reason) for r in shop.results("quality")] == [
        (150, "late rows"),
        (120, "first"),
        (120, "first"),
    ]


def test_a_new_daemon_knows_the_windows_of_a_monitor_that_lags(shop: Any) -> None:
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
    shop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A damaged reference fails the monitors that need it with a traceback; it is retried and then heals."""
    shop.serve(0)
    facts = shop.settings.home / "references" / "shop" / "1" / "reference.json"
    whole = facts.read_text()
    facts.write_text("{")

    shop.tick(DAY)
    failed = {(run.monitor, run.outcome) for run in shop.store.runs()}
    facts.write_text(whole)
    shop.wait(DAY)
    shop.daemon.tick(60.0, threading.Event())

    assert ("drift", "error") in failed
    assert "reference.json: must be readable JSON" in caplog.text
    assert [r.reason for r in shop.results("drift")] == ["after a failure"]


class Watched(Meter):
    """A meter that saw the slot take so much in every window."""

    def measured(self, *_: object) -> tuple[Measurement, ...]:
        """Return the memory of the slot."""
        return (Measurement("slot_resident_memory_bytes", 2e8, method="blue", n=90),)


def test_what_a_slot_took_is_kept_when_its_window_is_computed_again(shop: Any) -> None:
    """Late rows come to another daemon, whose meter has not seen that window: the memory stays as it was."""
    shop.daemon = ModelJob(
        shop.spec, shop.settings, shop.store, shop.reporter, settle_s=0, meter=Watched(shop.settings)
    )
    shop.serve(0)
    shop.tick(DAY)
    shop.wait(1.5 * DAY)
    shop.serve(0, rows=30)
    shop.daemon = ModelJob(
        shop.spec, shop.settings, shop.store, shop.reporter, settle_s=0, meter=Meter(shop.settings)
    )
    shop.tick(2 * DAY)

    (again, *_) = shop.results("latency")
    assert again.revision == 2
    taken = [n for n in again.measurements if n.name == "slot_resident_memory_bytes"]
    assert taken == [Measurement("slot_resident_memory_bytes", 2e8, method="blue", n=90)]
