import asyncio
import re
import shutil
import time
from pathlib import Path

import spec
from serving.loop_lag import LoopLag
from serving.metrics import ServingMetrics

TIDES = """
model: tides
task: binary
data: {inference_log: log, labels: labels, id: id, time: at, target: {name: late}}
features: {depth: numeric}
"""


def exposition(metrics: ServingMetrics) -> str:
    """What Prometheus reads."""
    return metrics.exposition()[0].decode()


def test_the_latency_limits_are_bucket_edges() -> None:
    """The objective and the canary's gate can be counted exactly, whatever the spec says they are."""
    model = spec.loads(TIDES + "monitor: {latency: {p99: 37ms}}\nrollout: {gates: {latency_p99: 42ms}}\n")
    metrics = ServingMetrics(model, "blue")
    edges = re.findall(r'duration_seconds_bucket\{le="([^"]+)"[^}]*shadow="true"', exposition(metrics))

    assert {"0.037", "0.042", "0.0005", "2.5"} <= set(edges)
    assert [float(edge) for edge in edges] == sorted(float(edge) for edge in edges)


def test_series_begin_at_zero() -> None:
    """A version's counters exist before its first request, so that a rate over the first ones is right."""
    metrics = ServingMetrics(spec.loads(TIDES), "green")
    metrics.requests("7")

    for outcome in ("ok", "client_error", "error"):
        labels = f'model="tides",outcome="{outcome}",shadow="true",slot="green",version="7"'
        assert f"trimtab_predictions_total{{{labels}}} 0.0" in exposition(metrics)


def test_one_version_is_live() -> None:
    """The slot's info names the version that answers and no other; none after an unload."""
    metrics = ServingMetrics(spec.loads(TIDES), "blue")
    metrics.live("1", 0.5, 1000, "cpu")
    metrics.live("2", 0.5, 1000, "cpu")

    assert re.findall(r'trimtab_slot_info\{.*version="(\d)"', exposition(metrics)) == ["2"]
    metrics.not_live()
    assert re.findall(r"trimtab_slot_info\{", exposition(metrics)) == []


def test_pending_rows_are_asked_for() -> None:
    """The gauge of pending rows is computed when Prometheus reads it."""
    metrics = ServingMetrics(spec.loads(TIDES), "blue")
    rows = [3]
    metrics.pending_rows(lambda: rows[0])
    rows[0] = 5

    assert 'trimtab_log_pending_rows{model="tides",slot="blue"} 5.0' in exposition(metrics)


def test_the_disk_of_the_log_is_looked_at(tmp_path: Path) -> None:
    """The share that is free is the file system's; of a folder that is gone nothing can be told."""
    metrics = ServingMetrics(spec.loads(TIDES), "blue")
    free = re.compile(r'trimtab_log_disk_free_ratio\{model="tides",slot="blue"\} (\S+)')
    metrics.log_disk(tmp_path)
    here = float(free.findall(exposition(metrics))[0])
    metrics.log_disk(tmp_path / "gone")

    assert abs(here - shutil.disk_usage(tmp_path).free / shutil.disk_usage(tmp_path).total) < 0.01
    assert free.findall(exposition(metrics)) == ["NaN"]


def test_requests_in_flight_are_asked_for() -> None:
    """The gauge of requests without an answer is computed when Prometheus reads it."""
    metrics = ServingMetrics(spec.loads(TIDES), "blue")
    metrics.in_flight(lambda: 2)

    assert 'trimtab_requests_in_flight{model="tides",slot="blue"} 2.0' in exposition(metrics)


def test_the_loops_lateness_is_what_a_busy_loop_keeps_others_waiting() -> None:
    """A callback that holds the loop for a third of a second shows as at least that, less the interval."""

    async def busy() -> float:
        told: asyncio.Queue[float] = asyncio.Queue()
        lag = LoopLag(told.put_nowait)
        end = time.monotonic() + 0.35
        while time.monotonic() < end:
            pass
        late = await told.get()
        lag.stop()
        return late

    assert 0.09 < asyncio.run(busy()) < 1
