"""What `trimtab check` refuses, what it leaves out, and what it allows for."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from spec import InputError, Task, loads
from trimtab.check.identifiers import why_identifier
from trimtab.check.request import Request
from trimtab.check.run import check
from trimtab.cli import cli
from trimtab.init.document import render, scalar
from trimtab.init.draft import write
from trimtab.init.guesses import draft, task_of


def _table(seed: int, n: int = 600) -> pa.Table:
    random = np.random.default_rng(seed)
    return pa.table(
        {
            "order_id": [f"o{seed}-{place}" for place in range(n)],
            "at": [dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=place) for place in range(n)],
            "amount": random.normal(10, 5, n),
            "age": random.integers(18, 80, n),
            "country": random.choice(["DE", "FR", "IT"], n),
            "late": random.random(n) < 0.3,
        }
    )


@pytest.fixture
def asked(tmp_path: Path) -> Request:
    """A request for two files of one distribution."""
    for name, seed in (("reference", 1), ("same", 2)):
        pq.write_table(_table(seed), tmp_path / f"{name}.parquet")
    return Request(str(tmp_path / "reference.parquet"), str(tmp_path / "same.parquet"), words=False)


def _problems(request: Request) -> str:
    with pytest.raises(InputError) as refused:
        check(request)
    return str(refused.value)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("refrence.parquet", ["must exist", "Did you mean 'reference.parquet'"]),
        ("other.parquet", ["must share a column with the reference; found z"]),
        ("empty.parquet", ["empty.parquet: must hold rows; found none"]),
        ("typed.parquet", ["typed.parquet: amount: must be double", "typed.parquet: age: must be int64"]),
        ("notes.txt", ["must end as a known format"]),
    ],
)
def test_a_file_that_cannot_be_compared_is_refused(
    asked: Request, tmp_path: Path, name: str, told: list[str]
) -> None:
    """Each way in which a file is wrong has its own words, with what to do."""
    pq.write_table(pa.table({"z": [1]}), tmp_path / "other.parquet")
    whole = _table(4)
    pq.write_table(whole.slice(0, 0), tmp_path / "empty.parquet")
    typed = whole.set_column(2, "amount", pa.array(["x"] * len(whole)))
    pq.write_table(typed.set_column(3, "age", pa.array([True] * len(whole))), tmp_path / "typed.parquet")
    (tmp_path / "notes.txt").write_text("a note")
    said = _problems(replace(asked, current=str(tmp_path / name)))
    assert all(each in said for each in told), said


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"target": "lat"}, "lat: must be a column, for --target; found no such column. Did you mean 'late'"),
        ({"timestamp": "amount"}, "amount: must be a time, for --timestamp; found double"),
        ({"columns": ("nope",)}, "nope: must be a column, for --columns"),
        ({"segment": "order_id"}, "must have at most"),
    ],
)
def test_a_column_that_cannot_play_its_part_is_refused(
    asked: Request, change: dict[str, Any], told: str
) -> None:
    """What the command line names must be there and be of the right kind."""
    if "segment" in change:
        rows = pa.table({"order_id": [f"o{place}" for place in range(3000)], "x": range(3000)})
        for path in (asked.reference, asked.current):
            pq.write_table(rows, path)
    assert told in _problems(replace(asked, **change))


def test_options_out_of_range_are_refused_together(asked: Request) -> None:
    """An unknown statistic, impossible limits and a folder that is not there are said at once."""
    options = ["--method", "psy", "--effect", "-1", "--alpha", "2", "--html", "no/where.html"]
    done = CliRunner().invoke(cli, ["check", asked.reference, asked.current, *options])
    assert isinstance(done.exception, InputError)
    assert ["--method", "--effect", "--alpha", "--html"] == [each.where for each in done.exception.problems]


def test_identical_files_have_no_drift(asked: Request) -> None:
    """A file against itself moves nothing, whatever is asked."""
    found = check(replace(asked, current=asked.reference, target="late", timestamp="at", segment="country"))
    assert not found.drifted
    assert all(column.effect.value == 0 for column in found.columns)


def test_every_effect_has_its_p_value(asked: Request) -> None:
    """A reader sees how likely each effect is by chance, also of those too small to matter."""
    small = [column for column in check(asked).columns if column.effect.value < column.threshold]
    assert small
    assert all(0 < column.p_value <= 1 for column in small)


def test_where_nothing_moved_it_is_said_once(asked: Request) -> None:
    """The verdicts are explained where they differ; "steady" for all columns needs no words."""
    done = CliRunner().invoke(cli, ["check", asked.reference, asked.reference])
    assert "None of 5 columns drifted." in done.output
    assert "steady:" not in done.output


def test_an_identifier_is_left_out_unless_it_is_asked_for(asked: Request) -> None:
    """What names rows is skipped with its reason; who names it in --columns gets it."""
    assert "identifier" in check(asked).skipped["order_id"]
    named = check(replace(asked, columns=("order_id", "amount")))
    assert {"order_id", "amount"} == {column.name for column in named.columns}


@pytest.mark.parametrize(
    ("name", "values", "is_one"),
    [
        ("order", [f"o{place}" for place in range(200)], True),
        ("order", [f"o{place % 100}" for place in range(200)], False),
        ("note", [f"the order number {place}" for place in range(200)], False),
        ("row", list(range(200)), True),
        ("userId", list(range(0, 2000, 10)), True),
        ("cents", list(range(0, 2000, 10)), False),
        ("id", list(range(50)), False),
        ("id", [0.5 * place for place in range(200)], False),
        ("id", [None] * 200, False),
    ],
)
def test_identifiers_are_known_by_their_values_and_names(
    name: str, values: list[Any], *, is_one: bool
) -> None:
    """Unique strings, consecutive numbers and unique numbers of a telling name are; amounts are not."""
    assert is_one is bool(why_identifier(name, pa.chunked_array([pa.array(values)])))


def test_a_time_that_has_passed_is_no_drift(asked: Request) -> None:
    """A later span is not compared, and said; the same span is compared."""
    later = _table(2)
    moved = pa.array([each + dt.timedelta(days=60) for each in later.column("at").to_pylist()])
    pq.write_table(later.set_column(1, "at", moved), asked.current)
    found = check(asked)
    assert "only passed" in found.skipped["at"]
    assert not found.drifted


def test_rows_of_a_day_that_are_alike_do_not_cry_wolf(asked: Request) -> None:
    """Days that differ as a whole are drift of independent rows, and rarely any with --timestamp."""
    naive = allowed = 0
    for seed in range(0, 16, 2):
        for path, random in ((asked.reference, seed), (asked.current, seed + 1)):
            pq.write_table(_days(np.random.default_rng(random)), path)
        request = replace(asked, columns=("amount",))
        naive += check(request).drifted
        found = check(replace(request, timestamp="at"))
        allowed += found.drifted
        assert "by day of 40 in the reference: in amount, 24 rows" in found.dependence
    assert 8 == naive
    assert allowed <= 1


def _days(random: np.random.Generator) -> pa.Table:
    """Forty days of 24 rows that are nearly one value."""
    rows = _table(0, 24 * 40)
    amounts = np.repeat(random.normal(0, 3, 40), 24) + random.normal(0, 0.1, len(rows))
    return rows.set_column(2, "amount", pa.array(amounts))


def test_drift_of_one_segment_is_found_there(asked: Request) -> None:
    """A shift of one country is drift of that country, and small ones are left out by name."""
    rows = _table(2).to_pandas()
    rows.loc[rows["country"] == "IT", "amount"] += 8
    rows.loc[rows.index[:3], "country"] = "MT"
    rows.to_parquet(asked.current)
    found = check(replace(asked, segment="country", columns=("amount",)))
    assert ["IT"] == [one.value for one in found.moved_segments]
    assert found.segments is not None
    assert "50 rows a side" in found.segments.left_out["MT"]
    assert found.drifted


def test_missing_values_that_moved_are_drift_of_their_own(asked: Request) -> None:
    """Values that went missing are drift, though those that stayed are as before."""
    rows = _table(2)
    kept = pa.array(
        [None if place % 3 == 0 else value for place, value in enumerate(rows.column("amount").to_pylist())]
    )
    pq.write_table(rows.set_column(2, "amount", kept), asked.current)
    found = check(asked)
    assert ["amount"] == [column.name for column in found.drifted_columns]
    assert not found.drifted_columns[0].significant


@pytest.mark.parametrize(
    ("values", "task"),
    [
        ([True, False], Task.BINARY),
        ([0, 1, None], Task.BINARY),
        (["True", "FALSE"], Task.BINARY),
        (["a", "b", "c"], Task.MULTICLASS),
        ([1.5, 2.5], Task.REGRESSION),
        ([1, 2, 3], Task.REGRESSION),
        (["yes", "no"], None),
        ([f"v{place}" for place in range(40)], None),
    ],
)
def test_the_task_follows_from_the_target(values: list[Any], task: Task | None) -> None:
    """Truth values and 0 and 1 are binary, a few names are classes, numbers are numbers; else none."""
    assert task is task_of(pa.chunked_array([pa.array(values)]))


def test_a_draft_of_strange_names_is_valid_yaml() -> None:
    """Names that YAML would read as something else are quoted, so that the spec has them as they are."""
    names = ["on", "null", "1", "a: b", "ü", "x #1", '"q"', "-", "true"]
    rows = pa.table({name: [0.5, 1.5] for name in names} | {"y": ["u", "v"]} | {"target": [True, False]})
    drafted, problems = draft(rows, {"id": "", "time": "", "target": ""}, "strange")
    assert [] == problems
    assert drafted is not None
    model = loads(render(drafted, "strange.parquet"))
    assert [*names, "y"] == list(model.features)
    assert "plain" == scalar("plain")


def test_what_is_not_in_the_data_is_said(tmp_path: Path) -> None:
    """Without an id and a time the draft is valid and tells who has to send them."""
    pq.write_table(pa.table({"x": [1.0, 2.0] * 60, "label": ["a", "b", "c"] * 40}), tmp_path / "d.parquet")
    text = write(str(tmp_path / "d.parquet"), {"id": "", "time": "", "target": ""}, "d", None)
    assert ("a", "b", "c") == loads(text).data.target.classes
    assert 2 == text.count("NOT in the data")
    assert "name: label, delay: 1d, classes: [a, b, c]}  # guessed by its name" in text


@pytest.mark.parametrize(
    ("given", "model", "told"),
    [
        ({"target": "gone"}, "d", "--target: must be a column; found 'gone'"),
        ({}, "d", "--target: must name what the model predicts"),
        ({"target": "x", "id": "x"}, "d", "must be three different columns"),
        ({"target": "word"}, "d", "--target word: must be true and false"),
        ({"target": "x", "time": "word"}, "d", "--time: must be a column of times"),
        ({"target": "x"}, "No Name", "--model: must be lower case"),
    ],
)
def test_a_draft_that_cannot_be_made_is_refused(
    tmp_path: Path, given: dict[str, str], model: str, told: str
) -> None:
    """Each thing that keeps a first YAML from being written is told."""
    pq.write_table(pa.table({"x": [1.5, 2.0] * 60, "word": ["yes", "no"] * 60}), tmp_path / "d.parquet")
    with pytest.raises(InputError) as refused:
        write(str(tmp_path / "d.parquet"), {"id": "", "time": "", "target": ""} | given, model, None)
    assert told in str(refused.value)
