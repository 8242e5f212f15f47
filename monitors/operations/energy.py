"""The energy that a process took between two looks at its machine, and how that was found.

======== ============ =================================================================================
part     method       joules
======== ============ =================================================================================
cpu      ``rapl``     of the packages' counters; the process's share of all CPU time that was not idle
cpu      ``tdp``      CPU seconds x watts a core: what codecarbon does for one process without a counter
memory   ``rapl``     of the memory's counter; the process's share of the memory in use
memory   ``constant`` resident GiB x seconds x watts a GiB: codecarbon's, before its version 3
gpu      ``nvml``     of each GPU's counter; one part for each process that holds a context on it
======== ============ =================================================================================

Shares divide the whole: what the machine draws while idle is borne by what runs. Neither the power supply's
losses, the disks nor the network are in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from monitors.operations.gpus import GpuUsage
from monitors.operations.machine import MachineUsage
from monitors.operations.powercap import Component
from monitors.operations.processes import Usage
from spec.cost import Cost

Method: TypeAlias = Literal["rapl", "tdp", "constant", "nvml"]
Source: TypeAlias = tuple[Component, Method]

_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Look:
    """All counters at one moment.

    Parameters
    ----------
    at
        Seconds of a clock that never goes back.
    processes
        By name.
    joules
        Energy since some moment of the components that the machine itself measures.
    """

    at: float
    processes: Mapping[str, Usage]
    machine: MachineUsage
    gpus: tuple[GpuUsage, ...]
    joules: Mapping[Component, float]


def spent(before: Look, now: Look, process: str, cost: Cost) -> Mapping[Source, float]:
    """Return the joules that the process of a name, which runs `now`, took since `before`."""
    usage = now.processes[process]
    seconds = grown(before.processes.get(process), usage, "cpu_seconds")
    found: dict[Source, float] = {}
    if "cpu" in now.joules:
        busy = now.machine.busy_seconds - before.machine.busy_seconds
        found["cpu", "rapl"] = _counted(before, now, "cpu") * _share(seconds, busy)
    else:
        found["cpu", "tdp"] = seconds * cost.watts_per_core
    if "memory" in now.joules:
        share = _share(usage.resident_bytes, now.machine.memory_used_bytes)
        found["memory", "rapl"] = _counted(before, now, "memory") * share
    else:
        gib = usage.resident_bytes / _GIB
        found["memory", "constant"] = gib * (now.at - before.at) * cost.watts_per_gib
    if parts := tuple(_of_gpus(before, now, usage)):
        found["gpu", "nvml"] = sum(parts)
    return found


def grown(
    before: Usage | None, now: Usage, counter: Literal["cpu_seconds", "read_bytes", "written_bytes"]
) -> float:
    """Return how much a counter of a process grew; all of it, if the process is new or started again."""
    value: float = getattr(now, counter)
    last: float = 0 if before is None else getattr(before, counter)
    return value - last if value >= last else value


def _of_gpus(before: Look, now: Look, usage: Usage) -> Iterator[float]:
    earlier = {gpu.gpu: gpu.energy_joules for gpu in before.gpus}
    for gpu in now.gpus:
        last, own = earlier.get(gpu.gpu), set(usage.pids) & set(gpu.pids)
        if own and last is not None and gpu.energy_joules is not None:
            yield max(gpu.energy_joules - last, 0.0) * len(own) / len(set(gpu.pids))


def _counted(before: Look, now: Look, component: Component) -> float:
    return now.joules[component] - before.joules.get(component, now.joules[component])


def _share(part: float, whole: float) -> float:
    """Return a share in [0, 1]; counters of different clocks may differ by a tick."""
    return min(part / whole, 1.0) if whole > 0 else 0.0
