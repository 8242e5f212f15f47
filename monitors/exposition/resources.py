"""What the stack's processes use, and which code exports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from monitors.exposition.families import Family, counter, gauge
from monitors.resources import GpuUsage, Usage


def of_resources(processes: Iterable[Usage], gpus: Iterable[GpuUsage]) -> Iterator[Family]:
    """Give what the stack's processes and, where there are any, the GPUs use."""
    cpu = counter("process_cpu_seconds", "CPU time of a process of the stack.", "process")
    memory = gauge("process_resident_memory_bytes", "Memory of a process of the stack.", "process")
    for usage in processes:
        cpu.add_metric((usage.process,), usage.cpu_seconds)
        memory.add_metric((usage.process,), usage.resident_bytes)
    yield from (cpu, memory)
    gpus = tuple(gpus)
    if gpus:
        busy = gauge("gpu_busy_ratio", "Share of time in which a GPU computes.", "gpu")
        used = gauge("gpu_memory_used_bytes", "Memory in use of a GPU.", "gpu")
        size = gauge("gpu_memory_size_bytes", "Memory of a GPU.", "gpu")
        for gpu in gpus:
            busy.add_metric((gpu.gpu,), gpu.busy_ratio)
            used.add_metric((gpu.gpu,), gpu.memory_used_bytes)
            size.add_metric((gpu.gpu,), gpu.memory_total_bytes)
        yield from (busy, used, size)


def of_build(version: str, revision: str) -> Family:
    """Give which code exports."""
    info = gauge("build_info", "1 for the code that exports.", "version", "revision")
    info.add_metric((version, revision), 1)
    return info


def of_store(*, is_up: bool) -> Family:
    """Give whether the results store answers; without it the series made from it are missing."""
    up = gauge("results_up", "1 if the results store answers, else 0.")
    up.add_metric((), float(is_up))
    return up
