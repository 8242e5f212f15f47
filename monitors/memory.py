"""The results of a model's newest windows, kept in memory beside the store that they are read from once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from monitors import quality
from monitors.ledger import HORIZON
from monitors.operations import history
from monitors.results.records import MonitorName, WindowResult
from monitors.results.store import Store
from monitors.windows import EPOCH, Window
from spec import ModelSpec

_Key = tuple[str, MonitorName, datetime]


class Memory:
    """Remembers what was found in as many windows as later verdicts look back upon."""

    def __init__(self, spec: ModelSpec, store: Store) -> None:
        self._spec, self._store = spec, store
        length = spec.monitor.window
        window = Window(EPOCH, EPOCH + length)
        self._usual = HORIZON * length
        self._reach: dict[MonitorName, timedelta] = {
            "quality": max(self._usual, window.start - quality.lookback(window)[0]),
            "latency": max(self._usual, window.start - history.lookback(window)[0]),
        }
        self._known: dict[_Key, WindowResult] | None = None

    def saw(self, result: WindowResult) -> None:
        """Note a result that was just stored."""
        if self._known is not None:
            self._known[result.version, result.monitor, result.start] = result

    def of(self, version: str | None, *monitors: MonitorName) -> tuple[WindowResult, ...]:
        """Return results, the oldest window first; None asks for every version, no name for all monitors."""
        found = (
            result
            for result in self._recent().values()
            if version in (None, result.version) and (not monitors or result.monitor in monitors)
        )
        return tuple(sorted(found, key=lambda result: (result.start, result.version)))

    def newest(self, version: str) -> tuple[WindowResult, ...]:
        """Return a version's results of the windows that late data may still change."""
        results = self.of(version)
        start = max((result.start for result in results), default=EPOCH) - self._usual
        return tuple(result for result in results if result.start >= start)

    def _recent(self) -> dict[_Key, WindowResult]:
        if self._known is None:
            newest = max((result.start for result in self._store.latest(self._spec.model)), default=EPOCH)
            self._known = {
                (result.version, result.monitor, result.start): result for result in self._stored(newest)
            }
        newest = max((start for _, _, start in self._known), default=EPOCH)
        self._known = {
            key: result for key, result in self._known.items() if key[2] >= newest - self._span(key[1])
        }
        return self._known

    def _stored(self, newest: datetime) -> Iterator[WindowResult]:
        model = self._spec.model
        recent = newest - self._usual
        yield from self._store.history(model, start=recent)
        for monitor, reach in self._reach.items():
            yield from self._store.history(model, monitor, start=newest - reach, end=recent)

    def _span(self, monitor: MonitorName) -> timedelta:
        return self._reach.get(monitor, self._usual)
