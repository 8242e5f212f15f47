"""The log's table stays small and quick by itself, and readers notice nothing but that."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import orjson
import pytest
from deltalake import DeltaTable

import spec
from monitors.tables import inference_log
from serving.log import packing
from serving.log.delta_table import LogTable
from serving.log.packing import Request, Rows, pack
from serving.log.spool import Segment
from serving.log.upkeep import Upkeep

TIDES = spec.loads("""
model: tides
task: binary
data: {inference_log: log, labels: labels, id: id, time: at, target: {name: late}}
features: {depth: numeric}
""")
NOW = datetime(2024, 2, 29, 12, tzinfo=UTC)
Commit = Callable[..., None]


@pytest.fixture
def settings(tmp_path: Path) -> spec.Settings:
    """A home at noon of a leap day."""
    spec.set_clock(tmp_path / "clock", NOW)
    return spec.Settings.from_env({"TRIMTAB_HOME": str(tmp_path), "TRIMTAB_CLOCK": str(tmp_path / "clock")})


@pytest.fixture
def commit() -> Commit:
    """Commit one row as the segment of a number."""

    def write(table: LogTable, number: int, at: datetime = NOW, boot: str = "boot") -> None:
        time = int(at.timestamp() * 1e6)
        request = Request(1, f"{boot}-{number}", None, [time], shadow=False, latency_ms=0.25)
        numbers, scores = np.array([[1.5]]), np.array([[0.75]])
        row = Rows(boot, number, time, "3", "blue", [request], {}, numbers, scores)
        table.append(Segment(Path("none"), boot, number, packing.header(TIDES), [pack(row)], damaged=False))

    return write


def small(settings: spec.Settings, **changed: object) -> LogTable:
    """A table that is tidied at every eighth version."""
    return LogTable(
        str(settings.home / "log"),
        Upkeep(settings.clock, **({"compact_every": 8, "vacuum_every": 16} | changed)),
    )


def files(settings: spec.Settings) -> list[str]:
    """The data files of the newest version."""
    return DeltaTable(settings.home / "log").file_uris()


def ids(settings: spec.Settings) -> list[str]:
    """What readers see."""
    return sorted(inference_log.read(TIDES, settings)["prediction_id"].to_pylist())


def test_small_files_are_merged_whoever_wrote_them(settings: spec.Settings, commit: Commit) -> None:
    """Two slots write in turn: the table has few files and every row, each once."""
    slots = [small(settings) for _ in range(2)]
    for number in range(12):
        for name, slot in zip(spec.SLOTS, slots, strict=True):
            commit(slot, number, boot=name)

    assert len(files(settings)) < 9
    assert sorted(f"{slot}-{number}" for slot in spec.SLOTS for number in range(12)) == ids(settings)


def test_a_server_that_restarts_at_every_commit_merges_too(settings: spec.Settings, commit: Commit) -> None:
    """What is due follows from the table and not from the life of a process."""
    for number in range(20):
        commit(small(settings), number, boot=f"boot{number}")

    assert len(files(settings)) < 9
    assert 20 == len(ids(settings))


def test_each_day_is_merged_once(settings: spec.Settings, commit: Commit) -> None:
    """A day that has become one file is left alone: nothing writes it again."""
    table, yesterday = small(settings), NOW - timedelta(days=1)
    for number in range(8):
        commit(table, number, yesterday)
    (merged,) = [file for file in files(settings) if "2024-02-28" in file]
    for number in range(8, 24):
        commit(table, number)

    assert merged in files(settings)


def test_readers_miss_no_row_while_files_are_merged(settings: spec.Settings, commit: Commit) -> None:
    """Every look, at any moment, has each row that was committed before it, and none twice."""
    table = small(settings, compact_every=2, vacuum_every=2)
    commit(table, 0)
    committed, wrong, looks = [1], [], [0]

    def look() -> None:
        while committed[0] < 24:
            known = committed[0]
            seen = ids(settings)
            looks[0] += 1
            if len(seen) < known or len(set(seen)) != len(seen):
                wrong.append((known, seen))

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(1, 24):
        commit(table, number)
        committed[0] = number + 1
    reader.join()

    assert [] == wrong
    assert looks[0]
    assert len(files(settings)) < 3


def test_days_beyond_the_retention_are_deleted_whole(settings: spec.Settings, commit: Commit) -> None:
    """The day that holds the limit stays whole; older ones are gone from the table."""
    table = small(settings, retention=timedelta(days=10))
    for number, age in enumerate((30, 11, 10, 9)):
        commit(table, number, NOW - timedelta(days=age))
    commit(table, 4, NOW.replace(hour=0) - timedelta(days=10))
    assert 5 == len(ids(settings))
    for number in range(5, 9):
        commit(table, number)

    days = DeltaTable(settings.home / "log").to_pyarrow_table()["event_date"].to_pylist()
    assert ["2024-02-19", "2024-02-19", "2024-02-20"] == sorted(days)[:3]
    assert 7 == len(days)


def test_without_a_retention_nothing_is_deleted(settings: spec.Settings, commit: Commit) -> None:
    """A year is no age by itself."""
    table = small(settings)
    for number in range(10):
        commit(table, number, NOW - timedelta(days=400 * number))

    assert 10 == len(ids(settings))


def test_a_deleted_day_is_no_change_of_its_windows(settings: spec.Settings, commit: Commit) -> None:
    """Monitors keep what they know of windows whose rows have outlived the retention; merged days too."""
    for number in range(7):
        commit(small(settings), number, NOW - timedelta(days=30 * (number % 2)))
    seen, first = inference_log.changes(TIDES, settings)
    assert 2 == len(first)
    commit(small(settings, retention=timedelta(days=10)), 7)

    _, touched = inference_log.changes(TIDES, settings, seen)

    assert 5 == len(ids(settings))
    assert {NOW.replace(hour=0)} == touched


def test_files_that_no_version_of_the_day_needs_are_deleted(settings: spec.Settings, commit: Commit) -> None:
    """A merge leaves the old files for readers; a day later the vacuum takes them off the disk."""
    table = small(settings)
    for number in range(8):
        commit(table, number)
    folder = settings.home / "log"
    left = set(folder.rglob("*.parquet")) - {Path(file) for file in files(settings)}
    assert left
    aged = DeltaTable(folder)
    aged.alter.set_table_properties({"delta.deletedFileRetentionDuration": "interval 0 seconds"})
    for number in range(8, 20):
        commit(table, number)

    assert not [file for file in left if file.exists() and "checkpoint" not in file.name]


@pytest.mark.parametrize(
    ("retention", "more", "problem"),
    [
        ("2d", "", "must be at least 2w, for retrain.holdout"),
        ("20d", "retrain: {window: 90d}", "must be at least 90d, for retrain.window"),
        ("20d", "monitor: {window: 1w}", "must be at least"),
    ],
)
def test_a_retention_that_starves_monitors_or_retraining_is_refused(
    retention: str, more: str, problem: str
) -> None:
    """What is judged together, held out, or trained on has to be there still."""
    text = TIDES.model_dump_json(by_alias=True, exclude_defaults=True)
    kept = text.replace('"inference_log":"log"', f'"inference_log":"log","retention":"{retention}"')
    with pytest.raises(spec.SpecError, match=problem):
        spec.loads(f"{kept}" if not more else _with(kept, more))


def _with(text: str, more: str) -> str:
    key, _, value = more.partition(": ")
    name, _, span = value.strip("{}").partition(": ")
    return orjson.dumps(orjson.loads(text) | {key: {name: span}}).decode()
