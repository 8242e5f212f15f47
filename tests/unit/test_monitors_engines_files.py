"""Odd files and folders: each row is counted as what it is, or the file is refused by name."""

from __future__ import annotations

import gzip
import shutil
from decimal import Decimal
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from monitors.engines import local
from monitors.profiles.profile import CategoricalColumn, NumericColumn, Profile
from spec import DataError


def profile_of(*tables: pa.Table, folder: Path) -> Profile:
    """The profile of Parquet files with these tables, in one folder."""
    for number, table in enumerate(tables):
        pq.write_table(table, folder / f"{number}.parquet")
    return local.profile(folder)


def names(profile: Profile, column: str) -> dict[str, int]:
    """How often each category was counted."""
    counted = profile.columns[column]
    assert isinstance(counted, CategoricalColumn)
    return dict(zip(counted.plan.values, counted.counts.tolist(), strict=True))


def numeric(profile: Profile, column: str) -> NumericColumn:
    """What was counted of a column of numbers or times."""
    counted = profile.columns[column]
    assert isinstance(counted, NumericColumn)
    return counted


@pytest.mark.parametrize("header", ['"a,b,c";d', '"a\nb,c";d'], ids=["one line", "two lines"])
def test_separators_in_quotes_are_none(header: str, tmp_path: Path) -> None:
    """What stands in quotes in the header of a CSV file, a line's end too, does not choose its separator."""
    (tmp_path / "a.csv").write_text(f"{header}\n1;2\n", "utf-8")

    assert ["d"] == list(local.profile(tmp_path / "a.csv").columns)[1:]


def test_gzip_is_known_in_capitals(tmp_path: Path) -> None:
    """The end of a file's name says its format, however it is written."""
    (tmp_path / "A.CSV.GZ").write_bytes(gzip.compress(b"a\n1\n2\n"))

    assert 2 == local.profile(tmp_path / "A.CSV.GZ").rows


@pytest.mark.parametrize("cut", [slice(0, -20), slice(0, 12)])
def test_half_a_gzip_is_refused_by_name(cut: slice, tmp_path: Path) -> None:
    """A download that broke off is one clear error."""
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + bytes(range(32, 127)) * 3)[cut])

    with pytest.raises(DataError, match="must be readable as CSV"):
        local.profile(path)


def test_partitions_named_with_an_underscore_hold_data(tmp_path: Path) -> None:
    """`_day=1/` is a partition; `_temporary/` and `_SUCCESS` are none."""
    for folder in ("_day=1", "_temporary"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.csv").write_text("a\n1\n", "utf-8")

    assert ["a", "_day"] == list(local.profile(tmp_path).columns)
    assert 1 == local.profile(tmp_path).rows


def test_partitions_beyond_64_bits_are_names(tmp_path: Path) -> None:
    """Digits that no integer type holds are strings."""
    (tmp_path / f"key={10**20}").mkdir()
    (tmp_path / f"key={10**20}" / "a.csv").write_text("a\n1\n", "utf-8")

    assert {str(10**20): 1} == names(local.profile(tmp_path), "key")


def test_an_empty_name_is_no_folder() -> None:
    """A variable that is not set does not profile the working folder."""
    with pytest.raises(DataError, match="must be a path; found an empty name"):
        local.profile("")


def test_a_point_in_a_name_is_no_field(tmp_path: Path) -> None:
    """A column `a.b` beside a struct `a` with a field `b`, which Parquet calls the same, is read alone."""
    counted = profile_of(pa.table({"a": [{"b": "x"}] * 3, "a.b": [1, 2, None]}), folder=tmp_path)

    assert (["a.b"], 2) == (list(counted.columns), counted.columns["a.b"].n)
    assert {"a"} == set(counted.plan.skipped)


def test_codes_in_one_file_and_strings_in_another(tmp_path: Path) -> None:
    """A folder may hold pandas' categories beside strings, or codes of other widths."""
    words = pa.array(["x", "y"])
    coded = [words.cast(pa.dictionary(width, pa.string())) for width in (pa.int8(), pa.int32())]
    counted = profile_of(*(pa.table({"a": column}) for column in (*coded, words)), folder=tmp_path)

    assert {"x": 3, "y": 3} == names(counted, "a")


@pytest.mark.parametrize("form", ["table", "folder"])
def test_codes_of_many_batches_may_be_many(form: str, tmp_path: Path) -> None:
    """Batches whose codes have 8 bits, as pandas' categories have, may together have more than 128 values."""
    columns = [pa.array([f"{day}-{turn}" for turn in range(100)]) for day in range(3)]
    tables = [pa.table({"a": column.cast(pa.dictionary(pa.int8(), pa.string()))}) for column in columns]
    counted = (
        profile_of(*tables, folder=tmp_path)
        if form == "folder"
        else local.profile(pa.concat_tables(tables, promote_options="none"))
    )

    assert 300 == len(names(counted, "a"))


def test_units_of_time_do_not_wrap(tmp_path: Path) -> None:
    """Year 1 in seconds beside nanoseconds, which cannot say it, stays year 1; so do long durations."""
    early = {
        "at": pa.array([-62_135_596_800], pa.timestamp("s")),
        "for": pa.array([10**11], pa.duration("s")),
    }
    late = {"at": pa.array([0], pa.timestamp("ns")), "for": pa.array([0], pa.duration("ns"))}
    counted = profile_of(pa.table(early), pa.table(late), folder=tmp_path)

    assert -62_135_596_800_000_000 == numeric(counted, "at").minimum
    assert 10**17 == numeric(counted, "for").maximum


def test_decimals_beside_floats_are_the_nearest_floats(tmp_path: Path) -> None:
    """-99.99 is one number in a file of decimals and in a file of floats."""
    counted = profile_of(pa.table({"a": [Decimal("-99.99")]}), pa.table({"a": [1.5]}), folder=tmp_path)

    assert -99.99 == numeric(counted, "a").minimum


def test_runs_are_counted() -> None:
    """Run-end encoded columns are profiled as what they stand for, whole and sliced."""
    table = pa.table({"n": [1, 1, 2, None], "s": ["a", "a", None, "b"]})
    runs = pa.table(
        [pc.run_end_encode(column.combine_chunks()) for column in table.columns], table.schema.names
    )

    assert local.profile(table) == local.profile(runs)
    assert local.profile(table[1:]) == local.profile(runs[1:])


def test_a_delta_table_that_was_made_anew_is_read_anew(tmp_path: Path) -> None:
    """Whoever deletes a table and writes another one there gets the other one, in the same process."""
    for value in (1, 2):
        shutil.rmtree(tmp_path / "lake", ignore_errors=True)
        write_deltalake(tmp_path / "lake", pa.table({"a": [value]}))

        assert value == numeric(local.profile(tmp_path / "lake"), "a").minimum


@pytest.mark.parametrize("lazy", [False, True])
def test_integers_of_128_bits_are_numbers(*, lazy: bool) -> None:
    """Polars' widest integers, which Arrow does not have, are counted."""
    frame = pl.DataFrame({"a": pl.Series([1, 2**100, None], dtype=pl.Int128)})
    counted = numeric(local.profile(frame.lazy() if lazy else frame), "a")

    assert (2, 1, 2.0**100) == (counted.n, counted.missing, counted.maximum)


def test_halves_of_characters_are_counted() -> None:
    """Python's strings may hold what UTF-8 cannot; such words among others are still words."""
    frame = pd.DataFrame({"a": pd.Series(["\ud800", 1, None], dtype=object)})

    assert {"?": 1, "1": 1} == names(local.profile(frame), "a")
