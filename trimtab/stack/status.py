"""What each process of the stack costs: pid, uptime, CPU, memory."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from trimtab.stack.supervisor import State


@dataclass(frozen=True, slots=True)
class Row:
    """One process and its children.

    `uptime_s` is in seconds, `cpu` the mean share of one core since the start, `memory_bytes` the
    resident memory (pages shared between processes count in each), `trouble` what is known of why it
    neither runs nor is done with what it had to do, nothing when all is well.
    """

    name: str
    state: str
    pid: int
    uptime_s: float
    cpu: float
    memory_bytes: int
    log: Path
    trouble: str

    @property
    def fine(self) -> bool:
        """Whether it runs, or is done with what it had to do."""
        return not self.trouble


def rows(states: Iterable[State]) -> list[Row]:
    """Return a row a process, in order of name."""
    return [_row(state) for state in sorted(states, key=lambda state: state.name)]


def _row(state: State) -> Row:
    alive = state.pid != 0
    uptime = time.time() - state.started_at if alive else 0.0
    seconds, memory = _cost(state.pid) if alive else (0.0, 0)
    return Row(
        name=state.name,
        state=state.state.lower(),
        pid=state.pid,
        uptime_s=uptime,
        cpu=seconds / uptime if uptime > 0 else 0.0,
        memory_bytes=memory,
        log=state.log,
        trouble=state.trouble,
    )


def _cost(pid: int) -> tuple[float, int]:
    """Return CPU seconds and resident bytes of a process and its descendants; (0, 0) when it is gone."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0, 0
    seconds, memory = 0.0, 0
    for member in family:
        try:
            times, usage = member.cpu_times(), member.memory_info()
        except psutil.NoSuchProcess:
            continue
        seconds += times.user + times.system
        memory += usage.rss
    return seconds, memory
