"""What the stack, its machine and its versions use, and which code exports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from monitors.exposition.families import Family, counter, gauge
from monitors.operations.gpus import GpuUsage
from monitors.operations.processes import Usage
from monitors.operations.slots import SlotUsage
from monitors.operations.stack import Operations

_SLOT = ("model", "version", "slot")


def of_resources(found: Operations) -> Iterator[Family]:
    """Give what the stack's processes, the machine, its GPUs and the versions in the slots use."""
    yield from _of_processes(found.processes)
    network = counter("machine_network_bytes", "Bytes over the machine's networks.", "direction")
    if found.machine is not None:
        network.add_metric(("received",), found.machine.received_bytes)
        network.add_metric(("sent",), found.machine.sent_bytes)
    yield network
    yield from _of_gpus(found.gpus)
    yield from _of_slots(found.slots)
    yield from _of_costs(found.slots)


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


def _of_processes(processes: Iterable[Usage]) -> Iterator[Family]:
    cpu = counter("process_cpu_seconds", "CPU time of a process of the stack.", "process")
    memory = gauge("process_resident_memory_bytes", "Memory of a process of the stack.", "process")
    disk = counter("process_disk_bytes", "Bytes from and to disks.", "process", "direction")
    for usage in processes:
        cpu.add_metric((usage.process,), usage.cpu_seconds)
        memory.add_metric((usage.process,), usage.resident_bytes)
        disk.add_metric((usage.process, "read"), usage.read_bytes)
        disk.add_metric((usage.process, "written"), usage.written_bytes)
    yield from (cpu, memory, disk)


def _of_gpus(gpus: Iterable[GpuUsage]) -> Iterator[Family]:
    busy = gauge("gpu_busy_ratio", "Share of time in which a GPU computes.", "gpu")
    used = gauge("gpu_memory_used_bytes", "Memory in use of a GPU.", "gpu")
    size = gauge("gpu_memory_size_bytes", "Memory of a GPU.", "gpu")
    power = gauge("gpu_power_watts", "Power of a GPU's board.", "gpu")
    energy = counter("gpu_energy_joules", "Energy of a GPU since its driver was loaded.", "gpu")
    for gpu in gpus:
        busy.add_metric((gpu.gpu,), gpu.busy_ratio)
        used.add_metric((gpu.gpu,), gpu.memory_used_bytes)
        size.add_metric((gpu.gpu,), gpu.memory_total_bytes)
        if gpu.power_watts is not None:
            power.add_metric((gpu.gpu,), gpu.power_watts)
        if gpu.energy_joules is not None:
            energy.add_metric((gpu.gpu,), gpu.energy_joules)
    yield from (family for family in (busy, used, size, power, energy) if family.samples)


def _of_slots(slots: Iterable[SlotUsage]) -> Iterator[Family]:
    cpu = counter("slot_cpu_seconds", "CPU time of a version in its slot.", *_SLOT)
    memory = gauge("slot_resident_memory_bytes", "Memory of a slot's process.", *_SLOT)
    disk = counter("slot_disk_bytes", "Bytes from and to disks.", *_SLOT, "direction")
    for usage in slots:
        at = (usage.model, usage.version, usage.slot)
        cpu.add_metric(at, usage.cpu_seconds)
        memory.add_metric(at, usage.resident_bytes)
        disk.add_metric((*at, "read"), usage.read_bytes)
        disk.add_metric((*at, "written"), usage.written_bytes)
    yield from (cpu, memory, disk)


def _of_costs(slots: Iterable[SlotUsage]) -> Iterator[Family]:
    energy = counter("slot_energy_joules", "Energy of a version in its slot.", *_SLOT, "component", "method")
    price = counter("slot_cost", "What energy and CPU time cost.", *_SLOT, "currency")
    carbon = counter("slot_carbon_grams", "CO2 equivalents of the energy.", *_SLOT)
    for usage in slots:
        at = (usage.model, usage.version, usage.slot)
        for source, joules in usage.joules.items():
            energy.add_metric((*at, *source), joules)
        if usage.price is not None:
            price.add_metric((*at, usage.currency), usage.price)
        if usage.grams is not None:
            carbon.add_metric(at, usage.grams)
    yield from (energy, price, carbon)
