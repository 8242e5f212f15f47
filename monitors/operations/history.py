"""What earlier windows of a version were like, by figure: its latencies, and the traffic of all versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from monitors.operations.load import Load
from monitors.results.records import WindowResult
from monitors.windows import EPOCH, Window

THROUGHPUT = "throughput"
"""Rows a second in all versions: those of one version follow the weights of a rollout."""

LATENCIES = {"p50": "latency_p50", "p95": "latency_p95", "p99": "latency_p99"}
"""The figure that each quantile of a version's latency is."""

MEMORY, CPU = "slot_resident_memory_bytes", "slot_cpu_seconds"
"""What is measured of a version in a slot: memory, and CPU time for so many rows."""

MEMORY_OF, CPU_OF = "memory_", "cpu_"
"""The figures of a slot begin so: its memory, and its CPU time a row."""

WEEK = timedelta(weeks=1)
_WEEKS, _WINDOWS = 9, 16  # that are looked back upon, whichever is longer
_FEWEST = 8  # windows from which it is known what is usual
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Timeline:
    """One figure in the windows before `window`, oldest first.

    Parameters
    ----------
    starts
        Microseconds since the Unix epoch, shape (windows,), ascending.
    logs
        Natural logarithms of the figure, shape (windows,).
    load
        Of the CPU time a row: what takes the traffic out of it.
    """

    window: Window
    starts: npt.NDArray[np.int64]
    logs: npt.NDArray[np.float64]
    load: Load | None = None

    @classmethod
    def of(cls, window: Window, figures: Mapping[datetime, float], load: Load | None = None) -> Timeline:
        """Order the figures (above 0) of earlier windows, by their start."""
        known = sorted((start, value) for start, value in figures.items() if start < window.start)
        starts = np.array([ticks(start) for start, _ in known], dtype=np.int64)
        return cls(window, starts, np.log([value for _, value in known]), load)

    @classmethod
    def of_cpu(cls, window: Window, taken: Mapping[datetime, tuple[float, int]]) -> Timeline:
        """Order the CPU time a row at the usual traffic, by the seconds and rows (above 0) of windows."""
        load = Load.of([each for start, each in taken.items() if start < window.start])
        return cls.of(window, {start: load.of_a_row(*each) for start, each in taken.items()}, load)

    @property
    def is_enough(self) -> bool:
        """Whether it is known what is usual: eight windows, and a week, for no two of its days are alike."""
        if len(self.starts) < _FEWEST:
            return False
        return bool(self.starts[0] <= ticks(self.window.start) - WEEK // _TICK)


History = Mapping[str, Timeline]
"""Timelines by figure."""


def lookback(window: Window) -> tuple[datetime, datetime]:
    """Return the span ``[start, end)`` of the earlier windows that a window is held against."""
    return window.start - max(_WEEKS * WEEK, _WINDOWS * window.length), window.start


def of_results(results: Iterable[WindowResult], version: str, window: Window) -> History:
    """Take what the results of `latency`, of every version, say of the windows before one."""
    start, end = lookback(window)
    figures: dict[str, dict[datetime, float]] = {name: {} for name in (*LATENCIES.values(), THROUGHPUT)}
    spent: dict[str, dict[datetime, tuple[float, int]]] = {}
    for result in results:
        if not start <= result.start < end:
            continue
        for number in result.measurements:
            if number.name == "throughput_rows_per_second" and number.value > 0:
                rates = figures[THROUGHPUT]
                rates[result.start] = rates.get(result.start, 0.0) + number.value
            elif number.name == "latency_seconds" and result.version == version and number.value > 0:
                figures[LATENCIES[number.method or ""]][result.start] = number.value
            elif number.name == MEMORY and result.version == version:
                figures.setdefault(f"{MEMORY_OF}{number.method}", {})[result.start] = number.value
            elif number.name == CPU and result.version == version and number.n:
                spent.setdefault(f"{CPU_OF}{number.method}", {})[result.start] = number.value, number.n
    plain = {name: Timeline.of(window, values) for name, values in figures.items()}
    return plain | {name: Timeline.of_cpu(window, values) for name, values in spent.items()}


def ticks(time: datetime) -> int:
    """Return a timezone-aware time in microseconds since the Unix epoch."""
    return (time - EPOCH) // _TICK
