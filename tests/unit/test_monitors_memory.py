from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitors.ledger import HORIZON
from monitors.memory import Memory
from monitors.results.records import Measurement, MonitorName, WindowResult
from monitors.results.store import Store
from spec import ModelSpec, loads

HOUR = timedelta(hours=1)
START = datetime(2024, 5, 1, tzinfo=UTC)
SPEC: ModelSpec = loads(
    "{model: shop, task: binary, features: {x: numeric}, monitor: {window: 1h}, "
    "data: {inference_log: a, labels: b, id: id, time: t, target: {name: z}}}"
)


def result(monitor: MonitorName, hour: int, version: str = "1", value: float = 1.0) -> WindowResult:
    """The result of one hour."""
    start = START + hour * HOUR
    numbers = (Measurement("a", value),)
    return WindowResult(
        "shop", version, monitor, start, start + HOUR, 9, "ok", numbers, start, 0.1, None, "abc"
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with a hundred hours of two monitors, and one of another version."""
    with Store(f"sqlite:///{tmp_path / 'results.db'}") as new:
        for hour in range(100):
            new.save(result("quality", hour))
            new.save(result("drift", hour))
        new.save(result("drift", 99, version="2"))
        yield new


def hours(results: tuple[WindowResult, ...]) -> list[int]:
    """The hours of results."""
    return [(result.start - START) // HOUR for result in results]


def test_a_monitor_is_remembered_as_far_as_verdicts_look_back(store: Store) -> None:
    """Quality looks back over weeks, drift over the horizon of late data; what is older is forgotten."""
    memory = Memory(SPEC, store)

    assert hours(memory.of("1", "quality")) == list(range(100))
    assert hours(memory.of("1", "drift")) == list(range(99 - HORIZON, 100))
    assert min(hours(memory.newest("1"))) == 99 - HORIZON


def test_versions_are_told_apart(store: Store) -> None:
    """A version's results are its own; nobody's name asks for all."""
    memory = Memory(SPEC, store)

    assert hours(memory.of("2")) == [99]
    assert len(memory.of(None, "drift")) == HORIZON + 2


def test_what_was_seen_takes_the_place_of_what_was_read(store: Store) -> None:
    """A window that is computed again is remembered once, with its new number, without another reading."""
    memory = Memory(SPEC, store)
    memory.of("1")
    memory.saw(result("drift", 99, value=2.0))
    memory.saw(result("drift", 100))

    newest = memory.of("1", "drift")[-2:]
    assert hours(newest) == [99, 100]
    assert newest[0].measurements[0].value == 2.0
