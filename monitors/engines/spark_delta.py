"""Lets Spark read a Delta table without Delta's own jars: the log is read here, the Parquet files there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from monitors.engines.lake import live_table
from spec import DataError, Problem

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def read_delta(session: SparkSession, location: str) -> DataFrame:
    """Return the newest state of a Delta table as a Spark data frame.

    Spark reads the files that the log names, by the log's schema; values of partition columns come from the
    names of the folders. Where Delta's jars are there, ``session.read.format("delta")`` does more: it reads
    what is refused here, and prunes files by their statistics.

    Parameters
    ----------
    location
        A folder, or a URL that Spark can read too (``s3://`` becomes ``s3a://``).

    Raises
    ------
    DataError
        There is no Delta table; or it has what its files do not show: deletion vectors, column mapping,
        partitions that are not in the names of folders.
    Unavailable
        The storage did not answer.
    """
    from pyspark.sql.types import StructType  # noqa: PLC0415 - whoever has a session has it

    table = live_table(location)
    files = [_spark_url(uri) for uri in table.file_uris()]
    _check_partitions(location, files, table.metadata().partition_columns)
    schema = StructType.fromJson(json.loads(table.schema().to_json()))
    if not files:
        return session.createDataFrame([], schema)
    reader = session.read.schema(schema).option("basePath", _spark_url(location))
    return reader.parquet(*files).select(*(f"`{name}`" for name in schema.names))


def _spark_url(location: str) -> str:
    return location.replace("s3://", "s3a://", 1) if location.startswith("s3://") else location


def _check_partitions(location: str, files: list[str], partitions: list[str]) -> None:
    """Refuse tables whose folders are named at random: the log alone knows their partitions."""
    hidden = [uri for uri in files if any(f"/{name}=" not in uri for name in partitions)]
    if hidden:
        must = f"must have folders named after the partition columns {', '.join(partitions)}"
        raise DataError([Problem(location, must, f"{len(hidden)} files elsewhere, such as {hidden[0]}")])
