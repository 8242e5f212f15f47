"""Which windows of a model must be computed, by which monitor, and why. Pure: it is told the time.

A window is computed once it has closed; by the monitors that need the truth, once its labels are due. Rows or
labels that come later make it be computed again, and with it every later window whose monitor pools this one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitors.results.records import LABELLED, MONITORS, MonitorName
from monitors.windows import EPOCH, Window, window_at
from spec import ModelSpec

FIRST, LATE_ROWS, LATE_LABELS, FAILED = "first", "late rows", "late labels", "after a failure"
HORIZON = 60
"""Windows back from the newest one that a monitor has computed in which it still notes late data."""

_RETRY_S, _RETRY_MOST_S = 5.0, 3600.0


@dataclass(frozen=True, slots=True, order=True)
class Task:
    """A window to compute by one monitor."""

    window: Window
    monitor: MonitorName
    reason: str


def judges(spec: ModelSpec, monitor: MonitorName, window: Window) -> bool:
    """Return whether a monitor judges a window at all.

    The search for slices is no figure of every window: it looks once at each span of `performance.over`
    windows, counted from the epoch, so that no row is searched twice.
    """
    if monitor == "estimate":
        return spec.estimate_method is not None
    if monitor != "slices":
        return True
    wanted = spec.monitor.slices
    closed = (window.end - EPOCH) // window.length
    is_asked = bool(wanted.by or wanted.search or spec.protected)
    return is_asked and closed % spec.monitor.performance.over == 0


class Ledger:
    """The state of every window of one model.

    Parameters
    ----------
    settle_s
        Wall seconds between a window's close and its computation: what serving and label writers take
        to commit what they have accepted.
    """

    def __init__(self, spec: ModelSpec, settle_s: float) -> None:
        self._spec = spec
        self._length = spec.monitor.window
        self._reach: Mapping[MonitorName, int] = {
            "drift": spec.monitor.data_drift.reach,
            "quality": 1,
            "performance": spec.monitor.performance.over,
            "latency": 1,
            "estimate": spec.monitor.performance.over,
            "concept": 1,
            "slices": spec.monitor.performance.over,
        }
        self._delay: Mapping[MonitorName, timedelta] = {
            monitor: spec.data.target.delay if monitor in LABELLED else timedelta(0) for monitor in MONITORS
        }
        self._settle_s = settle_s
        self._next: dict[MonitorName, Window] = {}
        self._closed: dict[tuple[Window, MonitorName], float] = {}  # wall time when first seen to be due
        self._computed: dict[tuple[Window, MonitorName], datetime] = {}
        self._again: dict[tuple[Window, MonitorName], str] = {}
        self._failed: dict[tuple[Window, MonitorName], tuple[int, float]] = {}  # attempts, next at

    def begin(self, start: datetime) -> None:
        """Take the window at `start` for the first one, unless an earlier call or result said so."""
        for monitor in MONITORS:
            self._next.setdefault(monitor, window_at(start, self._length))

    def computed(self, window: Window, monitor: MonitorName, at: datetime) -> None:
        """Note a result, this process's or one found in the store."""
        key = (window, monitor)
        self._computed[key] = at
        self._again.pop(key, None)
        self._failed.pop(key, None)
        self._closed.pop(key, None)
        following = window.shifted(1)
        self._next[monitor] = max(self._next.get(monitor, following), following)

    def failed(self, window: Window, monitor: MonitorName, wall: float) -> None:
        """Note a failure; the window is tried again after 5 s, 10 s, … up to an hour."""
        key = (window, monitor)
        attempts = self._failed.get(key, (0, 0.0))[0] + 1
        self._failed[key] = (attempts, wall + min(_RETRY_S * 2 ** (attempts - 1), _RETRY_MOST_S))
        self._closed.pop(key, None)
        following = window.shifted(1)
        self._next[monitor] = max(self._next.get(monitor, following), following)

    def touched(self, starts: Collection[datetime], reason: str) -> None:
        """Note that windows got rows (`LATE_ROWS`) or labels (`LATE_LABELS`)."""
        monitors: Iterable[MonitorName] = LABELLED if reason == LATE_LABELS else MONITORS
        for monitor in monitors:
            for start in starts:
                window = window_at(start, self._length)
                for later in range(self._reach[monitor]):
                    key = (window.shifted(later), monitor)
                    if key in self._computed:
                        self._again.setdefault(key, reason)

    def due(self, now: datetime, wall: float) -> tuple[Task, ...]:
        """Return what must be computed, oldest window first.

        A window is computed again at most once in its own length of processing time, so that labels
        that trickle in cost one more computation and not one a label.
        """
        self._forget()
        tasks = [Task(*key, FIRST) for key in self._newly_closed(now) if self._settled(key, wall)]
        tasks += [
            Task(*key, reason)
            for key, reason in self._again.items()
            if now >= self._computed[key] + self._length
        ]
        tasks += [Task(*key, FAILED) for key, (_, at) in self._failed.items() if wall >= at]
        return tuple(sorted(tasks))

    def _newly_closed(self, now: datetime) -> Iterable[tuple[Window, MonitorName]]:
        for monitor, first in self._next.items():
            window = first
            while window.end + self._delay[monitor] <= now:
                if judges(self._spec, monitor, window):
                    yield window, monitor
                window = window.shifted(1)

    def _settled(self, key: tuple[Window, MonitorName], wall: float) -> bool:
        return wall - self._closed.setdefault(key, wall) >= self._settle_s

    def _forget(self) -> None:
        """Drop what lies behind a monitor's horizon; performance lags, and so has its own."""
        for monitor in MONITORS:
            newest = max((window for window, name in self._computed if name == monitor), default=None)
            if newest is None:
                continue
            oldest = newest.shifted(-HORIZON)
            for state in (self._computed, self._again, self._failed):
                for key in [key for key in state if key[1] == monitor and key[0] < oldest]:
                    del state[key]
