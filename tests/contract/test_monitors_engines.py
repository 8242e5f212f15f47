"""Every engine, on every form that a table can have, counts the same profile by the same plan."""

from __future__ import annotations

import decimal
import gzip
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.dataset as pds
import pyarrow.feather as pf
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from monitors import profile
from monitors.engines import local
from monitors.engines.spark_delta import read_delta
from monitors.profiles.profile import Profile
from spec import DataError

ROWS = 70_000  # more than one batch
WORDS = np.array(["naïve", "☂ rain", "", "a,b", 'say "hi"', "line\nbreak", "ß"], dtype=object)


def with_nulls(values: Any, every: int, kind: pa.DataType | None = None) -> pa.Array:
    """An array in which every so many-th value is null."""
    return pa.array(values, kind, mask=np.arange(len(values)) % every == 0)


def plain_zoo() -> pa.Table:
    """Columns that any form of a table can hold."""
    rng = np.random.default_rng(1)
    days = np.datetime64("2024-01-01") + rng.integers(0, 90, ROWS).astype("timedelta64[D]")
    instants = np.datetime64("2024-01-01T00:00:00") + rng.integers(0, 10**7, ROWS).astype("timedelta64[s]")
    words = WORDS[1:][rng.integers(0, len(WORDS) - 1, ROWS)]
    return pa.table(
        {
            "height": with_nulls(rng.normal(170, 10, ROWS).round(3), 7),
            "rooms": with_nulls(rng.integers(-5, 50, ROWS), 11),
            "word": with_nulls(words, 13, pa.string()),
            "user": with_nulls([f"user {number}" for number in rng.integers(0, 5_000, ROWS)], 3, pa.string()),
            "member": with_nulls(rng.random(ROWS) < 0.3, 17),
            "day": with_nulls(days, 19, pa.date32()),
            "at": with_nulls(instants.astype("datetime64[us]"), 23),
            "größe ü": pa.array(rng.integers(0, 3, ROWS)),
        }
    )


def odd_zoo() -> pa.Table:
    """What only some forms can hold: NaN and infinities, huge integers, codes, zones, nested columns."""
    rng = np.random.default_rng(2)
    odd = rng.normal(size=ROWS)
    odd[::5], odd[::7], odd[::11] = np.nan, np.inf, -np.inf
    cents = [decimal.Decimal(cent) / 100 for cent in rng.integers(-9_999, 9_999, ROWS).tolist()]
    instants = (rng.integers(0, 2**40, ROWS) * 1000).astype("datetime64[us]")
    odd_columns = {
        "odd": with_nulls(odd, 13),
        "huge": pa.array(2**62 + rng.integers(0, 2**40, ROWS)),
        "code": pa.array(WORDS[rng.integers(0, 7, ROWS)], pa.string()).dictionary_encode(),
        "zoned": pa.array(instants, pa.timestamp("us", "Europe/Berlin")),
        "price": pa.array(cents, pa.decimal128(10, 2)),
        "pair": pa.array([[1.0, 2.0]] * ROWS),
    }
    plain = plain_zoo()
    return pa.table([*plain.columns, *odd_columns.values()], [*plain.column_names, *odd_columns])


class Stream:
    """Something that exports an Arrow stream, of a library that nobody knows."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


def parquet(table: pa.Table, folder: Path) -> str:
    """Three row groups."""
    pq.write_table(table, folder / "rows.parquet", row_group_size=30_000)
    return str(folder / "rows.parquet")


def files(table: pa.Table, folder: Path) -> str:
    """Three files and what Spark leaves beside them."""
    (folder / "files").mkdir()
    for start in range(0, ROWS, 25_000):
        pq.write_table(table.slice(start, 25_000), folder / "files" / f"{start:06}.parquet")
    (folder / "files" / "_SUCCESS").touch()
    return str(folder / "files")


def partitioned(table: pa.Table, folder: Path) -> Path:
    """Folders named after a column."""
    parts = pa.array([f"a/b {place % 3}" for place in range(ROWS)])
    pq.write_to_dataset(table.append_column("part", parts), folder / "parts", partition_cols=["part"])
    return folder / "parts"


def wildcard(table: pa.Table, folder: Path) -> str:
    """The same folders, by a pattern."""
    return f"{partitioned(table, folder)}/**/*.parquet"


def delta(table: pa.Table, folder: Path) -> str:
    """A table in partitions of two types."""
    write_deltalake(folder / "delta", table, partition_by=["member", "größe ü"])
    return str(folder / "delta")


def csv(table: pa.Table, folder: Path) -> str:
    """Comma-separated."""
    pc.write_csv(table, folder / "rows.csv")
    return str(folder / "rows.csv")


def zipped_csv(table: pa.Table, folder: Path) -> str:
    """The same, compressed."""
    packed = folder / "rows.csv.gz"
    packed.write_bytes(gzip.compress(Path(csv(table, folder)).read_bytes()))
    return str(packed)


def arrow_file(table: pa.Table, folder: Path) -> str:
    """The file format."""
    with pa.OSFile(str(folder / "rows.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=9_999)
    return str(folder / "rows.arrow")


def arrow_stream(table: pa.Table, folder: Path) -> str:
    """The stream format."""
    with (
        pa.OSFile(str(folder / "rows.arrows"), "wb") as sink,
        pa.ipc.new_stream(sink, table.schema) as writer,
    ):
        writer.write_table(table, max_chunksize=9_999)
    return str(folder / "rows.arrows")


def feather(table: pa.Table, folder: Path) -> str:
    """The file format, compressed."""
    pf.write_feather(table, str(folder / "rows.feather"))
    return str(folder / "rows.feather")


def reader(table: pa.Table, _: Path) -> pa.RecordBatchReader:
    """Small batches that can be read once."""
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(999))


ANY_FORM: dict[str, Callable[[pa.Table, Path], Any]] = {
    "partitioned": partitioned,
    "glob": wildcard,
    "delta": delta,
    "csv": csv,
    "csv.gz": zipped_csv,
    "pandas numpy": lambda table, _: table.to_pandas(),
    "pandas nullable": lambda table, _: table.to_pandas().convert_dtypes(),
}
LOSSLESS: dict[str, Callable[[pa.Table, Path], Any]] = {
    "parquet": parquet,
    "files": files,
    "arrow file": arrow_file,
    "arrow stream": arrow_stream,
    "reader": reader,
    "batch": lambda table, _: table.combine_chunks().to_batches()[0],
    "chunks": lambda table, _: pa.concat_tables(
        [table.slice(0, 7), table.slice(7, 50_001), table.slice(50_008)]
    ),
    "dataset": lambda table, folder: pds.dataset(parquet(table, folder)),
    "pandas arrow": lambda table, _: table.to_pandas(types_mapper=pd.ArrowDtype),
    "polars": lambda table, _: pl.from_arrow(table),
    "polars lazy": lambda table, _: pl.from_arrow(table).lazy(),
    "capsule": lambda table, _: Stream(table),
}
ORDERED = ("parquet", "files", "arrow file", "arrow stream", "chunks", "polars lazy", "dataset")


@pytest.fixture(scope="module")
def plain() -> tuple[pa.Table, Profile]:
    """The plain zoo, and its profile counted batch by batch in one thread."""
    table = plain_zoo()
    return table, local.profile(table, threads=1)


@pytest.fixture(scope="module")
def odd() -> tuple[pa.Table, Profile]:
    """The odd zoo, and its profile counted batch by batch in one thread."""
    table = odd_zoo()
    return table, local.profile(table, threads=1, pairs=True)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("form", ANY_FORM)
def test_every_form_of_a_table_has_one_profile(
    form: str, threads: int, plain: tuple[pa.Table, Profile], tmp_path: Path
) -> None:
    """A table is counted alike wherever it lies, and whatever the threads."""
    table, expected = plain

    assert expected == local.profile(ANY_FORM[form](table, tmp_path), plan=expected.plan, threads=threads)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("form", LOSSLESS)
def test_what_a_form_can_hold_is_counted(
    form: str, threads: int, odd: tuple[pa.Table, Profile], tmp_path: Path
) -> None:
    """NaN, infinities, huge integers, codes, zones and pairs are counted alike where they can be stored."""
    table, expected = odd

    assert expected == local.profile(LOSSLESS[form](table, tmp_path), plan=expected.plan, threads=threads)


def test_feather_has_the_same_profile(plain: tuple[pa.Table, Profile], tmp_path: Path) -> None:
    """Compressed Feather files are counted alike."""
    table, expected = plain

    assert expected == profile(feather(table, tmp_path), plan=expected.plan)


@pytest.mark.parametrize("form", ORDERED)
def test_a_sample_is_the_same_however_the_rows_are_stored(
    form: str, plain: tuple[pa.Table, Profile], tmp_path: Path
) -> None:
    """The same seed draws the same rows from every form that keeps their order."""
    table, _ = plain
    expected = local.sample(table, 500, seed=3)

    assert expected.to_pylist() == local.sample(LOSSLESS[form](table, tmp_path), 500, seed=3).to_pylist()


def test_a_plan_from_a_file_is_the_plan_from_memory(plain: tuple[pa.Table, Profile], tmp_path: Path) -> None:
    """The rows that stand for all are the same in a file and in memory."""
    table, expected = plain

    assert expected.plan.fingerprint == profile(parquet(table, tmp_path)).plan.fingerprint


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """A session on two cores, which listens on loopback only; its Java process ends with it."""
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    settings = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.session.timeZone": "Asia/Tokyo",
        "spark.sql.shuffle.partitions": "2",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYSPARK_PYTHON", sys.executable)
        environment.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        builder = SparkSession.builder.master("local[2]").appName("contract")
        session = builder.config(map=settings).getOrCreate()
        session.sparkContext.setLogLevel("OFF")
        yield session
        session.stop()
        gateway = SparkContext._gateway
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait(timeout=60)
        SparkContext._gateway = SparkContext._jvm = None


@pytest.mark.service
@pytest.mark.parametrize("form", ["parquet", "files"])
def test_spark_has_the_same_profile(
    form: str, spark: Any, odd: tuple[pa.Table, Profile], tmp_path: Path
) -> None:
    """Spark's tasks together count what threads count, in another time zone, beside nested columns."""
    table, expected = odd
    frame = spark.read.parquet(LOSSLESS[form](table, tmp_path))

    assert expected == profile(frame.repartition(3), plan=expected.plan)


@pytest.mark.service
def test_spark_reads_delta_without_its_jars(
    spark: Any, plain: tuple[pa.Table, Profile], tmp_path: Path
) -> None:
    """A partitioned Delta table is read by its log: old versions of rows are not, and types are the log's."""
    table, expected = plain
    location = delta(table.slice(0, 10), tmp_path)
    write_deltalake(location, table, mode="overwrite", partition_by=["member", "größe ü"])

    assert expected == profile(read_delta(spark, location), plan=expected.plan)


@pytest.mark.service
def test_spark_takes_a_plan_of_its_own(spark: Any, plain: tuple[pa.Table, Profile], tmp_path: Path) -> None:
    """Without a plan one is taken from a seeded sample: twice the same, and every row is counted."""
    table, _ = plain
    frame = spark.read.parquet(parquet(table, tmp_path))
    once, again = profile(frame), profile(frame)

    assert once == again
    assert ROWS == once.rows


@pytest.mark.service
def test_spark_counts_no_rows(spark: Any, plain: tuple[pa.Table, Profile], tmp_path: Path) -> None:
    """A data frame without rows has the profile of an empty table."""
    table, expected = plain
    frame = spark.read.parquet(parquet(table, tmp_path)).filter("false")

    assert local.profile(table.slice(0, 0), plan=expected.plan) == profile(frame, plan=expected.plan)


@pytest.mark.service
def test_spark_refuses_what_changed_its_type(spark: Any, plain: tuple[pa.Table, Profile]) -> None:
    """Columns whose type is not the reference's are all named, before a row is read."""
    _, expected = plain
    frame = spark.createDataFrame([("tall", [1], 1)], "height string, rooms array<int>, word int")
    must = "must be a number, as in the reference; found"

    with pytest.raises(DataError) as caught:
        profile(frame, plan=expected.plan)
    assert [
        f"rooms: {must} columns of type array<int> are not profiled",
        f"height: {must} string. Convert it, or leave the column out",
        "word: must be a string, as in the reference; found int32. Convert it, or leave the column out",
    ] == str(caught.value).splitlines()


@pytest.mark.service
def test_spark_counts_columns_of_any_name(spark: Any) -> None:
    """Points, backticks and names that differ in their capitals only are no obstacle."""
    table = pa.table({"a.b": [1, 2], "a`b": [3, 4], "id": [5, 6], "ID": ["x", None]})
    frame = spark.createDataFrame([(1, 3, 5, "x"), (2, 4, 6, None)], "a long, b long, c long, d string")
    expected = local.profile(table)

    assert expected == profile(frame.toDF(*table.column_names), plan=expected.plan)
    assert list(table.column_names) == list(profile(frame.toDF(*table.column_names)).columns)


@pytest.mark.service
def test_spark_counts_rows_without_a_known_column(spark: Any, plain: tuple[pa.Table, Profile]) -> None:
    """Rows that have none of the plan's columns are rows all the same."""
    _, expected = plain

    assert 3 == profile(spark.range(3), plan=expected.plan).rows
    assert 1 == profile(spark.sql("select array(1) as vector")).rows
