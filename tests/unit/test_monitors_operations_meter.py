from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitors.operations.meter import Meter
from monitors.operations.processes import Usage
from monitors.windows import Window
from spec import Clock, ModelSpec, Settings, loads
from spec.clock import set_clock

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
WINDOW = Window(START, START + HOUR)
MB = 1_000_000


class Time(Clock):
    """A wall clock that stands where it is put."""

    at = START

    def now(self) -> datetime:
        """Return the time that was set."""
        return self.at


class Machine:
    """What a machine's processes take, as a sampler tells it."""

    usage = Usage("shop-blue", 10.0, 200 * MB, pids=(7,))

    def sample(self) -> tuple[Usage, ...]:
        """Return the slot's process and another."""
        return (Usage("envoy", 99.0, 900 * MB, pids=(8,)), self.usage)


class Shop:
    """A model with version 1 in its first slot, and a meter that looks at it."""

    def __init__(self, home: Path, write_log: Callable[..., None]) -> None:
        self._write_log = write_log
        self.spec: ModelSpec = loads(
            "{model: shop, task: binary, features: {x: numeric}, monitor: {window: 1h}, "
            "data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y}}}"
        )
        self.clock, self.machine = Time(), Machine()
        self.settings = replace(Settings.from_env({"TRIMTAB_HOME": str(home)}), clock=self.clock)
        self.meter = Meter(self.settings, self.machine)  # type: ignore[arg-type]
        self.holds("1")

    def holds(self, version: str) -> None:
        """Put a version into the slot."""
        file = self.settings.home / "slots" / "shop-blue.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"version": version}))

    def look(self, minutes: float, cpu_seconds: float, megabytes: int = 200) -> None:
        """Look at the slot so many minutes after the start of the window."""
        self.clock.at = START + minutes * MINUTE
        self.machine.usage = replace(
            self.machine.usage, cpu_seconds=cpu_seconds, resident_bytes=megabytes * MB
        )
        self.meter.look([self.spec])

    def answers(self, *, live: int, mirrored: int) -> None:
        """Log rows of version 1 in the window."""
        rows = [{"event_time": START + MINUTE, "shadow": row >= live} for row in range(live + mirrored)]
        self._write_log(self.spec, self.settings, rows)

    def measured(self, version: str = "1", window: Window = WINDOW) -> dict[str, tuple[float, int | None]]:
        """What was measured of a version in the slot: the number, and what it was made of."""
        found = self.meter.measured(self.spec, version, window)
        assert {"blue"} >= {number.method for number in found}
        return {number.name: (number.value, number.n) for number in found}


@pytest.fixture
def shop(tmp_path: Path, write_log: Callable[..., None]) -> Shop:
    """A shop whose slot has not been looked at."""
    return Shop(tmp_path, write_log)


def test_a_whole_window_tells_memory_and_cpu_time_of_its_rows(shop: Shop) -> None:
    """The median of the memory; the CPU time within the window, a look across its border shared out."""
    shop.answers(live=40, mirrored=10)
    for minutes, cpu, megabytes in (
        (-10, 0, 150),
        (10, 20, 200),
        (30, 30, 260),
        (50, 40, 210),
        (70, 60, 900),
    ):
        shop.look(minutes, cpu, megabytes)

    measured = shop.measured()
    memory, looks = measured["slot_resident_memory_bytes"]
    seconds, rows = measured["slot_cpu_seconds"]
    assert memory == 210 * MB
    assert looks == 3
    assert seconds == pytest.approx(10 + 10 + 10 + 10)
    assert rows == 50
    assert shop.measured("2") == {}


def test_a_window_that_was_not_all_looked_at_tells_no_cpu_time(shop: Shop) -> None:
    """A daemon that began in the middle knows the memory; half of the CPU time for all rows is too little."""
    shop.answers(live=40, mirrored=0)
    for minutes in (30, 45, 61):
        shop.look(minutes, minutes)

    assert list(shop.measured()) == ["slot_resident_memory_bytes"]


def test_a_version_is_charged_with_what_it_took_alone(shop: Shop) -> None:
    """Between two looks at different versions, or processes, nobody knows whose the CPU time was."""
    shop.answers(live=40, mirrored=0)
    shop.look(-1, 0)
    shop.look(20, 20)
    shop.holds("2")
    shop.look(40, 90)
    shop.look(61, 99)

    assert "slot_cpu_seconds" not in shop.measured() | shop.measured("2")


def test_a_window_without_rows_has_no_cpu_time_a_row(shop: Shop) -> None:
    """There is nothing to divide by."""
    for minutes in (-1, 20, 40, 61):
        shop.look(minutes, minutes)

    assert list(shop.measured()) == ["slot_resident_memory_bytes"]


def test_what_is_long_closed_is_forgotten(shop: Shop) -> None:
    """Its result is in the store; a daemon that runs for years keeps a few windows."""
    for minutes in (5, 10, 15, 70, 500):
        shop.look(minutes, minutes)

    assert shop.measured() == {}


def test_a_replay_is_not_looked_at(tmp_path: Path, shop: Shop) -> None:
    """Its weeks pass in seconds: what warms up in them is no leak."""
    set_clock(tmp_path / "now", START)
    settings = replace(shop.settings, clock=Clock(tmp_path / "now"))
    meter = Meter(settings, shop.machine)  # type: ignore[arg-type]
    for _ in range(3):
        meter.look([shop.spec])

    assert meter.measured(shop.spec, "1", WINDOW) == ()
