"""The GPUs of the machine, by NVIDIA's management library (NVML), where there is one."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

_MILLI = 1e-3
_Reading = TypeVar("_Reading")


@dataclass(frozen=True, slots=True)
class GpuUsage:
    """One GPU.

    Parameters
    ----------
    busy_ratio
        Share of the last sample period in which it was busy, in [0, 1].
    power_watts
        Power of the whole board; None where it has no sensor.
    energy_joules
        Energy since the driver was loaded; None before the Volta generation.
    pids
        Processes that hold a context for computing.
    """

    gpu: str
    busy_ratio: float
    memory_used_bytes: int
    memory_total_bytes: int
    power_watts: float | None = None
    energy_joules: float | None = None
    pids: tuple[int, ...] = ()


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
    power = _if_there(nvml, nvml.nvmlDeviceGetPowerUsage, device)
    energy = _if_there(nvml, nvml.nvmlDeviceGetTotalEnergyConsumption, device)
    processes = _if_there(nvml, nvml.nvmlDeviceGetComputeRunningProcesses, device) or ()
    return GpuUsage(
        str(index),
        nvml.nvmlDeviceGetUtilizationRates(device).gpu / 100,
        int(memory.used),
        int(memory.total),
        None if power is None else power * _MILLI,
        None if energy is None else energy * _MILLI,
        tuple(process.pid for process in processes),
    )


def _if_there(nvml: Any, read: Callable[[Any], _Reading], device: Any) -> _Reading | None:
    """Ask for what not every GPU tells."""
    try:
        return read(device)
    except nvml.NVMLError:
        return None
