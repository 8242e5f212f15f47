"""What the daemon says of a window, when, and of which versions."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from monitors.daemon import job
from monitors.results.records import WindowResult
from monitors.tables import labels

DAY = timedelta(days=1)
START = datetime(2024, 5, 1, tzinfo=UTC)
ROWS = 120


def value(result: WindowResult, name: str) -> float:
    """The value of a measurement of a result."""
    return next(measurement.value for measurement in result.measurements if measurement.name == name)


def test_a_window_is_computed_when_it_has_closed_and_not_before(shop: Any) -> None:
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


def test_performance_waits_until_the_labels_are_due(shop: Any) -> None:
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


def test_a_result_can_be_traced(shop: Any) -> None:
    """A result names the model, the version, the reference, the time of its making and the code."""
    shop.serve(0)
    shop.tick(DAY)

    (result,) = shop.results("drift")

    assert (result.model, result.version, result.computed_at) == ("shop", "1", START + DAY)
    assert result.reference == f"shop/1@{START.isoformat()}"
    assert result.code_revision
    assert result.duration_s > 0


def test_persistence_waits_for_the_second_window(shop: Any) -> None:
    """With `2 of 2` a day that drifts is no alarm, the next one is; the first says so in its numbers."""
    shop.retold("share: 0.5", "share: 0.5, persistence: 2 of 2")
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


def test_each_version_is_held_against_its_own_reference(shop: Any) -> None:
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


def test_both_versions_of_a_canary_are_judged_in_the_same_window(shop: Any) -> None:
    """Two live versions of a window have a result each, and a small share of traffic is no lack of volume."""
    shop.publish("2")
    shop.serve(0)
    shop.serve(0, rows=6, version="2")
    shop.tick(DAY)

    assert [r.rows for r in shop.results("quality", "1")] == [ROWS]
    assert [(r.rows, r.status) for r in shop.results("quality", "2")] == [(6, "ok")]


def test_a_silent_window_is_a_violation_of_the_version_that_spoke_last(shop: Any) -> None:
    """A day without traffic has no drift data and an alarm for volume."""
    shop.serve(0)
    shop.tick(2 * DAY)

    silent = shop.results("quality")[1]

    assert (silent.rows, silent.status) == (0, "alarm")
    assert shop.results("latency")[1].status == "no_data"


def test_a_version_without_a_reference_is_no_data_not_a_pass(shop: Any) -> None:
    """Without a reference drift says so and stays `no_data`; quality and latency go on."""
    shop.serve(0, version="9")
    shop.tick(DAY)

    (drift,) = shop.results("drift", "9")

    assert (drift.status, drift.reference) == ("no_data", None)
    assert drift.measurements[0].text == "the version has no reference"
    assert [r.status for r in shop.results("quality", "9")] == ["ok"]


def test_labels_of_unknown_predictions_are_counted(shop: Any) -> None:
    """Labels whose id the log does not have are counted in the window whose labels were then due."""
    ids = shop.serve(0)
    shop.wait(DAY)
    shop.label(ids[:110])
    labels.append(shop.spec, shop.settings, pd.DataFrame({"id": ["x", "y"], "y": [True, False]}))

    shop.tick(2 * DAY)
    (result,) = shop.results("performance")

    assert value(result, "labels_unmatched") == 2.0
    assert value(result, "labels_available_ratio") == pytest.approx(110 / 120)


def test_without_follow_the_job_computes_what_has_closed_and_returns(shop: Any) -> None:
    """`run(follow=False)` leaves the store as a daemon would have, and ends."""
    shop.label(shop.serve(0))
    shop.wait(2 * DAY)

    job.run({"shop": shop.spec}, shop.settings, follow=False)

    assert len(shop.results("drift")) == 2
    assert len(shop.results("performance")) == 1


def test_the_daemon_ends_when_told_to(shop: Any) -> None:
    """A daemon that waits for its next look ends at once when its stop event is set."""
    stop = threading.Event()
    daemon = threading.Thread(
        target=job.run, args=({"shop": shop.spec}, shop.settings), kwargs={"stop": stop}
    )
    daemon.start()

    stop.set()
    daemon.join(timeout=10)

    assert not daemon.is_alive()
