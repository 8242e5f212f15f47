"""The door to Delta tables: open, prune, read in commit order, append."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from operator import and_
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.dataset as pds
import pyarrow.fs as pafs
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, SchemaMismatchError, TableNotFoundError

from spec.errors import DataError, Problem, Unavailable
from spec.tables import TIMESTAMP

_TYPES = {
    "string": pa.string(),
    "double": pa.float64(),
    "bool": pa.bool_(),
    "list<double>": pa.list_(pa.float64()),
    TIMESTAMP: pa.timestamp("us", "UTC"),
}
_PARTITION = "partition."
_ATTEMPTS = 15
_PAUSE_S = 0.02
_T = TypeVar("_T")
_opened = threading.local()

Files = Mapping[str, Mapping[str, Any]]
"""Data files by path in the table, each with its partition."""


def schema_of(columns: Mapping[str, str]) -> pa.Schema:
    """Return the Arrow schema of the columns of `spec.tables`."""
    return pa.schema([(name, _TYPES[kind]) for name, kind in columns.items()])


def open_table(location: str, *, anew: bool = False) -> DeltaTable | None:
    """Open the newest state of a Delta table; None where there is none yet.

    A thread that opens a table again reads what was committed since, and not a year of commits.

    Parameters
    ----------
    anew
        Read all commits again: another table may have been made there since.

    Raises
    ------
    Unavailable
        The storage did not answer, or what is there is not a readable table.
    """
    opened: dict[str, DeltaTable] = _opened.__dict__.setdefault("tables", {})
    table = opened.pop(location, None)
    try:
        if table is None or anew:
            table = DeltaTable(location)
        else:
            table.update_incremental()
    except TableNotFoundError:
        return None
    except (DeltaError, OSError) as error:
        raise _unreadable(location, error) from error
    opened[location] = table
    return table


def open_version(location: str, version: int) -> DeltaTable:
    """Open a Delta table as it was at a version.

    Raises
    ------
    Unavailable
        The storage did not answer, or the version is not kept any more.
    """
    try:
        return DeltaTable(location, version=version)
    except (DeltaError, OSError) as error:
        raise _unreadable(location, error) from error


def files_of(table: DeltaTable | None, prune: str | None = None) -> dict[str, dict[str, Any]]:
    """Return the live data files by path in the table, oldest commit first, each with its partition.

    Parameters
    ----------
    prune
        SQL predicate that files must be able to meet, by their partition and statistics.
    """
    if table is None:
        return {}
    actions = pa.table(table.get_add_actions(flatten=True)).sort_by(
        [("modification_time", "ascending"), ("path", "ascending")]
    )
    keys = [name for name in actions.column_names if name.startswith(_PARTITION)]
    partitions = actions.select(keys).rename_columns([key.removeprefix(_PARTITION) for key in keys])
    paths = map(unquote, actions["path"].to_pylist())  # the log has URLs
    files = dict(zip(paths, partitions.to_pylist(), strict=True))
    if prune is None:
        return files
    kept = {_name(uri) for uri in table.file_uris(file_pruning_predicate=prune)}
    return {path: partition for path, partition in files.items() if _name(path) in kept}


def scan(
    table: DeltaTable | None,
    location: str,
    schema: pa.Schema,
    *,
    columns: Sequence[str] | None = None,
    files: Files | None = None,
    prune: str | None = None,
    where: pds.Expression | None = None,
) -> pa.Table:
    """Read a table as `schema`, in the order of the files.

    Parameters
    ----------
    columns
        Read just these of the schema's columns.
    files
        Read just these of what `files_of` returned; by default all that `prune` leaves.
    prune
        See `files_of`.
    where
        Rows to keep.

    Raises
    ------
    DataError
        A column's stored type cannot be read as the schema's. A column that is not there is all null.
    Unavailable
        A file could not be read.
    """
    columns = list(columns or schema.names)
    if table is None or (files is not None and not files):
        return schema.empty_table().select(columns)
    with _reading(location):
        dataset = _dataset(table, location, schema, files_of(table, prune) if files is None else files)
        return dataset.to_table(columns=columns, filter=where)


def scan_each(
    table: DeltaTable | None,
    location: str,
    schema: pa.Schema,
    *,
    columns: Sequence[str],
    files: Files,
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Read some files a batch at a time, each with its file's path; parameters and errors as of `scan`."""
    if table is None or not files:
        return
    with _reading(location):
        scanner = _dataset(table, location, schema, files).scanner(columns=list(columns))
        for batch in scanner.scan_batches():
            yield batch.fragment.path, batch.record_batch


def append(location: str, rows: pa.Table, *, partition_by: Sequence[str] = ()) -> None:
    """Append rows in one commit, creating the table first where there is none; safe beside other writers.

    Raises
    ------
    DataError
        The table there has other columns, or the same ones in other types.
    Unavailable
        The storage did not take the rows; none of them is visible.
    """
    table = open_table(location)
    if table is not None:
        _check_columns(location, pa.schema(table.schema().to_arrow()), rows.schema)

    def write() -> None:
        write_deltalake(location, rows, mode="append", partition_by=list(partition_by) or None)

    try:
        _contended(write)
    except SchemaMismatchError as error:  # made by another writer just now
        raise DataError([Problem(location, _must_hold(rows.schema), _line(error))]) from error
    except (DeltaError, OSError) as error:
        msg = f"The Delta table {location} did not take {rows.num_rows} rows: {_line(error)}"
        raise Unavailable(msg) from error


@contextmanager
def _reading(location: str) -> Iterator[None]:
    """Turn what goes wrong while files are read into our own errors."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        must = "must hold the columns of the spec, in their types"
        raise DataError([Problem(location, must, _line(error))]) from error
    except (DeltaError, OSError) as error:
        raise _unreadable(location, error) from error


def _check_columns(location: str, stored: pa.Schema, given: pa.Schema) -> None:
    """Delta would cast, and a boolean would become the number 1 without a word."""
    if dict(zip(stored.names, stored.types, strict=True)) != dict(zip(given.names, given.types, strict=True)):
        raise DataError([Problem(location, _must_hold(given), _columns(stored))])


def _must_hold(schema: pa.Schema) -> str:
    return f"must hold the columns {_columns(schema)}"


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in schema)


def _contended(write: Callable[[], _T]) -> _T:
    """Write again when another writer's commit came first; Delta's own retries do not cover creation."""
    for attempt in range(_ATTEMPTS - 1):
        try:
            return write()
        except CommitFailedError:
            spread = random.uniform(0.5, 1.5)  # noqa: S311 - no secret, only apart from other writers
            threading.Event().wait(_PAUSE_S * (attempt + 1) * spread)
    return write()


def _dataset(table: DeltaTable, location: str, schema: pa.Schema, files: Files) -> pds.FileSystemDataset:
    # deltalake's own dataset turns the statistics of all columns of all files into expressions, which takes
    # a millisecond a file; it is asked for no file, to check the protocol and to open the storage
    empty = table.to_pyarrow_dataset(
        filesystem=_filesystem(location), schema=schema, file_pruning_predicate="false"
    )
    fragments = [
        empty.format.make_fragment(path, filesystem=empty.filesystem, partition_expression=_holds(partition))
        for path, partition in files.items()
    ]
    return pds.FileSystemDataset(fragments, schema, empty.format, empty.filesystem)


def _holds(partition: Mapping[str, Any]) -> pds.Expression | None:
    terms = [
        pds.field(key).is_null() if value is None else pds.field(key) == value
        for key, value in partition.items()
    ]
    return reduce(and_, terms) if terms else None


def _filesystem(location: str) -> pafs.FileSystem | None:
    """Read local files natively: deltalake's own handler calls back into Python for each read."""
    if "://" in location:
        return None
    return pafs.SubTreeFileSystem(str(Path(location).absolute()), pafs.LocalFileSystem())


def _unreadable(location: str, error: Exception) -> Unavailable:
    _opened.__dict__.get("tables", {}).pop(location, None)  # made anew, perhaps: the next look starts afresh
    return Unavailable(f"The Delta table {location} cannot be read: {_line(error)}")


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
