"""One look at everything that the stack on this machine takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from monitors import deployment
from monitors.operations import machine
from monitors.operations.energy import Look
from monitors.operations.gpus import GpuUsage, gpus
from monitors.operations.machine import MachineUsage
from monitors.operations.powercap import Powercap
from monitors.operations.processes import Sampler, Usage
from monitors.operations.slots import Slots, SlotUsage
from spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Operations:
    """What the processes of the stack take, the machine, its GPUs, and the versions in their slots."""

    processes: tuple[Usage, ...] = ()
    machine: MachineUsage | None = None
    gpus: tuple[GpuUsage, ...] = ()
    slots: tuple[SlotUsage, ...] = ()


class Stack:
    """Looks at the stack whose state folder is `home`, one caller at a time; the first counts nothing."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._processes, self._powercap, self._slots = Sampler(home), Powercap(), Slots()
        self._looking = threading.Lock()

    def look(self, specs: Iterable[ModelSpec]) -> Operations:
        """Return what has been taken by now."""
        with self._looking:
            processes = self._processes.sample()
            now = Look(
                time.monotonic(),
                {usage.process: usage for usage in processes},
                machine.look(),
                gpus(),
                self._powercap.joules(),
            )
            models = ((spec, deployment.read(self._home, spec.model)) for spec in specs)
            return Operations(processes, now.machine, now.gpus, self._slots.look(now, models))
