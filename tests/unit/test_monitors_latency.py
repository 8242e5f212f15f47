from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from monitors.latency import judge, lower_bound
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
