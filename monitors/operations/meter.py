"""What each version took in its slot while the daemon looked on, by window: memory, and CPU time.

In wall time alone: the weeks of a replay pass in seconds, in which a process warms up and no more. A slot on
another machine is not seen.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median

from monitors import deployment
from monitors.operations.history import CPU, MEMORY
from monitors.operations.processes import Sampler, Usage
from monitors.results.records import Measurement
from monitors.tables import inference_log
from monitors.windows import Window, window_at
from spec import ModelSpec, Settings

_COVERED = 0.95
"""Share of a window that must have been looked at for its CPU time to be known."""

_FEWEST_LOOKS = 2
_KEPT = 4
"""Windows that are remembered: results of closed ones are in the store."""


class Meter:
    """Looks at the slots on this machine again and again, and adds up what was taken by window."""

    def __init__(self, settings: Settings, sampler: Sampler | None = None) -> None:
        self._settings = settings
        self._sampler = sampler or Sampler(settings.home)
        self._before: dict[_Slot, _Seen] = {}
        self._accounts: dict[_Slot, dict[datetime, _Account]] = defaultdict(dict)

    def look(self, specs: Iterable[ModelSpec]) -> None:
        """Add what was taken since the last look; nothing in a replay."""
        if not self._settings.clock.is_wall:
            return
        now = self._settings.clock.now()
        processes = {usage.process: usage for usage in self._sampler.sample()}
        seen = {}
        for spec in specs:
            for slot, version in deployment.read(self._settings.home, spec.model).versions.items():
                usage = processes.get(f"{spec.model}-{slot}")
                if usage is not None:
                    key = (spec.model, version, slot)
                    seen[key] = _Seen(now, usage)
                    self._add(spec.monitor.window, key, seen[key])
            self._forget(spec, now)
        self._before = seen

    def measured(self, spec: ModelSpec, version: str, window: Window) -> tuple[Measurement, ...]:
        """Return what a version took in a window, of each slot that was looked at.

        Returns
        -------
        By slot (`method`) ``slot_resident_memory_bytes``, the median of `n` looks; and, where nearly all of
        the window was looked at, ``slot_cpu_seconds`` for `n` rows, those of mirrored requests too.
        """
        found: list[Measurement] = []
        rows: Counter[str] | None = None
        for (model, which, slot), accounts in sorted(self._accounts.items()):
            account = accounts.get(window.start)
            if (model, which) != (spec.model, version) or account is None:
                continue
            if len(account.memory) >= _FEWEST_LOOKS:
                looks = len(account.memory)
                found.append(Measurement(MEMORY, median(account.memory), method=slot, n=looks))
            if account.covered >= _COVERED * window.length:
                rows = self._rows(spec, version, window) if rows is None else rows
                if rows[slot] and account.cpu_seconds:
                    found.append(Measurement(CPU, account.cpu_seconds, method=slot, n=rows[slot]))
        return tuple(found)

    def _rows(self, spec: ModelSpec, version: str, window: Window) -> Counter[str]:
        """Count what a version answered in each slot; mirrored requests take as much as live ones."""
        log = inference_log.read(
            spec, self._settings, window.start, window.end, shadow=None, version=version, columns=("slot",)
        )
        return Counter(log["slot"].to_pylist())

    def _forget(self, spec: ModelSpec, now: datetime) -> None:
        """Forget windows whose results are long in the store, and versions that are gone."""
        oldest = now - _KEPT * spec.monitor.window
        for key in [key for key in self._accounts if key[0] == spec.model]:
            kept = {start: each for start, each in self._accounts[key].items() if start >= oldest}
            self._accounts[key] = kept
            if not kept:
                del self._accounts[key]

    def _add(self, length: timedelta, key: _Slot, now: _Seen) -> None:
        accounts, before = self._accounts[key], self._before.get(key)
        here = window_at(now.at, length)
        accounts.setdefault(here.start, _Account()).memory.append(now.usage.resident_bytes)
        if before is not None and before.usage.pids == now.usage.pids and before.at < now.at:
            seconds = max(now.usage.cpu_seconds - before.usage.cpu_seconds, 0.0)
            _share(accounts, before.at, now.at, seconds, length)


_Slot = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Seen:
    at: datetime
    usage: Usage


@dataclass(slots=True)
class _Account:
    memory: list[int] = field(default_factory=list)
    cpu_seconds: float = 0.0
    covered: timedelta = timedelta(0)


def _share(
    accounts: dict[datetime, _Account], start: datetime, end: datetime, seconds: float, length: timedelta
) -> None:
    """Share the CPU time between two looks out to the windows that lie between them."""
    at = start
    while at < end:
        window = window_at(at, length)
        until = min(window.end, end)
        account = accounts.setdefault(window.start, _Account())
        account.covered += until - at
        account.cpu_seconds += seconds * ((until - at) / (end - start))
        at = until
