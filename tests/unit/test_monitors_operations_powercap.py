from __future__ import annotations

from pathlib import Path

import pytest

from monitors.operations.powercap import Powercap

SPAN = 262_143_328_850
"""Microjoules at which a package of a common server wraps, as its kernel says."""


def zone(root: Path, folder: str, name: str, energy: int, span: int = SPAN) -> Path:
    """Make a zone as the kernel's powercap shows it; return its counter."""
    (root / folder).mkdir()
    (root / folder / "name").write_text(f"{name}\n")
    (root / folder / "max_energy_range_uj").write_text(f"{span}\n")
    counter = root / folder / "energy_uj"
    counter.write_text(f"{energy}\n")
    return counter


def test_joules_are_counted_from_the_first_look(tmp_path: Path) -> None:
    """The counter's microjoules since the start become joules; two packages add up."""
    one, two = (zone(tmp_path, f"intel-rapl:{n}", f"package-{n}", 5_000_000) for n in range(2))
    counters = Powercap(tmp_path)
    one.write_text("6500000")
    two.write_text("7000000")

    assert counters.joules() == {"cpu": pytest.approx(3.5)}


def test_a_wrapped_counter_goes_on(tmp_path: Path) -> None:
    """Beyond the range that the kernel names the counter begins again at 0; nothing is lost or negative."""
    counter = zone(tmp_path, "intel-rapl:0", "package-0", SPAN - 1_999_999)
    counters = Powercap(tmp_path)
    counter.write_text("3000000")
    first = counters.joules()["cpu"]
    counter.write_text("4000000")

    assert [first, counters.joules()["cpu"]] == pytest.approx([5.0, 6.0])


def test_no_joule_is_counted_twice(tmp_path: Path) -> None:
    """A package holds cores and graphics, the platform holds it, MMIO shows it again; memory is apart."""
    names = {
        "intel-rapl:0": "package-0",
        "intel-rapl:0:0": "core",
        "intel-rapl:0:1": "uncore",
        "intel-rapl:0:2": "dram",
        "intel-rapl:1": "psys",
        "intel-rapl-mmio:0": "package-0",
    }
    files = [zone(tmp_path, folder, name, 0) for folder, name in names.items()]
    counters = Powercap(tmp_path)
    for file in files:
        file.write_text("1000000")

    assert counters.joules() == {"cpu": pytest.approx(1.0), "memory": pytest.approx(1.0)}


@pytest.mark.parametrize("text", ["", "no number"])
def test_a_counter_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    """A machine whose counters only root may read, or that has none, measures nothing."""
    zone(tmp_path, "intel-rapl:0", "package-0", 0).write_text(text)

    assert (Powercap(tmp_path).joules(), Powercap(tmp_path / "missing").joules()) == ({}, {})


def test_a_counter_that_falls_silent_adds_nothing_until_it_is_back(tmp_path: Path) -> None:
    """What it counted meanwhile is not lost: the next reading holds it."""
    counter = zone(tmp_path, "intel-rapl:0", "package-0", 0)
    counters = Powercap(tmp_path)
    counter.write_text("")
    silent = counters.joules()["cpu"]
    counter.write_text("2000000")

    assert [silent, counters.joules()["cpu"]] == pytest.approx([0.0, 2.0])
