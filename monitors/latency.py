"""How fast a window's predictions were answered, from the log, and whether that is as usual."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from monitors.finding import Finding, NoData
from monitors.operations.anomalies import Figure, anomalies, of_resources
from monitors.operations.history import LATENCIES, THROUGHPUT, History
from monitors.results.records import Measurement, Status
from spec import ModelSpec

_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_CONFIDENCE = 0.95


def judge(
    latencies: np.ndarray,
    length: timedelta,
    spec: ModelSpec,
    past: History | None = None,
    rows: int | None = None,
    taken: tuple[Measurement, ...] = (),
) -> Finding:
    """Return percentiles and throughput; `alarm` over the objective, or where the service is unlike its past.

    More requests than usual are told as an anomaly, and are no fault of the service.

    Over the objective means surely: the 99th percentile's one-sided 95 % lower bound (an order statistic,
    whatever the distribution) is over it too: of 230 rows, three slow ones move the percentile and six the
    bound. The same bounds are held against the past.

    Parameters
    ----------
    latencies
        Milliseconds in the model server, one a row; shape (rows,). Nulls (NaN) are left out.
    length
        Length of the window, for the throughput.
    past
        The version's earlier windows, from `monitors.operations.history.of_results`; without it no anomaly
        is looked for.
    rows
        Rows of all versions in the window, to be held against those of the past; None where not known.
    taken
        What the version took in its slots, of `monitors.operations.meter.Meter.measured`.
    """
    seconds = np.sort(latencies[~np.isnan(latencies)]) / 1000
    throughput = Measurement("throughput_rows_per_second", len(latencies) / length.total_seconds())
    if not seconds.size:
        untimed = NoData("no row has a latency").measurement()
        return Finding("no_data", (throughput, untimed, *taken), len(latencies))
    found = {
        name: Figure(float(np.quantile(seconds, quantile)), lower_bound(seconds, quantile))
        for name, quantile in _QUANTILES.items()
    }
    limit = spec.monitor.latency.p99.total_seconds()
    current = {LATENCIES[name]: figure for name, figure in found.items()}
    if rows is not None:
        current[THROUGHPUT] = Figure(rows / length.total_seconds(), rows / length.total_seconds())
    current |= of_resources(taken, past or {})
    unusual = anomalies(current, past or {}, spec.monitor.latency)
    measurements = [
        Measurement(
            "latency_seconds",
            figure.value,
            method=name,
            low=figure.low if name == "p99" else None,
            limit=limit if name == "p99" else None,
            n=len(seconds),
        )
        for name, figure in found.items()
    ]
    over = found["p99"].low > limit
    slower = any(anomaly.feature != THROUGHPUT for anomaly in unusual)
    status: Status = "alarm" if over or slower else "ok"
    return Finding(status, (*measurements, throughput, *taken, *unusual), len(latencies))


def lower_bound(ordered: np.ndarray, quantile: float) -> float:
    """Return the distribution-free lower confidence bound of a quantile.

    It is the largest order statistic that lies below the true quantile with 95 % probability, or the
    smallest value where there are too few rows for one (fewer than about 3 / (1 - confidence) says
    nothing about a tail, and then no bound is over anything that the smallest value is not).

    Parameters
    ----------
    ordered
        Ascending values, shape (n,), n ≥ 1.
    """
    from scipy.stats import binom  # noqa: PLC0415 - a second, and only the daemon needs it

    # The r-th smallest of n exceeds the quantile when fewer than r values lie below it: B(n, q) < r.
    rank = int(binom.ppf(1 - _CONFIDENCE, len(ordered), quantile))
    return float(ordered[max(rank - 1, 0)])
