from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from monitors.operations.gpus import GpuUsage, gpus


class NVMLError(Exception):
    """What the library raises."""


def library(monkeypatch: pytest.MonkeyPatch, **lacks: Exception) -> ModuleType:
    """Put a management library of one GPU in place; functions named in `lacks` raise."""

    def fails(error: Exception) -> object:
        def read(_device: object) -> None:
            raise error

        return read

    nvml = ModuleType("pynvml")
    found = {
        "NVMLError": NVMLError,
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetMemoryInfo": lambda _: SimpleNamespace(used=3, total=8),
        "nvmlDeviceGetUtilizationRates": lambda _: SimpleNamespace(gpu=25),
        "nvmlDeviceGetPowerUsage": lambda _: 71_500,
        "nvmlDeviceGetTotalEnergyConsumption": lambda _: 2_000_000,
        "nvmlDeviceGetComputeRunningProcesses": lambda _: [SimpleNamespace(pid=7), SimpleNamespace(pid=9)],
    }
    for name, value in (found | {name: fails(error) for name, error in lacks.items()}).items():
        monkeypatch.setattr(nvml, name, value, raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    return nvml


def test_a_gpu_is_read_in_watts_and_joules(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library counts milliwatts, millijoules and percents."""
    library(monkeypatch)

    assert gpus() == (GpuUsage("0", 0.25, 3, 8, 71.5, 2000.0, (7, 9)),)


def test_a_gpu_without_a_sensor_has_no_power(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old and divided GPUs do not tell their power or energy: that is None, not 0."""
    lacks = ("nvmlDeviceGetPowerUsage", "nvmlDeviceGetTotalEnergyConsumption")
    library(monkeypatch, **{name: NVMLError("Not Supported") for name in lacks})

    assert gpus() == (GpuUsage("0", 0.25, 3, 8, None, None, (7, 9)),)


def test_a_machine_without_a_driver_has_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library may be installed where no driver is."""
    nvml = library(monkeypatch)

    def no_driver() -> None:
        raise NVMLError

    monkeypatch.setattr(nvml, "nvmlInit", no_driver)

    assert gpus() == ()


def test_a_machine_without_nvml_has_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where NVIDIA's library is not installed there is nothing to report, and no error."""
    monkeypatch.setitem(sys.modules, "pynvml", None)

    assert gpus() == ()
