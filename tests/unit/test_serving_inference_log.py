import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from deltalake import DeltaTable

import spec
from serving.log import delta_table, packing
from serving.log.delta_table import LogTable
from serving.log.inference_log import Answered, InferenceLog
from serving.log.spool import Segment, Spool, read_segment
from serving.log.upkeep import Upkeep
from serving.metrics import ServingMetrics
from serving.protocol import Prediction, Protocol
from spec.tables import log_columns

TIDES = spec.loads("""
model: tides
task: binary
data: {inference_log: tides/log, labels: tides/labels, id: id, time: at, target: {name: late}}
features: {depth: numeric, spring: boolean, port: categorical}
""")
NOW = datetime(2024, 2, 29, 12, 0, tzinfo=UTC)
Write = Callable[..., Segment]
UPKEEP = Upkeep(spec.Clock())


@pytest.fixture
def settings(tmp_path: Path) -> spec.Settings:
    """A home in a temporary folder, at noon of a leap day."""
    clock = tmp_path / "clock"
    spec.set_clock(clock, NOW)
    return spec.Settings.from_env({"TRIMTAB_HOME": str(tmp_path), "TRIMTAB_CLOCK": str(clock)})


@pytest.fixture
def segment(tmp_path: Path) -> Write:
    """Spool one row an id and read the segment back."""

    def write(*ids: str, model: spec.ModelSpec = TIDES, **features: Any) -> Segment:
        spool = Spool(tmp_path / "segments", packing.header(model))
        row = {"f_depth": 1.5, "f_spring": None, "f_port": "Brest"} | features
        numbers = np.array([[row.pop(name) for name in packing.number_columns(log_columns(model))]])
        text = {name: [value] for name, value in row.items()}
        for number, one in enumerate(ids):
            request = packing.Request(1, one, None, [86_400_000_000], shadow=False, latency_ms=0.25)
            found = packing.Rows(
                "r",
                number,
                86_400_000_001,
                "3",
                "blue",
                [request],
                text,
                numbers.astype(float),
                np.array([[0.75]]),
            )
            spool.append(packing.pack(found))
        path = spool.sealed()[-1]
        spool.close()
        return read_segment(path)

    return write


def rows(settings: spec.Settings) -> list[dict[str, Any]]:
    """Every row of the log as it lies there."""
    return DeltaTable(settings.home / "tides/log").to_pyarrow_table().to_pylist()


def answer(log: InferenceLog, identity: str, rows: int = 1) -> None:
    """Log one answered request."""
    inputs = [
        {"name": "depth", "shape": [rows], "datatype": "FP64", "data": [1.5] * rows},
        {"name": "spring", "shape": [rows], "datatype": "BOOL", "data": [True] * rows},
        {"name": "port", "shape": [rows], "datatype": "BYTES", "data": [None] * rows},
    ]
    request = Protocol(TIDES).parse(orjson.dumps({"id": identity, "inputs": inputs}), "unused")
    scores = np.array([[0.25, 0.75]] * rows, dtype=np.float32)
    log.append([Answered(request, Prediction([1] * rows, scores), shadow=False, latency_ms=0.25)], "3")


def test_a_segment_becomes_rows_of_the_log(segment: Write) -> None:
    """Columns, types and values are those that the spec promises to readers."""
    table = delta_table.to_arrow(segment("a"))

    assert table.schema.names == list(log_columns(TIDES))
    assert table.to_pylist() == [
        {
            "row_id": "r-0",
            "prediction_id": "a",
            "event_time": datetime(1970, 1, 2, tzinfo=UTC),
            "event_date": "1970-01-02",
            "logged_at": datetime(1970, 1, 2, 0, 0, 0, 1, tzinfo=UTC),
            "version": "3",
            "slot": "blue",
            "shadow": False,
            "latency_ms": 0.25,
            "scores": [0.75],
            "f_depth": 1.5,
            "f_spring": None,
            "f_port": "Brest",
        }
    ]


def test_large_whole_numbers_are_logged(segment: Write) -> None:
    """A whole number that a double only approximates does not hold up the log."""
    table = delta_table.to_arrow(segment("a", f_depth=2**64 - 1))

    assert table["f_depth"].to_pylist() == [float(2**64)]


def test_a_segment_is_committed_once(segment: Write, tmp_path: Path) -> None:
    """A second commit of a segment, as after a death between commit and clean-up, adds no row."""
    table = LogTable(str(tmp_path / "log"), UPKEEP)
    one = segment("a", "b")

    assert [table.append(one), table.append(one)] == [2, 0]
    assert LogTable(str(tmp_path / "log"), UPKEEP).append(one) == 0
    assert table.append(replace(one, number=one.number + 1)) == 2
    assert DeltaTable(tmp_path / "log").to_pyarrow_table().num_rows == 4


def test_the_table_is_partitioned_by_day(segment: Write, tmp_path: Path) -> None:
    """Readers of a span of time open only its days."""
    LogTable(str(tmp_path / "log"), UPKEEP).append(segment("a"))

    assert DeltaTable(tmp_path / "log").metadata().partition_columns == ["event_date"]


def test_both_slots_may_make_the_table(segment: Write, tmp_path: Path) -> None:
    """Writers that find no table at the same moment end up in one table with all rows."""
    writers = 4
    start = threading.Barrier(writers)
    one = segment("a")

    def write(number: int) -> None:
        mine = replace(one, boot=f"boot{number}")
        start.wait()
        LogTable(str(tmp_path / "log"), UPKEEP).append(mine)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert DeltaTable(tmp_path / "log").to_pyarrow_table().num_rows == writers


def test_a_new_feature_widens_the_table(segment: Write, tmp_path: Path) -> None:
    """A spec with one more feature goes on in the same table; older rows are null there."""
    wider = spec.loads(spec_text(TIDES, "moon: numeric"))
    table = LogTable(str(tmp_path / "log"), UPKEEP)
    table.append(segment("a"))
    table.append(replace(segment("b", model=wider, f_moon=0.5), boot="other"))

    moons = DeltaTable(tmp_path / "log").to_pyarrow_table().sort_by("prediction_id")["f_moon"]
    assert moons.to_pylist() == [None, 0.5]


def spec_text(model: spec.ModelSpec, feature: str) -> str:
    """The YAML of a spec with one more feature."""
    content = model.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    name, kind = feature.split(": ")
    content["features"][name] = {"type": kind}
    return orjson.dumps(content).decode()


def test_answers_reach_delta_on_their_own(settings: spec.Settings) -> None:
    """Without anyone asking, an answered row is in the table after about a second."""
    log = InferenceLog(TIDES, "blue", settings, ServingMetrics(TIDES, "blue"))
    answer(log, "a")
    assert log.pending() == 1

    deadline = threading.Event()
    for _ in range(200):
        if not log.pending():
            break
        deadline.wait(0.05)

    assert [row["prediction_id"] for row in rows(settings)] == ["a"]
    log.close()


def test_processing_time_is_the_clock_and_stands_in_for_event_time(settings: spec.Settings) -> None:
    """Rows carry the clock's time; a request without an event time happened now."""
    log = InferenceLog(TIDES, "blue", settings, ServingMetrics(TIDES, "blue"))
    answer(log, "a", rows=2)
    log.close()

    assert [(row["logged_at"], row["event_time"], row["event_date"]) for row in rows(settings)] == [
        (NOW, NOW, "2024-02-29")
    ] * 2
    assert [row["prediction_id"] for row in rows(settings)] == ["a/0", "a/1"]


def test_closing_commits_what_is_pending(settings: spec.Settings) -> None:
    """After close nothing is pending and the spool is empty."""
    log = InferenceLog(TIDES, "blue", settings, ServingMetrics(TIDES, "blue"))
    for number in range(50):
        answer(log, str(number))
    log.close()

    assert log.pending() == 0
    assert {row["prediction_id"] for row in rows(settings)} == {str(number) for number in range(50)}
    assert len({row["row_id"] for row in rows(settings)}) == 50
    assert list((settings.home / "spool/tides-blue").glob("*.spool")) == []


def test_a_failing_table_keeps_the_rows_and_says_so(
    settings: spec.Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """While Delta refuses, rows stay in the spool, failures are counted, and a restart commits them."""
    (settings.home / "tides").write_text("a file where the table's folder should be")
    metrics = ServingMetrics(TIDES, "blue")
    log = InferenceLog(TIDES, "blue", settings, metrics)
    answer(log, "a")
    log.close()

    exposition = metrics.exposition()[0].decode()
    assert 'trimtab_log_pending_rows{model="tides",slot="blue"} 1.0' in exposition
    assert 'trimtab_log_commit_failures_total{model="tides",slot="blue"} 0.0' not in exposition
    assert "answered rows do not reach Delta; they stay in the spool: " in caplog.text

    (settings.home / "tides").unlink()
    again = InferenceLog(TIDES, "blue", settings, ServingMetrics(TIDES, "blue"))
    assert again.pending() == 1
    again.close()
    assert [row["prediction_id"] for row in rows(settings)] == ["a"]


def test_a_segment_that_delta_never_takes_is_set_aside(
    settings: spec.Settings, segment: Write, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows of a feature that was numeric block nothing: they are kept, named, counted, and can come back."""
    numeric = spec.loads(spec_text(TIDES, "port: numeric"))
    LogTable(str(settings.home / "tides/log"), UPKEEP).append(segment("old", model=numeric, f_port=3.0))
    folder = settings.home / "spool/tides-blue"
    spool = Spool(folder, packing.header(TIDES))
    for identity, port in (("poison", "Brest"), ("next", None)):
        spool.append(segment(identity, f_port=port).records[0])
        spool.sealed()
    spool.close()

    metrics = ServingMetrics(TIDES, "blue")
    log = InferenceLog(TIDES, "blue", settings, metrics)
    log.close()

    assert {row["prediction_id"] for row in rows(settings)} == {"old", "next"}
    assert log.pending() == 0
    assert list(folder.glob("*.spool")) == []
    (kept,) = folder.glob("*.refused")
    assert f"1 answered rows are refused by Delta for good and kept in {kept}" in caplog.text
    assert "Cannot cast string 'Brest'" in caplog.text
    exposition = metrics.exposition()[0].decode()
    assert 'trimtab_log_commit_failures_total{model="tides",slot="blue"} 1.0' in exposition

    kept.rename(kept.with_suffix(".spool"))
    shutil.rmtree(settings.home / "tides/log")
    InferenceLog(TIDES, "blue", settings, ServingMetrics(TIDES, "blue")).close()
    assert [row["prediction_id"] for row in rows(settings)] == ["poison"]


def test_an_empty_or_torn_first_record_is_cleared_away(settings: spec.Settings) -> None:
    """Segments of a process that died in its first write hold no rows and do not stop the log."""
    folder = settings.home / "spool/tides-blue"
    folder.mkdir(parents=True)
    (folder / "0123456789abcdef-00000000.spool").write_bytes(b"")
    (folder / "0123456789abcdef-00000001.spool").write_bytes(b"\x10\x00\x00")

    log = InferenceLog(TIDES, "blue", settings, ServingMetrics(TIDES, "blue"))
    answer(log, "a")
    log.close()

    assert [row["prediction_id"] for row in rows(settings)] == ["a"]
    assert list(folder.glob("*.spool")) == []


def test_arrow_types_are_the_promised_ones(segment: Write) -> None:
    """Types in Arrow are named as the spec names them."""
    schema: pa.Schema = delta_table.to_arrow(segment("a")).schema

    named = {field.name: str(field.type).replace("item: ", "").replace("element: ", "") for field in schema}
    assert named == log_columns(TIDES)
