"""What is opened, what is refused, and in which words."""

from __future__ import annotations

import datetime as dt
import gzip
import subprocess
import sys
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from monitors.engines import delimited, local
from monitors.engines.frames import to_arrow
from monitors.engines.sources import FORMATS, open_source
from monitors.profiles.plan import CategoricalPlan, Kind
from spec import DataError


def problems(data: Any, **options: Any) -> list[str]:
    """What is said of data that cannot be profiled, line by line."""
    with pytest.raises(DataError) as caught:
        local.profile(data, **options)
    return str(caught.value).splitlines()


def kinds(data: Any) -> dict[str, Kind]:
    """What each column is taken for."""
    return {name: column.kind for name, column in local.profile(data).plan.columns.items()}


def categories(data: Any, name: str) -> tuple[str, ...]:
    """The categories of a column."""
    counted = local.profile(data).plan.columns[name]
    assert isinstance(counted, CategoricalPlan)
    return counted.values  # noqa: PD011 - no series


def write(path: Path, content: str) -> str:
    """Write a text file and return its path."""
    path.write_text(content, "utf-8")
    return str(path)


def test_a_missing_file_is_met_with_its_neighbours(tmp_path: Path) -> None:
    """A misspelt name is answered with the nearest that is there."""
    write(tmp_path / "current.csv", "a\n1\n")

    assert [
        f"{tmp_path}/curent.csv: must exist; found no such file or folder. Did you mean 'current.csv'?"
    ] == problems(tmp_path / "curent.csv")


def test_a_missing_folder_is_said_to_be_missing(tmp_path: Path) -> None:
    """Where not even the folder exists, that is what is said."""
    (line,) = problems(tmp_path / "gone" / "a.csv")

    assert line.endswith(f"There is no folder {tmp_path}/gone")


def test_names_far_from_all_others_get_a_list(tmp_path: Path) -> None:
    """Where no name is near, the folder's data are listed."""
    write(tmp_path / "current.csv", "a\n1\n")

    assert problems(tmp_path / "x")[0].endswith("In that folder: current.csv")
    assert problems(tmp_path / "*.parquet")[0].startswith(
        f"{tmp_path}/*.parquet: must match a file; found none"
    )


def test_an_unknown_format_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    """The known endings are listed, all of them."""
    (line,) = problems(write(tmp_path / "a.xlsx", "a"))

    assert "must end as a known format; found .xlsx" in line
    assert all(ending in line for ending in FORMATS)


def test_everything_wrong_in_a_folder_is_said_at_once(tmp_path: Path) -> None:
    """Empty, broken and foreign files are named together, a line each."""
    write(tmp_path / "a.parquet", "")
    write(tmp_path / "b.parquet", "PAR0 nothing PAR0")
    write(tmp_path / "c.arrow", "nothing of the kind")
    write(tmp_path / "d.txt", "notes")
    found = problems(tmp_path)

    assert [f"{tmp_path}/{name}" for name in ("a.parquet", "b.parquet", "c.arrow", "d.txt")] == [
        line.split(":")[0] for line in found
    ]
    assert f"{tmp_path}/a.parquet: must not be empty; found 0 bytes" == found[0]


def test_an_empty_folder_holds_no_data(tmp_path: Path) -> None:
    """A folder without data, or with what engines leave beside theirs only, is refused."""
    (tmp_path / "_SUCCESS").touch()

    assert problems(tmp_path)[0].startswith(f"{tmp_path}: must hold data files; found none")


@pytest.mark.parametrize("data", [3, [1, 2], {"a": [1]}, pd.Series([1]), pa.array([1])])
def test_what_is_no_table_is_refused(data: Any) -> None:
    """Numbers, lists, dictionaries, series and arrays are no tables."""
    assert 1 == len(problems(data))


def test_unknown_columns_are_all_named() -> None:
    """Each name of `columns` that is no column is answered with the nearest one."""
    table = pa.table({"height": [1.0], "weight": [2.0]})
    found = problems(table, columns=["heigth", "wait", "weight"])

    assert 2 == len(found)
    assert "Did you mean 'height'?" in found[0]


def test_a_table_without_columns_is_refused() -> None:
    """There is nothing to profile in a table without columns."""
    assert ["table: must have columns; found none"] == problems(pa.table({}))


def test_a_plan_is_given_alone() -> None:
    """Kinds or pairs beside a plan would contradict it."""
    table = pa.table({"a": [1]})
    plan = local.profile(table).plan

    with pytest.raises(ValueError, match="give it alone"):
        local.profile(table, plan=plan, pairs=True)


def test_columns_that_changed_their_type_are_all_named(tmp_path: Path) -> None:
    """A CSV file whose numbers have become words is refused by column, with what it holds now."""
    plan = local.profile(pa.table({"a": [1, 2], "b": [0.5, 1.5], "c": ["x", "y"]})).plan

    assert [
        "a: must be a number, as in the reference; found string. Convert it, or leave the column out",
        "b: must be a number, as in the reference; found string. Convert it, or leave the column out",
    ] == problems(write(tmp_path / "a.csv", "a,b,c\none,x,x\n2,1.5,y\n"), plan=plan)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_of_csv_is_found(separator: str, tmp_path: Path) -> None:
    """Comma, semicolon, tab and bar separate fields where the first line says so."""
    content = "height;name\n1.5;a\n2.5;b\n".replace(";", separator)

    assert {"height": Kind.NUMERIC, "name": Kind.CATEGORICAL} == kinds(write(tmp_path / "a.csv", content))


def test_what_is_missing_in_csv_is_null(tmp_path: Path) -> None:
    """Empty fields and the usual words for nothing are missing; in quotes they are values."""
    counted = local.profile(write(tmp_path / "a.csv", 'n,s\n1,x\n,\nNA,NA\nnull,"NA"\n'))

    assert 3 == counted.columns["n"].missing
    assert 2 == counted.columns["s"].missing
    assert {"x", "NA"} == set(categories(str(tmp_path / "a.csv"), "s"))


@pytest.mark.parametrize("packed", [False, True], ids=["at once", "in blocks"])
@pytest.mark.parametrize(
    ("last", "kind"),
    [
        ("3", Kind.NUMERIC),
        ("2.5", Kind.NUMERIC),
        ("many", Kind.CATEGORICAL),
        ("2024-01-01", Kind.CATEGORICAL),
    ],
)
def test_the_last_row_of_csv_counts_for_its_types(
    last: str, kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, packed: bool
) -> None:
    """Types hold all rows: a fraction makes decimals, a word makes strings, however late it comes."""
    monkeypatch.setattr(delimited, "_BLOCK", 1000)
    content = "many,never,n\n" + "7,,1\n" * 500 + f"{last},2,1\n"
    path = tmp_path / ("a.csv.gz" if packed else "a.csv")
    path.write_bytes(gzip.compress(content.encode()) if packed else content.encode())
    counted = local.profile(path)

    assert {"many": kind, "never": Kind.NUMERIC, "n": Kind.NUMERIC} == kinds(path)
    assert [501, 501, 501] == [column.rows for column in counted.columns.values()]
    assert 500 == counted.columns["never"].missing


def test_csv_that_is_not_csv_is_refused_with_its_line(tmp_path: Path) -> None:
    """A ragged line is quoted; text that is no UTF-8 is named by its columns, with the way out."""
    (ragged,) = problems(write(tmp_path / "a.csv", "a,b\n1,2\n3\n"))
    (tmp_path / "b.csv").write_bytes(b"a,b\n\xe9,\xe9\n")

    assert "Expected 2 columns, got 1: 3" in ragged
    assert [
        f"{tmp_path}/b.csv: column {name}: must be UTF-8 text; found other bytes. Save the file as UTF-8"
        for name in "ab"
    ] == problems(tmp_path / "b.csv")


def test_a_csv_header_without_rows_is_an_empty_table(tmp_path: Path) -> None:
    """No rows are no error here: whoever compares says so."""
    assert 0 == local.profile(write(tmp_path / "a.csv", "a,b\n")).rows


def test_files_of_one_table_need_not_have_the_same_columns(tmp_path: Path) -> None:
    """Types are widened, absent columns are null, partitions come from the folders' names."""
    for year, table in ((2023, pa.table({"a": [1, 2]})), (2024, pa.table({"a": [1.5], "b": ["x"]}))):
        (tmp_path / f"year={year}" / "note=a%2Fb").mkdir(parents=True)
        pq.write_table(table, tmp_path / f"year={year}" / "note=a%2Fb" / "rows.parquet")
    counted = local.profile(tmp_path)

    assert {
        "a": Kind.NUMERIC,
        "b": Kind.CATEGORICAL,
        "year": Kind.NUMERIC,
        "note": Kind.CATEGORICAL,
    } == kinds(tmp_path)
    assert (2, 1) == (counted.columns["b"].missing, counted.columns["b"].n)
    assert (2023, 2024) == (counted.columns["year"].minimum, counted.columns["year"].maximum)
    assert ("a/b",) == categories(tmp_path, "note")


def test_files_that_contradict_each_other_are_all_named(tmp_path: Path) -> None:
    """Where no type holds both files' values, column and file are said."""
    pq.write_table(pa.table({"a": [1], "b": [1]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"a": ["x"], "b": [True]}), tmp_path / "2.parquet")

    assert [
        f"{tmp_path}/2.parquet: column {name}: must have one type in all files of {tmp_path}; found {types}"
        for name, types in (("a", "int64 and string"), ("b", "int64 and bool"))
    ] == problems(tmp_path)


def test_deletion_vectors_are_refused(tmp_path: Path) -> None:
    """A Delta table whose files hold deleted rows is not counted as if they did not."""
    write_deltalake(tmp_path, pa.table({"a": [1]}))
    log = tmp_path / "_delta_log" / f"{1:020}.json"
    features = '"readerFeatures":["deletionVectors"],"writerFeatures":["deletionVectors"]'
    log.write_text(f'{{"protocol":{{"minReaderVersion":3,"minWriterVersion":7,{features}}}}}', "utf-8")

    assert problems(tmp_path)[0].startswith(
        f"{tmp_path}: must be a Delta table whose Parquet files say all; found the feature deletionVectors"
    )


def test_delta_partitions_of_any_value_are_read(tmp_path: Path) -> None:
    """Nulls, slashes, percents and blanks in the values that folders are named after are counted."""
    rows = pa.table({"part ü": ["a/b c", "x%y", None, "n"], "v": [1, 2, 3, 4]})
    write_deltalake(tmp_path, rows, partition_by=["part ü"])
    counted = local.profile(tmp_path)

    assert {"a/b c", "x%y", "n"} == set(categories(tmp_path, "part ü"))
    assert (1, 4) == (counted.columns["part ü"].missing, counted.columns["v"].rows)


def test_a_url_without_a_table_is_refused(tmp_path: Path) -> None:
    """A URL names a Delta table, or nothing."""
    (tmp_path / "lake").mkdir()

    assert [f"file://{tmp_path}/lake: must be a Delta table; found no _delta_log"] == problems(
        f"file://{tmp_path}/lake"
    )


def test_a_table_behind_a_url_is_read(tmp_path: Path) -> None:
    """What lies in an object store is read through Delta's own storage, plan and counts."""
    rows = pa.table({"v": [1, 2, 3, 4], "s": ["a", "b", None, "a"]})
    write_deltalake(tmp_path, rows)

    assert local.profile(rows) == local.profile(f"file://{tmp_path}")


FRAME = pd.DataFrame(
    {
        "mixed": [1, "a", None, 2.5],
        "vast": [2**70, 1, 2, 3],
        "whole": pd.array([1, 2, None, 4], dtype="Int64"),
        "small": pd.array([1, 2, 3, 4], dtype="uint8"),
        "truth": pd.array([True, None, False, True], dtype="boolean"),
        "word": pd.array(["a", None, "b", "a"], dtype="string"),
        "cut": pd.cut([1, 2, 3, 4], 2),
        "month": pd.period_range("2024-01", periods=4, freq="M"),
        "sparse": pd.arrays.SparseArray([0, 0, 1, 0]),
        "coded": pd.Categorical(["x", "y", "x", None]),
        "wait": pd.to_timedelta([1, 2, 3, 4], unit="s"),
        "price": [Decimal("1.5"), None, Decimal("2.25"), Decimal(3)],
        "key": [uuid.UUID(int=number) for number in range(4)],
        "at": pd.date_range("2024-01-01", periods=4, tz="Europe/Berlin"),
        "day": [dt.date(2024, 1, 1)] * 4,
        7: [0.5, None, 1.5, 2.5],
        "list": [[1], [2], [3], [4]],
    }
)


def test_floats_of_a_frame_are_nulls_where_they_are_nan() -> None:
    """A column with a NaN has a null there; one without any is read where it lies."""
    frame = pd.DataFrame(
        {"whole": [1.0, np.inf, -np.inf], "gaps": [np.nan, 1.0, np.inf], "none": [np.nan] * 3}
    )
    columns = {name: to_arrow(frame[name]) for name in frame}
    whole = frame["whole"].to_numpy()

    assert {"whole": 0, "gaps": 1, "none": 3} == {name: array.null_count for name, array in columns.items()}
    assert whole.ctypes.data == columns["whole"].buffers()[1].address
    assert len(to_arrow(pd.Series([], dtype="float64"))) == 0


def test_every_pandas_dtype_is_monitored() -> None:
    """Nullable, extension, sparse and category dtypes are; so are objects, as words where they are mixed."""
    words = ("mixed", "vast", "word", "cut", "month", "coded", "key")
    numbers = ("whole", "small", "sparse", "wait", "price", "7")
    expected = dict.fromkeys(words, Kind.CATEGORICAL) | dict.fromkeys(numbers, Kind.NUMERIC)
    expected |= {"truth": Kind.BOOLEAN, "at": Kind.DATETIME, "day": Kind.DATETIME}
    counted = local.profile(FRAME)

    assert expected == kinds(FRAME)
    assert {"list"} == set(counted.plan.skipped)
    assert {"1", "2.5", "a"} == set(categories(FRAME, "mixed"))
    assert {"mixed", "whole", "truth", "word", "coded", "price", "7"} == {
        name for name, column in counted.columns.items() if column.missing == 1
    }


def test_vectors_are_not_read_for_a_plan() -> None:
    """Nested columns are skipped with the reason, and never asked for."""
    source = open_source(pa.table({"a": [1], "v": [[1.0]]}))
    read: list[object] = []
    spied = type(source)(source.name, source.schema, 0, source.batches, lambda _, names: read.append(names))

    with pytest.raises(AttributeError):
        local._planned(spied, None, {}, pairs=False)
    assert [["a"]] == read


def test_a_stream_is_counted_whole_though_its_beginning_made_the_plan() -> None:
    """The batches that were read for the plan are counted before the others, once."""
    table = pa.table({"a": range(200_000)})
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(10_000))
    counted = local.profile(reader)

    assert (200_000, 0, 199_999) == (counted.rows, counted.columns["a"].minimum, counted.columns["a"].maximum)


def test_chosen_columns_only() -> None:
    """The plan and the profile have the columns that were asked for."""
    table = pa.table({"a": [1], "b": [2], "c": [3]})

    assert ["a", "c"] == list(local.profile(table, columns=["c", "a"]).columns)


def test_progress_counts_every_row() -> None:
    """Progress is told of rows, ever more, to the last."""
    told: list[int] = []
    local.profile(pa.table({"a": range(150_000)}), progress=told.append, threads=2)

    assert sorted(told) == told
    assert 150_000 == told[-1]


def test_an_error_in_one_thread_is_the_error(tmp_path: Path) -> None:
    """A file that is cut off in its middle is refused by name, whichever thread met the end."""
    path = tmp_path / "a.arrows"
    table = pa.table({"a": range(300_000)})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=10_000)
    plan = local.profile(path).plan
    path.write_bytes(path.read_bytes()[:1_000_000])

    for threads in (1, 3):
        assert problems(path, plan=plan, threads=threads)[0].startswith(
            f"{path}: must be readable as an Arrow file"
        )


def test_importing_the_room_is_cheap() -> None:
    """The room itself imports nothing heavy: what it offers is imported when it is used."""
    program = (
        "import monitors, sys; print(sorted({'numpy', 'pandas', 'pyarrow', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert "[]" == done.stdout.strip()


def test_the_room_offers_two_functions_when_they_are_asked_for() -> None:
    """`from monitors import compare, profile` gives the functions; nothing of them is imported before."""
    program = """
import sys, monitors
assert not [name for name in sys.modules if name.startswith("monitors.")]
from monitors import compare, profile
from monitors.comparing.compare import compare as same
assert compare is same and callable(profile)
assert not hasattr(monitors, "compares")
"""
    subprocess.run([sys.executable, "-c", program], check=True)
