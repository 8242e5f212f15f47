"""Lets Spark read a Delta table without Delta's own jars: the log is read here, the Parquet files there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from spec import DataError, Problem

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_HARMLESS = {"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"}
_PLAIN_READER = 1
_FEATURE_READER = 3


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
        There is no Delta table; or with every feature it has that its files do not show: deletion vectors,
        column mapping, partitions that are not in the names of folders.
    Unavailable
        The storage did not answer.
    """
    from pyspark.sql.types import StructType  # noqa: PLC0415 - whoever has a session has it

    from monitors import delta  # noqa: PLC0415 - brings pandas in, which a Spark job may do without

    table = delta.open_table(location)
    if table is None:
        raise DataError([Problem(location, "must be a Delta table", "no _delta_log")])
    protocol, partitions = table.protocol(), table.metadata().partition_columns
    _check_features(location, protocol.min_reader_version, set(protocol.reader_features or ()))
    files = [uri.replace("s3://", "s3a://", 1) for uri in table.file_uris()]
    _check_partitions(location, files, partitions)
    schema = StructType.fromJson(json.loads(table.schema().to_json()))
    if not files:
        return session.createDataFrame([], schema)
    root = location.replace("s3://", "s3a://", 1)
    return session.read.schema(schema).option("basePath", root).parquet(*files).select(schema.names)


def _check_features(location: str, version: int, features: set[str]) -> None:
    if _PLAIN_READER < version < _FEATURE_READER:
        features = features | {"columnMapping"}
    problems = [
        Problem(
            location,
            "must be a table whose Parquet files say all",
            f"the reader feature {feature}",
            'Give Spark Delta\'s jars and profile session.read.format("delta").load(...)',
        )
        for feature in sorted(features - _HARMLESS)
    ]
    if problems:
        raise DataError(problems)


def _check_partitions(location: str, files: list[str], partitions: list[str]) -> None:
    """Refuse tables whose folders are named at random: the log alone knows their partitions."""
    hidden = [uri for uri in files if any(f"/{name}=" not in uri for name in partitions)]
    if hidden:
        must = f"must have folders named after the partition columns {', '.join(partitions)}"
        raise DataError([Problem(location, must, f"{len(hidden)} files elsewhere, such as {hidden[0]}")])
