from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from monitors.latency import judge, lower_bound
from monitors.operations.history import Timeline
from monitors.windows import Window
from spec import ModelSpec, loads

SPEC: ModelSpec = loads("""
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y}}
features: {amount: numeric}
monitor: {latency: {p99: 50ms}}
""")
DAY = timedelta(days=1)


def test_percentiles_are_numpys_in_seconds() -> None:
    """The log has milliseconds; the results have seconds, and rows a second of the window."""
    latencies = np.random.default_rng(0).gamma(2, 3, 864)

    finding = judge(latencies, DAY, SPEC)
    by_quantile = {m.method: m.value for m in finding.measurements if m.name == "latency_seconds"}
    (throughput,) = (m for m in finding.measurements if m.name == "throughput_rows_per_second")

    assert by_quantile == {
        name: pytest.approx(np.percentile(latencies, at) / 1000)
        for name, at in (("p50", 50), ("p95", 95), ("p99", 99))
    }
    assert throughput.value == pytest.approx(0.01)
    assert finding.status == "ok"


@pytest.mark.parametrize(("slow", "status"), [(5, "ok"), (6, "alarm")])
def test_the_alarm_needs_more_slow_rows_than_chance_brings(slow: int, status: str) -> None:
    """Of 230 rows five over the objective may be chance at a true 1 %; six are not."""
    latencies = np.concatenate([np.full(230 - slow, 5.0), np.full(slow, 80.0)])

    assert judge(latencies, DAY, SPEC).status == status


def test_the_bound_lies_under_the_true_percentile_in_95_of_100_windows() -> None:
    """The bound is above the true 99th percentile at most 5 % of the time, whatever the distribution."""
    random = np.random.default_rng(0)
    true = -np.log(0.01)  # of the exponential distribution

    above = np.mean([lower_bound(np.sort(random.exponential(size=300)), 0.99) > true for _ in range(2000)])

    assert above <= 0.06


def test_rows_without_a_latency_are_left_out() -> None:
    """A null latency is no latency of zero, and still a row of the throughput."""
    finding = judge(np.array([10.0, np.nan, 10.0]), timedelta(seconds=3), SPEC)

    assert [m.value for m in finding.measurements] == [0.01, 0.01, 0.01, 1.0]


def test_a_window_without_latencies_is_no_data() -> None:
    """No rows are no fast rows."""
    finding = judge(np.array([]), DAY, SPEC)

    assert finding.status == "no_data"
    assert [(m.name, m.value) for m in finding.measurements] == [
        ("throughput_rows_per_second", 0.0),
        ("no_data", 1.0),
    ]


def test_a_service_unlike_its_past_is_an_alarm_within_its_objective() -> None:
    """Of 20 ms in place of 5 the objective says nothing; the version's own days do, and name the figures."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    window = Window(start + 30 * DAY, start + 31 * DAY)
    days = {start + index * DAY: 0.005 for index in range(30)}
    past = {name: Timeline.of(window, days) for name in ("latency_p50", "latency_p95", "latency_p99")}
    rows = np.full(1000, 20.0)

    finding = judge(rows, DAY, SPEC, past)

    assert finding.status == "alarm"
    assert {m.feature: m.value for m in finding.measurements if m.name == "anomaly"} == {
        name: pytest.approx(4.0) for name in past
    }
    assert judge(rows, DAY, SPEC).status == "ok"


def test_the_traffic_of_all_versions_is_held_against_the_past() -> None:
    """A canary's own share says nothing; five times the rows of all versions are told, and are no fault."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    window = Window(start + 30 * DAY, start + 31 * DAY)
    rate = 86400 / DAY.total_seconds()
    past = {"throughput": Timeline.of(window, {start + index * DAY: rate for index in range(30)})}
    rows = np.full(1000, 5.0)

    usual, flood = (judge(rows, DAY, SPEC, past, count) for count in (86400, 5 * 86400))

    assert (usual.status, flood.status) == ("ok", "ok")
    assert [m.text for m in flood.measurements if m.name == "anomaly"] == [
        "The throughput is 5 rows a second, usually 1 rows a second"
    ]
