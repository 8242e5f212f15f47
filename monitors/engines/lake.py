"""Reads Delta tables through their one door."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from monitors.engines.combined import combined
from monitors.engines.drawing import picked, spread
from monitors.engines.parquet import open_parquet
from monitors.engines.source import Names, Source, plain, plain_batch, selected
from spec import DataError, Problem

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from monitors.tables.delta import Files

_FILES = 64  # files into which the sample looks
_DECODED = 2**19  # rows that may be decoded for the sample
_HARMLESS = {"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"}
_COLUMN_MAPPING = 2  # the reader version that knows one feature, and does not list it


def open_delta(location: str) -> Source:
    """Open the newest state of a Delta table, in a folder or an object store.

    Raises
    ------
    DataError
        There is no Delta table, or its files do not say all (deletion vectors, column mapping).
    Unavailable
        The storage did not answer.
    """
    from monitors.tables import delta  # noqa: PLC0415 - brings pandas in, half a second that files do not need

    table = live_table(location)
    schema = plain(pa.schema(table.schema().to_arrow()))
    files = delta.files_of(table)
    return _remote(location, table, schema, files) if "://" in location else _local(location, schema, files)


def live_table(location: str) -> DeltaTable:
    """Open a table whose rows are those of its Parquet files; raises as `open_delta` does."""
    from monitors.tables import delta  # noqa: PLC0415 - as above

    table = delta.open_table(location, anew=True)
    if table is None:
        raise DataError([Problem(location, "must be a Delta table", "no _delta_log")])
    protocol = table.protocol()
    features = set(protocol.reader_features or ())
    if protocol.min_reader_version == _COLUMN_MAPPING:
        features.add("columnMapping")
    must = "must be a Delta table whose Parquet files say all"
    hint = "Rewrite it without, or profile it on Spark with Delta's jars"
    problems = [Problem(location, must, f"the feature {name}", hint) for name in sorted(features - _HARMLESS)]
    if problems:
        raise DataError(problems)
    return table


def _local(location: str, schema: pa.Schema, files: Files) -> Source:
    """Open the table's files natively, each when its turn comes: a log may name a hundred thousand."""
    paths = [str(Path(location, path)) for path in files]
    sources = [_later(path, schema) for path in paths]
    constants = [
        {key: pa.scalar(value, schema.field(key).type) for key, value in partition.items()}
        for partition in files.values()
    ]
    return combined(location, sources, constants, schema)


def _later(path: str, schema: pa.Schema) -> Source:
    def batches(names: Names) -> Iterator[pa.RecordBatch]:
        return open_parquet(path).batches(names)

    def sample(rows: int, names: Names) -> pa.Table:
        return open_parquet(path).sample(rows, names)

    return Source(path, schema, 0, batches, sample)


def _remote(location: str, table: DeltaTable, schema: pa.Schema, files: Files) -> Source:
    """Read through Delta's own storage; the sample is the beginnings of up to 64 files, oldest to newest."""
    read = partial(_read, location, table, schema)

    def sample(rows: int, names: Names) -> pa.Table:
        paths = list(files)
        looked = [paths[place] for place in spread(len(paths), _FILES).tolist()]
        depth, quota = (-(-total // max(len(looked), 1)) for total in (_DECODED, rows))
        parts = [_beginning(read({path: files[path]}, names), depth, quota) for path in looked]
        return pa.Table.from_batches(chain.from_iterable(parts), selected(schema, names))

    return Source(location, schema, 0, partial(read, files), sample)


def _read(
    location: str, table: DeltaTable, schema: pa.Schema, files: Files, names: Names
) -> Iterator[pa.RecordBatch]:
    from monitors.tables import delta  # noqa: PLC0415 - as above

    columns = [name for name in schema.names if names is None or name in names]
    for _, batch in delta.scan_each(table, location, schema, columns=columns, files=files):
        yield plain_batch(batch)


def _beginning(batches: Iterator[pa.RecordBatch], depth: int, rows: int) -> list[pa.RecordBatch]:
    """Return `rows` rows spread over the first `depth`."""
    held, seen = [], 0
    for batch in batches:
        held.append(batch)
        seen += batch.num_rows
        if seen >= depth:
            break
    return list(picked(held, spread(min(seen, depth), rows)))
