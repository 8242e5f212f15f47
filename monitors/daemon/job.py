"""The daemon: computes every window of every model once it has closed, and again when late data say so."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from datetime import timedelta

from monitors.daemon.model_job import ModelJob
from monitors.operations.meter import Meter
from monitors.pace import Pace
from monitors.reports import report
from monitors.results.store import Store
from spec import ModelSpec, Settings

SETTLE_S = 2.0
"""Wall seconds after its close in which a window's last rows are still being committed."""

_TICK_S, _TICK_MOST_S = 0.5, 30.0
_TICKS_A_WINDOW = 3


def run(
    specs: Mapping[str, ModelSpec],
    settings: Settings,
    *,
    follow: bool = True,
    stop: threading.Event | None = None,
) -> None:
    """Monitor models.

    Parameters
    ----------
    follow
        True: go on until `stop` is set. False: compute what has closed by now, and return.
    stop
        Ends the daemon after the window it is at.
    """
    stop = stop or threading.Event()
    pace = Pace(settings.clock)
    reporter, meter = report.Reporter(), Meter(settings)
    with Store(settings.results_url) as store:
        settle_s = SETTLE_S if follow else 0.0
        models = [
            ModelJob(spec.logged, settings, store, reporter, settle_s, meter) for spec in specs.values()
        ]
        try:
            while not stop.is_set():
                meter.look(specs.values())
                worked = [model.tick(time.monotonic(), stop) for model in models]
                if not follow and not any(worked):
                    break
                reporter.close_if_idle()
                if follow:
                    stop.wait(min(_wait(pace, spec.monitor.window) for spec in specs.values()))
        finally:
            reporter.close()


def _wait(pace: Pace, length: timedelta) -> float:
    """Return the wall seconds between two looks: a third of a window, from half a second to half a minute."""
    window_s = pace.wall_seconds(length)
    if window_s == float("inf"):  # a replay that has not begun
        return _TICK_S
    return min(max(window_s / _TICKS_A_WINDOW, _TICK_S), _TICK_MOST_S)
