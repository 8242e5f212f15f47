"""What each version took in its slot: a slot's process answers with one version at a time.

What it took since the last look goes to the version that stands in the slot now, so that a swap is off by no
more than one look; loading the next version is on the present one's account.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from monitors.deployment import Deployment
from monitors.operations.energy import Look, Source, grown, spent
from spec import ModelSpec
from spec.cost import JOULES_A_KWH, Cost


@dataclass(frozen=True, slots=True)
class SlotUsage:
    """What a version took in a slot since it was first seen there; it begins again when it comes back.

    Parameters
    ----------
    resident_bytes
        Memory of the slot's process now.
    joules
        By component and method.
    price, grams
        What the energy and the CPU time cost, in `currency`, and its grams of CO2 equivalent; None where the
        spec states no factor.
    """

    model: str
    version: str
    slot: str
    cpu_seconds: float
    resident_bytes: int
    read_bytes: float
    written_bytes: float
    joules: Mapping[Source, float]
    price: float | None
    currency: str
    grams: float | None


class Slots:
    """Accounts for every version that stands in a slot."""

    def __init__(self) -> None:
        self._before: Look | None = None
        self._accounts: dict[_Key, _Account] = {}

    def look(self, now: Look, models: Iterable[tuple[ModelSpec, Deployment]]) -> tuple[SlotUsage, ...]:
        """Add what was taken since the last look; return every version whose slot runs on this machine."""
        before, self._before = self._before, now
        accounts, found = self._accounts, []
        self._accounts = {}
        for spec, deployment in models:
            for slot, version in sorted(deployment.versions.items()):
                process = f"{spec.model}-{slot}"
                if process not in now.processes:
                    continue
                key = (spec.model, version, slot)
                account = self._accounts[key] = accounts.get(key, _Account())
                if before is not None:
                    account.add(before, now, process, spec.monitor.cost)
                found.append(account.usage(key, now.processes[process].resident_bytes, spec.monitor.cost))
        return tuple(found)


_Key = tuple[str, str, str]


@dataclass(slots=True)
class _Account:
    cpu_seconds: float = 0.0
    read_bytes: float = 0.0
    written_bytes: float = 0.0
    joules: defaultdict[Source, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, before: Look, now: Look, process: str, cost: Cost) -> None:
        usage, last = now.processes[process], before.processes.get(process)
        self.cpu_seconds += grown(last, usage, "cpu_seconds")
        self.read_bytes += grown(last, usage, "read_bytes")
        self.written_bytes += grown(last, usage, "written_bytes")
        for source, joules in spent(before, now, process, cost).items():
            self.joules[source] += joules

    def usage(self, key: _Key, resident_bytes: int, cost: Cost) -> SlotUsage:
        joules = sum(self.joules.values())
        return SlotUsage(
            *key,
            self.cpu_seconds,
            resident_bytes,
            self.read_bytes,
            self.written_bytes,
            dict(self.joules),
            cost.price(joules, self.cpu_seconds),
            cost.currency,
            None if cost.carbon_g_per_kwh is None else cost.carbon_g_per_kwh * joules / JOULES_A_KWH,
        )
