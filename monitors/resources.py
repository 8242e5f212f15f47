"""What the processes of this stack use: CPU time, memory, and the GPU where there is one.

A process belongs to the stack when its environment names the stack's home, in TRIMTAB_HOME or, as that
of foreign servers does, in TRIMTAB_STACK, or when its parent does. It is named by TRIMTAB_PROCESS, or
SUPERVISOR_PROCESS_NAME, or as its parent is.
"""

from __future__ import annotations

import importlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

_HOMES = ("TRIMTAB_HOME", "TRIMTAB_STACK")
_NAMES = ("TRIMTAB_PROCESS", "SUPERVISOR_PROCESS_NAME")
_UNNAMED = "other"


@dataclass(frozen=True, slots=True)
class Usage:
    """What the processes of one name use together.

    `cpu_seconds` counts user and system time of the living and of children that they waited for;
    it starts again when the process does. `resident_bytes` counts shared pages once a process.
    """

    process: str
    cpu_seconds: float
    resident_bytes: int


@dataclass(frozen=True, slots=True)
class GpuUsage:
    """One GPU: the share of the last sample period in which it was busy, in [0, 1], and its memory."""

    gpu: str
    busy_ratio: float
    memory_used_bytes: int
    memory_total_bytes: int


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
        cpu: dict[str, float] = defaultdict(float)
        resident: dict[str, int] = defaultdict(int)
        seen: dict[tuple[int, float], str | None] = {}
        by_pid: dict[int, str | None] = {}
        for process in sorted(psutil.process_iter(), key=lambda p: (p.create_time(), p.pid)):
            try:
                name = self._name(process, by_pid)
                by_pid[process.pid] = seen[process.pid, process.create_time()] = name
                if name is None:
                    continue
                times = process.cpu_times()
                resident[name] += process.memory_info().rss
                cpu[name] += times.user + times.system + times.children_user + times.children_system
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue  # it ended while we looked, or is another user's and so not ours
        self._names = seen
        return tuple(Usage(name, cpu[name], resident[name]) for name in sorted(resident))

    def _name(self, process: psutil.Process, by_pid: dict[int, str | None]) -> str | None:
        """Name a process of the stack; None for any other. Parents are named before their children."""
        parents = by_pid.get(process.ppid())
        env = process.environ()
        if any(env.get(key) and Path(env[key]).absolute() == self._home for key in _HOMES):
            return next((env[key] for key in _NAMES if env.get(key)), None) or parents or _UNNAMED
        return self._names.get((process.pid, process.create_time())) or parents


def gpus() -> tuple[GpuUsage, ...]:
    """Return every GPU that NVIDIA's library sees; none where the library or the driver is missing."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return ()
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return ()  # no driver on this machine
    try:
        return tuple(_gpu(nvml, index) for index in range(nvml.nvmlDeviceGetCount()))
    finally:
        nvml.nvmlShutdown()


def _gpu(nvml: Any, index: int) -> GpuUsage:
    device = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = nvml.nvmlDeviceGetMemoryInfo(device)
    busy = nvml.nvmlDeviceGetUtilizationRates(device).gpu / 100
    return GpuUsage(str(index), busy, int(memory.used), int(memory.total))
