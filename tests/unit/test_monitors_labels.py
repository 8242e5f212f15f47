from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitors.tables import inference_log, labels
from spec import DataError

DAY = timedelta(days=1)
NOON = datetime(2024, 3, 10, 12, tzinfo=UTC)

REGRESSION = """
model: price
task: regression
data: {inference_log: log, labels: labels, id: id, time: at, target: {name: value}}
features: {size: numeric}
"""
MULTICLASS = """
model: animal
task: multiclass
data: {inference_log: log, labels: labels, id: id, time: at, target: {name: kind, classes: [cat, dog, emu]}}
features: {size: numeric}
"""


def known(world: Any, as_of: datetime | None = None) -> dict[str, Any]:
    """The labels by prediction."""
    rows = labels.read(world.spec, world.settings, as_of).to_pylist()
    return {row["prediction_id"]: row["label"] for row in rows}


def problems(world: Any, data: Any, **options: bool) -> list[str]:
    """What is wrong with labels, as it is said."""
    with pytest.raises(DataError) as caught:
        labels.append(world.spec, world.settings, data, **options)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    "given",
    [
        [True, False],
        [1, 0],
        [1.0, 0.0],
        ["true", "False"],
        ["1", "0"],
        pd.Series(["true", "false"], dtype="category"),
        pd.Series([True, False], dtype=object),
    ],
    ids=["bool", "int", "float", "text", "digits", "category", "object"],
)
def test_a_binary_label_may_be_spelled_in_many_ways(world: Any, given: Any) -> None:
    """Booleans, ones and zeros, and their names all mean the same."""
    report = labels.append(
        world.spec, world.settings, pd.DataFrame({"order_id": ["a", "b"], "returned": given})
    )

    assert {"a": True, "b": False} == known(world)
    assert (2, NOON) == (report.rows, report.arrived_at)


@pytest.mark.parametrize("given", [[1.5, -2], ["1.5", "-2"], pa.array([1.5, -2.0], pa.float32())])
def test_a_regression_label_is_a_number(make_world: Any, given: Any) -> None:
    """Numbers and their spellings."""
    world = make_world(REGRESSION)

    labels.append(world.spec, world.settings, pa.table({"id": ["a", "b"], "value": given}))

    assert {"a": 1.5, "b": -2.0} == known(world)


def test_a_class_must_be_one_of_the_spec(make_world: Any) -> None:
    """Known classes are taken; another is refused with the list of those there are."""
    world = make_world(MULTICLASS)
    labels.append(world.spec, world.settings, pd.DataFrame({"id": ["a", "b"], "kind": ["cat", " emu "]}))

    found = problems(world, pd.DataFrame({"id": ["c"], "kind": ["cow"]}))

    assert {"a": "cat", "b": "emu"} == known(world)
    assert [
        "labels: kind: must be one of the classes; found row 1: 'cow'. The classes: cat, dog, emu"
    ] == found


def test_integers_may_be_ids(world: Any) -> None:
    """An integer id is the text of its digits."""
    labels.append(world.spec, world.settings, pd.DataFrame({"order_id": [17, 18], "returned": [1, 0]}))

    assert {"17": True, "18": False} == known(world)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_of_labels_is_read(world: Any, tmp_path: Path, kind: str) -> None:
    """CSV keeps ids as they are written, leading zeros and all; Parquet has its own types."""
    file = tmp_path / f"labels.{kind}"
    if kind == "csv":
        file.write_text("order_id,note,returned\n007,x,true\n008,,0\n", "utf-8")
    else:
        pq.write_table(pa.table({"order_id": ["007", "008"], "returned": [True, False]}), file)

    labels.append(world.spec, world.settings, file)

    assert {"007": True, "008": False} == known(world)


def test_all_that_is_wrong_is_said_at_once_and_nothing_is_written(world: Any) -> None:
    """Missing ids, an id given twice, missing and illegal labels, an unknown id: each with its rows."""
    world.write_log([{"prediction_id": "a"}, {"prediction_id": "b"}])
    frame = pd.DataFrame(
        {
            "order_id": ["a", "a", None, "b", "c", "d"],
            "returned": ["true", "maybe", "true", None, "no", "perhaps"],
        }
    )

    assert [
        "labels: order_id: must not be null or empty; found row 3",
        (
            "labels: order_id: must name a prediction once; found 'a'."
            " Hand in a correction as a later, separate append"
        ),
        "labels: returned: must not be null; found row 4",
        (
            "labels: returned: must be true or false, or 1 or 0;"
            " found row 2: 'maybe', row 5: 'no', row 6: 'perhaps'"
        ),
        (
            "labels: order_id: must name predictions of the inference log "
            f"{world.settings.location('shop/inference')}; found 'c', 'd'"
        ),
    ] == problems(world, frame, check_ids=True)
    assert {} == known(world)


def test_of_many_mistakes_the_first_few_are_shown(world: Any) -> None:
    """A file with a thousand wrong rows gives three examples and the count."""
    frame = pd.DataFrame({"order_id": [str(n) for n in range(1000)], "returned": [2] * 1000})

    shown = "row 1: 2, row 2: 2, row 3: 2, … (1000 in all)"
    assert [f"labels: returned: must be true or false, or 1 or 0; found {shown}"] == problems(world, frame)


def test_an_infinite_label_is_illegal_and_a_missing_one_is_null(make_world: Any) -> None:
    """Each is named once, as what it is."""
    world = make_world(REGRESSION)
    values = pa.array([float("inf"), float("nan"), None, 1.0])

    assert [
        "labels: value: must not be null; found row 2, row 3",
        "labels: value: must be a finite number; found row 1: inf",
    ] == problems(world, pa.table({"id": ["a", "b", "c", "d"], "value": values}))


def test_missing_columns_name_those_there_are(world: Any) -> None:
    """Both columns are missed at once, with what is there instead."""
    column = "must be a column; found no such column"
    assert [
        f"labels: order_id: {column}. Known: id, return",
        f"labels: returned: {column}. Did you mean 'return'? Known: id, return",
    ] == problems(world, pd.DataFrame({"id": ["a"], "return": [1]}))


def test_ids_of_another_type_are_refused(world: Any) -> None:
    """A fractional number names no prediction: 17.0 is how a damaged integer column looks."""
    assert ["labels: order_id: must hold strings or integers; found double"] == problems(
        world, pd.DataFrame({"order_id": [17.0], "returned": [1]})
    )


def test_a_column_of_mixed_types_is_refused(world: Any) -> None:
    """Text and numbers in one column are said to be that."""
    (problem,) = problems(world, pd.DataFrame({"order_id": ["a", 1], "returned": [1, 1]}))

    assert problem.startswith("labels: order_id: must hold values of one type")


@pytest.mark.parametrize(
    ("name", "content", "must"),
    [
        ("labels.csv", None, "must be a readable label file"),
        ("labels.parquet", b"no parquet", "must be a readable label file"),
        ("labels.xlsx", b"", "must be a .parquet or a .csv file"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    world: Any, tmp_path: Path, name: str, content: bytes | None, must: str
) -> None:
    """A missing, a broken and an unknown kind of file."""
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)

    (problem,) = problems(world, file)

    assert problem.startswith(f"{file}: {must}")


def test_no_labels_write_nothing(world: Any) -> None:
    """An empty file is no mistake and leaves no empty commit."""
    report = labels.append(
        world.spec,
        world.settings,
        pa.table({"order_id": pa.array([], "string"), "returned": pa.array([], "bool")}),
    )

    assert 0 == report.rows
    assert not Path(report.location).exists()


def test_a_correction_holds_from_its_arrival_on(world: Any) -> None:
    """What was known before the correction can be asked for ever after."""
    labels.append(world.spec, world.settings, pd.DataFrame({"order_id": ["a"], "returned": [0]}))
    world.set_time(NOON + DAY)
    labels.append(world.spec, world.settings, pd.DataFrame({"order_id": ["a"], "returned": [1]}))

    assert {"a": True} == known(world) == known(world, NOON + DAY)
    assert {"a": False} == known(world, NOON) == known(world, NOON + DAY - timedelta(microseconds=1))
    assert {} == known(world, NOON - timedelta(microseconds=1))


def test_of_two_labels_at_one_time_the_later_commit_counts(world: Any) -> None:
    """A correction within one tick of a replay's clock is still a correction."""
    for value in (0, 1, 0, 1):
        labels.append(world.spec, world.settings, pd.DataFrame({"order_id": ["a"], "returned": [value]}))

    assert {"a": True} == known(world, NOON)


def test_labels_of_some_predictions_can_be_asked_for(world: Any) -> None:
    """Only the labels of the ids that are given."""
    labels.append(world.spec, world.settings, pd.DataFrame({"order_id": ["a", "b"], "returned": [0, 1]}))

    assert ["b"] == labels.read(world.spec, world.settings, ids=pa.array(["b", "c"]))[
        "prediction_id"
    ].to_pylist()


def test_many_may_append_at_once(world: Any) -> None:
    """Six writers that also make the table lose no label."""

    def write(writer: int) -> None:
        frame = pd.DataFrame({"order_id": [f"{writer}-{n}" for n in range(3)], "returned": [1, 0, 1]})
        labels.append(world.spec, world.settings, frame)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))

    assert 18 == len(known(world))


def test_a_label_table_of_another_model_is_refused(world: Any, make_world: Any) -> None:
    """A regression's labels are not mixed with a binary model's that stand at the same place."""
    other = make_world(REGRESSION)
    labels.append(other.spec, other.settings, pd.DataFrame({"id": ["a"], "value": [1.5]}))
    place = Path(world.settings.location(world.spec.data.labels))
    place.parent.mkdir()
    place.symlink_to(other.settings.location(other.spec.data.labels))

    (problem,) = problems(world, pd.DataFrame({"order_id": ["b"], "returned": [True]}))

    assert "shop/labels: must hold the columns prediction_id (string), label (bool), arrived_at" in problem
    assert "found prediction_id (string), label (double)" in problem
    assert {"a": 1.5} == known(other)


def test_a_prediction_answered_twice_is_joined_with_its_last_answer(world: Any) -> None:
    """A retried request counts once; the mirrored answer is another's."""
    later = NOON + timedelta(seconds=1)
    world.write_log([{"prediction_id": "a", "version": "2", "logged_at": later, "row_id": "second"}])
    world.write_log(
        [{"prediction_id": "a", "version": "1", "row_id": "first"}, {"prediction_id": "unlabelled"}]
    )
    world.write_log([{"prediction_id": "a", "version": "3", "shadow": True, "logged_at": later + DAY}])
    labels.append(world.spec, world.settings, pd.DataFrame({"order_id": ["a", "stray"], "returned": [1, 1]}))

    log = inference_log.read(world.spec, world.settings, shadow=None)
    joined = labels.join(log, labels.read(world.spec, world.settings))

    assert {("2", False, True), ("3", True, True)} == {
        (row["version"], row["shadow"], row["label"]) for row in joined.to_pylist()
    }


def test_new_labels_touch_the_windows_of_their_predictions(world: Any) -> None:
    """A label has no event time of its own: the log says in which window its prediction was made."""
    world.write_log([{"prediction_id": f"d{day}", "event_time": NOON - day * DAY} for day in range(12)])
    labels.append(world.spec, world.settings, pd.DataFrame({"order_id": ["d1", "d2"], "returned": [1, 1]}))
    seen, first = labels.changes(world.spec, world.settings)
    labels.append(world.spec, world.settings, pd.DataFrame({"order_id": ["d11", "none"], "returned": [1, 1]}))
    seen, second = labels.changes(world.spec, world.settings, seen)
    _, third = labels.changes(world.spec, world.settings, seen)

    midnight = NOON - timedelta(hours=12)
    assert {midnight - DAY, midnight - 2 * DAY} == first
    assert {midnight - 11 * DAY} == second
    assert frozenset() == third
