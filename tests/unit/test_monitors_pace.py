from __future__ import annotations

import math
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from monitors.pace import Pace
from monitors.spec_folder import SpecFolder

DAY = timedelta(days=1)


@dataclass
class Clock:
    """A clock that runs `speed` times as fast as the wall."""

    speed: float
    wall: float = 0.0
    at: datetime = datetime(2024, 3, 10, tzinfo=UTC)

    def now(self) -> datetime:
        """The simulated time."""
        return self.at

    def advance(self, seconds: float) -> None:
        """Let wall time go by."""
        self.wall += seconds
        self.at += timedelta(seconds=seconds * self.speed)


def pace_of(clock: Clock) -> Pace:
    """A pace that measures the clock from now on."""
    return Pace(clock, lambda: clock.wall)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("speed", "expected"), [(1.0, 86400.0), (1.0001, 86400.0), (72000.0, 1.2), (0.0, math.inf)]
)
def test_a_day_takes_as_long_as_the_clock_lets_it(speed: float, expected: float) -> None:
    """The wall clock is taken for what it is in spite of jitter; a clock that stands still ends no day."""
    clock = Clock(speed)
    pace = pace_of(clock)
    clock.advance(10)

    assert pytest.approx(expected) == pace.wall_seconds(DAY)


def test_before_anything_was_measured_the_clock_is_taken_for_the_wall() -> None:
    """Nothing is called late on a guess."""
    assert DAY.total_seconds() == pace_of(Clock(72000.0)).wall_seconds(DAY)


def test_the_last_minute_counts() -> None:
    """A replay that slows down is followed, and forgets how it once ran."""
    clock = Clock(72000.0)
    pace = pace_of(clock)
    for _ in range(20):
        clock.advance(5)
        pace.wall_seconds(DAY)
    clock.speed = 7200.0
    for _ in range(20):
        clock.advance(5)
        pace.wall_seconds(DAY)

    assert pytest.approx(12.0) == pace.wall_seconds(DAY)


def test_specs_are_read_again_when_their_folder_changes(world: Any) -> None:
    """A model that is added, changed or removed is noticed; an untouched folder is not read."""
    folder = SpecFolder({"shop": world.spec}, world.settings.models)
    file = world.settings.models / "model.yaml"
    before = folder.current()

    other = file.read_text("utf-8").replace("model: shop", "model: store")
    (world.settings.models / "other.yaml").write_text(other, "utf-8")
    added = folder.current()
    file.unlink()

    assert (["shop"], ["shop", "store"], ["store"]) == (list(before), list(added), list(folder.current()))


def test_a_mistake_in_the_folder_keeps_the_last_good_specs(
    world: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Watching goes on, and the log says what to mend, once."""
    folder = SpecFolder({"shop": world.spec}, world.settings.models)
    file: Path = world.settings.models / "model.yaml"
    file.write_text("model: [", "utf-8")
    os.utime(file, (0, 0))

    assert {"shop": world.spec} == folder.current() == folder.current()
    assert [True] == ["model.yaml" in message for message in caplog.messages]
