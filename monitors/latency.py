"""How fast a window's predictions were answered, from the log."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from monitors.finding import Finding, NoData
from monitors.records import Measurement
from spec import ModelSpec

_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_CONFIDENCE = 0.95


def judge(latencies: np.ndarray, length: timedelta, spec: ModelSpec) -> Finding:
    """Return percentiles and throughput; `alarm` when the 99th percentile is surely over its objective.

    Surely means that its one-sided 95 % lower bound (an order statistic, whatever the distribution)
    is over the objective too: of 230 rows, three slow ones move the percentile and six the bound.

    Parameters
    ----------
    latencies
        Milliseconds in the model server, one a row; shape (rows,). Nulls (NaN) are left out.
    length
        Length of the window, for the throughput.
    """
    seconds = np.sort(latencies[~np.isnan(latencies)]) / 1000
    throughput = Measurement("throughput_rows_per_second", len(latencies) / length.total_seconds())
    if not seconds.size:
        return Finding("no_data", (throughput, NoData("no row has a latency").measurement()), len(latencies))
    limit = spec.monitor.latency.p99.total_seconds()
    low = lower_bound(seconds, _QUANTILES["p99"])
    measurements = [
        Measurement(
            "latency_seconds",
            float(np.quantile(seconds, quantile)),
            method=name,
            low=low if name == "p99" else None,
            limit=limit if name == "p99" else None,
            n=len(seconds),
        )
        for name, quantile in _QUANTILES.items()
    ]
    over = low > limit
    return Finding("alarm" if over else "ok", (*measurements, throughput), len(latencies))


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
