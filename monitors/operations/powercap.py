"""The machine's own energy counters: RAPL, as Linux shows it for Intel and for AMD under powercap.

A package counter holds cores, caches and memory controller; a ``dram`` counter, on servers, the memory.
Since 2020 only root may read them, unless somebody allows it (``chmod a+r /sys/class/powercap/*/energy_uj``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

ROOT = Path("/sys/class/powercap")
_ZONES = "intel-rapl:*"  # of AMD too; intel-rapl-mmio shows the same packages again
_MICRO = 1e-6

Component: TypeAlias = Literal["cpu", "memory", "gpu"]


@dataclass(frozen=True, slots=True)
class _Zone:
    """One counter of microjoules; it begins again at 0 beyond `span`."""

    file: Path
    component: Component
    span: int


class Powercap:
    """Counts the joules of packages and memory since the first look; nothing where no counter is readable.

    It must be asked more often than a counter wraps, which is after some minutes at full power.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self._zones = tuple(_zones(root))
        self._last = {zone: _read(zone.file) for zone in self._zones}
        self._joules: defaultdict[Component, float] = defaultdict(float)

    @property
    def components(self) -> frozenset[Component]:
        """What is counted: ``cpu``, and on servers ``memory``."""
        return frozenset(zone.component for zone in self._zones)

    def joules(self) -> Mapping[Component, float]:
        """Return the energy since the first look; a counter that cannot be read any more adds nothing."""
        for zone, last in self._last.items():
            now = _read(zone.file)
            if now is not None and last is not None:
                self._joules[zone.component] += (now - last) % zone.span * _MICRO
            self._last[zone] = now if now is not None else last
        return {component: self._joules[component] for component in self.components}


def _zones(root: Path) -> Iterator[_Zone]:
    for folder in sorted(root.glob(_ZONES)):
        component = _component(folder)
        span, now = _read(folder / "max_energy_range_uj"), _read(folder / "energy_uj")
        if component is not None and span and now is not None:
            yield _Zone(folder / "energy_uj", component, span + 1)


def _component(folder: Path) -> Component | None:
    """Say what a zone counts; None where another zone holds it already (cores, graphics, the platform)."""
    try:
        name = (folder / "name").read_text("ascii").strip()
    except OSError:
        return None
    if name.startswith("package"):
        return "cpu"
    return "memory" if name == "dram" else None


def _read(file: Path) -> int | None:
    try:
        return int(file.read_text("ascii"))
    except (OSError, ValueError):
        return None
