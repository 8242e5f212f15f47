from __future__ import annotations

import contextlib
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from monitors.tables import inference_log
from spec import DataError, RequestError, Unavailable
from spec.tables import log_columns

DAY = timedelta(days=1)
MIDNIGHT = datetime(2024, 3, 10, tzinfo=UTC)


def ids(table: pa.Table) -> list[str]:
    """The predictions of a table, in order."""
    return table["prediction_id"].to_pylist()


def test_a_log_that_does_not_exist_has_no_rows_and_all_columns(world: Any) -> None:
    """A model that never answered reads as an empty table of the log's columns."""
    table = inference_log.read(world.spec, world.settings)

    assert (list(log_columns(world.spec)), 0) == (table.column_names, table.num_rows)


def test_the_end_of_a_span_is_not_in_it(world: Any) -> None:
    """A row at the start is read, one at the end is not."""
    for name, time in {"in": MIDNIGHT, "late": MIDNIGHT + DAY}.items():
        world.write_log([{"prediction_id": name, "event_time": time}])

    assert ids(inference_log.read(world.spec, world.settings, MIDNIGHT, MIDNIGHT + DAY)) == ["in"]


def test_only_the_asked_days_are_opened(world: Any) -> None:
    """Files of other days are not touched: they may even be broken."""
    world.write_log([{"event_time": MIDNIGHT - DAY}])
    world.write_log([{"prediction_id": "today", "event_time": MIDNIGHT}])
    log = Path(world.settings.location(world.spec.data.inference_log))
    for file in log.glob("event_date=2024-03-09/*.parquet"):
        file.write_bytes(b"broken")

    assert ids(inference_log.read(world.spec, world.settings, MIDNIGHT)) == ["today"]
    with pytest.raises((Unavailable, DataError), match="inference"):
        inference_log.read(world.spec, world.settings)


def test_a_row_that_was_committed_twice_is_read_once(world: Any) -> None:
    """A batch that a crashed server committed again does not count again."""
    batch = [{"prediction_id": "a"}, {"prediction_id": "b"}]
    world.write_log(batch)
    world.write_log([*batch, {"prediction_id": "c"}])

    assert sorted(ids(inference_log.read(world.spec, world.settings))) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("shadow", "expected"), [(False, ["live"]), (True, ["mirror"]), (None, ["live", "mirror"])]
)
def test_shadow_rows_are_read_when_asked_for(world: Any, shadow: bool | None, expected: list[str]) -> None:
    """Live answers, mirrored ones or both."""
    world.write_log([{"prediction_id": "live"}, {"prediction_id": "mirror", "shadow": True}])

    assert expected == sorted(ids(inference_log.read(world.spec, world.settings, shadow=shadow)))


def test_one_version_can_be_read(world: Any) -> None:
    """Only the rows of the version that was asked for."""
    world.write_log([{"prediction_id": "a", "version": "1"}, {"prediction_id": "b", "version": "2"}])

    assert ids(inference_log.read(world.spec, world.settings, version="2")) == ["b"]


def test_a_naive_time_is_refused(world: Any) -> None:
    """Event time is UTC; a time without a zone could be anything."""
    naive = datetime(2024, 3, 10)  # noqa: DTZ001 - the mistake

    with pytest.raises(RequestError, match="start: must be a timezone-aware time"):
        inference_log.read(world.spec, world.settings, naive)


def test_changes_name_the_windows_of_new_rows_only(world: Any) -> None:
    """The first look names all windows, the next only those that got rows since, late ones too."""
    world.write_log([{"event_time": MIDNIGHT}, {"event_time": MIDNIGHT + DAY}])
    seen, first = inference_log.changes(world.spec, world.settings)
    world.write_log([{"event_time": MIDNIGHT - 3 * DAY + timedelta(hours=5)}])
    seen, second = inference_log.changes(world.spec, world.settings, seen)
    _, third = inference_log.changes(world.spec, world.settings, seen)

    assert {MIDNIGHT, MIDNIGHT + DAY} == first
    assert {MIDNIGHT - 3 * DAY} == second
    assert frozenset() == third


def test_changes_of_no_log_are_none(world: Any) -> None:
    """A log that does not exist changed nowhere."""
    assert ({}, frozenset()) == inference_log.changes(world.spec, world.settings)


def test_merged_files_are_no_new_rows(world: Any) -> None:
    """Compaction moves rows to a file of another name; only the window that got a row meanwhile is named."""
    location = world.settings.location(world.spec.data.inference_log)
    for n in range(4):
        world.write_log([{"prediction_id": str(n), "event_time": MIDNIGHT + n * timedelta(hours=1)}])
        world.write_log([{"prediction_id": f"next {n}", "event_time": MIDNIGHT + DAY}])
    seen, _ = inference_log.changes(world.spec, world.settings)
    DeltaTable(location).optimize.compact()
    merged, touched = inference_log.changes(world.spec, world.settings, seen)
    world.write_log([{"prediction_id": "late", "event_time": MIDNIGHT + timedelta(hours=5)}])
    DeltaTable(location).optimize.compact()
    _, late = inference_log.changes(world.spec, world.settings, merged)

    assert not seen.keys() & merged.keys()
    assert frozenset() == touched
    assert {MIDNIGHT} == late


def test_a_column_that_the_log_does_not_have_yet_is_null(world: Any) -> None:
    """Rows from before a feature was added are read with that feature missing."""
    world.write_log([{"f_amount": 3.0}])
    wider = world.spec.model_copy(
        update={"features": {**world.spec.features, "weight": world.spec.features["amount"]}}
    )

    (row,) = inference_log.read(wider, world.settings).to_pylist()

    assert (3.0, None) == (row["f_amount"], row["f_weight"])


def test_a_column_of_another_type_is_an_error_that_names_the_log(world: Any) -> None:
    """A log that holds text where the spec says a number is not read as something else."""
    location = world.settings.location(world.spec.data.inference_log)
    columns = {"row_id": ["a"], "event_date": ["2024-03-10"], "f_amount": ["much"]}
    write_deltalake(location, pa.table(columns), partition_by=["event_date"])

    with pytest.raises(DataError, match=r"shop/inference: must hold the columns of the spec"):
        inference_log.read(world.spec, world.settings)


def test_a_frame_has_plain_names_and_the_dtypes_of_the_spec(world: Any) -> None:
    """Features lose their prefix, nulls stay nulls, and P(positive) becomes the prediction."""
    world.write_log(
        [{"f_amount": 3.0, "f_country": "SE", "f_member": True, "scores": [0.25]}, {"row_id": "x"}]
    )

    frame = inference_log.frame(world.spec, inference_log.read(world.spec, world.settings))

    assert {"amount": "float64", "country": "str", "member": "boolean", "prediction": "float64"} == {
        name: str(frame[name].dtype) for name in ("amount", "country", "member", "prediction")
    }
    assert [3.0, "SE", True, 0.25] == frame.loc[0, ["amount", "country", "member", "prediction"]].tolist()
    assert frame.loc[1, ["amount", "country", "member"]].isna().all()


def test_an_unreadable_table_is_unavailable(world: Any) -> None:
    """A log whose transaction file is no JSON is an outage with the table's name, not a crash."""
    world.write_log([{}])
    log = Path(world.settings.location(world.spec.data.inference_log))
    (log / "_delta_log" / "00000000000000000000.json").write_text("{", "utf-8")

    with pytest.raises(Unavailable, match="shop/inference"):
        inference_log.read(world.spec, world.settings)


def test_predictions_are_found_among_many_days(world: Any) -> None:
    """Old predictions are found too, each with its event time; unknown and mirrored ones are not."""
    days = 20
    for day in range(days):
        world.write_log([{"prediction_id": f"d{day}", "event_time": MIDNIGHT - day * DAY}])
    world.write_log([{"prediction_id": "mirror", "shadow": True}])

    found = inference_log.times_of(world.spec, world.settings, pa.array(["d0", "d19", "mirror", "no"]))

    assert {"d0": MIDNIGHT, "d19": MIDNIGHT - 19 * DAY} == {
        row["prediction_id"]: row["event_time"] for row in found.to_pylist()
    }


def test_a_log_that_was_made_anew_is_read_anew(world: Any) -> None:
    """A daemon outlives its table: after one failed look it reads the new one, not the memory of the old."""
    world.write_log([{"prediction_id": "old"}])
    inference_log.read(world.spec, world.settings)
    shutil.rmtree(world.settings.location(world.spec.data.inference_log))
    world.write_log([{"prediction_id": "new"}])

    with contextlib.suppress(Unavailable):
        inference_log.read(world.spec, world.settings)

    assert ids(inference_log.read(world.spec, world.settings)) == ["new"]


def test_a_multiclass_prediction_is_the_likeliest_class(make_world: Any) -> None:
    """The index of the highest probability, a number that drift can be measured on."""
    classes = "task: multiclass\ndata: {inference_log: log, labels: labels, id: i, time: t, "
    target = "target: {name: k, classes: [cat, dog, emu]}}\nfeatures: {size: numeric}\n"
    world = make_world(f"model: animal\n{classes}{target}")
    world.write_log([{"scores": [0.2, 0.5, 0.3]}, {"row_id": "b", "scores": [0.1, 0.2, 0.7]}])

    frame = inference_log.frame(world.spec, inference_log.read(world.spec, world.settings))

    assert frame["prediction"].tolist() == [1.0, 2.0]
