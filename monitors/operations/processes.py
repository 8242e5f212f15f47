"""What the processes of this stack use: CPU time, memory, disk.

A process belongs to the stack when its environment names the stack's home, in TRIMTAB_HOME or, as that
of foreign servers does, in TRIMTAB_STACK, or when its parent does. It is named by TRIMTAB_PROCESS, or
SUPERVISOR_PROCESS_NAME, or as its parent is.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import psutil

_HOMES = ("TRIMTAB_HOME", "TRIMTAB_STACK")
_NAMES = ("TRIMTAB_PROCESS", "SUPERVISOR_PROCESS_NAME")
_UNNAMED = "other"


@dataclass(frozen=True, slots=True)
class Usage:
    """What the processes of one name use together.

    Parameters
    ----------
    cpu_seconds
        User and system time of the living and of children that they waited for; it starts again when the
        process does.
    resident_bytes
        Shared pages count once a process.
    read_bytes, written_bytes
        What went from and to disks, not to the page cache alone; 0 where the system does not tell.
    pids
        The processes, in ascending order.
    """

    process: str
    cpu_seconds: float
    resident_bytes: int
    read_bytes: int = 0
    written_bytes: int = 0
    pids: tuple[int, ...] = ()


def usage(name: str, process: psutil.Process) -> Usage:
    """Return what one process uses, under a name.

    Raises
    ------
    psutil.Error
        It has ended, or belongs to another user.
    """
    times = process.cpu_times()
    seconds = times.user + times.system + times.children_user + times.children_system
    disk = process.io_counters() if hasattr(process, "io_counters") else None  # macOS does not tell
    read, written = (disk.read_bytes, disk.write_bytes) if disk is not None else (0, 0)
    return Usage(name, seconds, process.memory_info().rss, read, written, (process.pid,))


class Sampler:
    """Samples the stack whose state folder is `home`.

    A sampler remembers the name of every process it has seen: a process that sets its title, as
    Airflow's do, overwrites its environment, and then only its past tells whose it is.
    """

    def __init__(self, home: Path) -> None:
        self._home = home.absolute()
        self._names: dict[tuple[int, float], str | None] = {}

    def sample(self) -> tuple[Usage, ...]:
        """Return the usage by name, in the order of the names."""
        found: dict[str, list[Usage]] = defaultdict(list)
        seen: dict[tuple[int, float], str | None] = {}
        by_pid: dict[int, str | None] = {}
        for process in sorted(psutil.process_iter(), key=lambda p: (p.create_time(), p.pid)):
            try:
                name = self._name(process, by_pid)
                by_pid[process.pid] = seen[process.pid, process.create_time()] = name
                if name is None:
                    continue
                found[name].append(usage(name, process))
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue  # it ended while we looked, or is another user's and so not ours
        self._names = seen
        return tuple(_together(found[name]) for name in sorted(found))

    def _name(self, process: psutil.Process, by_pid: dict[int, str | None]) -> str | None:
        """Name a process of the stack; None for any other. Parents are named before their children."""
        parents = by_pid.get(process.ppid())
        env = process.environ()
        if any(env.get(key) and Path(env[key]).absolute() == self._home for key in _HOMES):
            return next((env[key] for key in _NAMES if env.get(key)), None) or parents or _UNNAMED
        return self._names.get((process.pid, process.create_time())) or parents


def _together(parts: list[Usage]) -> Usage:
    return Usage(
        parts[0].process,
        sum(part.cpu_seconds for part in parts),
        sum(part.resident_bytes for part in parts),
        sum(part.read_bytes for part in parts),
        sum(part.written_bytes for part in parts),
        tuple(sorted(pid for part in parts for pid in part.pids)),
    )
