"""Measured figures, and what they were measured on."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured figure; `met` is None where it has no target."""

    line: str
    what: str
    value: float
    unit: str
    target: str = ""
    met: bool | None = None
    note: str = ""

    def __str__(self) -> str:
        verdict = {None: "", True: "met", False: "NOT MET"}[self.met]
        value = f"{self.value:,.4g}" if abs(self.value) < 10_000 else f"{self.value:,.0f}"
        return (
            f"{self.what:<58} {value:>12} {self.unit:<8} {self.target:>12} {verdict:<8} {self.note}".rstrip()
        )


def surroundings() -> dict[str, Any]:
    """Return what the figures were measured on."""
    packages = {name: version(name) for name in ("numpy", "pyarrow", "pandas")}
    model = next((line.split(":")[1].strip() for line in _open_cpu() if line.startswith("model name")), "")
    cores = sorted(os.sched_getaffinity(0))
    return {
        "cpu": model,
        "cores": cores,
        "python": platform.python_version(),
        **packages,
        "load": os.getloadavg(),
    }


def _open_cpu() -> list[str]:
    """Return the lines that the kernel says of the processor."""
    return Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()


def line(around: Mapping[str, Any]) -> str:
    """Return the surroundings as a line to print."""
    return " ".join(f"{key}={value}" for key, value in around.items())


def write(file: Path, around: Mapping[str, Any], figures: Sequence[Figure]) -> None:
    """Write figures and their surroundings as JSON."""
    answer = {"around": around, "figures": [asdict(each) for each in figures]}
    file.write_text(json.dumps(answer, indent=1), encoding="utf-8")
