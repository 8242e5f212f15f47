"""Reads Delta tables through their one door."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import pyarrow as pa

from monitors.engines.drawing import picked, spread
from monitors.engines.source import Names, Source, plain, plain_batch, selected
from spec import DataError, Problem

_FILES = 64  # files into which the sample looks
_DECODED = 2**19  # rows that may be decoded for the sample


def open_delta(location: str) -> Source:
    """Open the newest state of a Delta table, in a folder or an object store.

    Its sample is the beginnings of up to 64 files from the oldest to the newest.

    Raises
    ------
    DataError
        There is no Delta table.
    Unavailable
        The storage did not answer, or the table needs a reader feature that is not there (deletion vectors).
    """
    from monitors import delta  # noqa: PLC0415 - brings pandas in, half a second that files do not need

    table = delta.open_table(location)
    if table is None:
        raise DataError([Problem(location, "must be a Delta table", "no _delta_log")])
    schema = plain(pa.schema(table.schema().to_arrow()))
    files = delta.files_of(table)

    def batches(names: Names) -> Iterator[pa.RecordBatch]:
        return _read(names, list(files))

    def _read(names: Names, paths: list[str]) -> Iterator[pa.RecordBatch]:
        columns = [name for name in schema.names if names is None or name in names]
        part = {path: files[path] for path in paths}
        for _, batch in delta.scan_each(table, location, schema, columns=columns, files=part):
            yield plain_batch(batch)

    def sample(rows: int, names: Names) -> pa.Table:
        paths = list(files)
        looked = [paths[place] for place in spread(len(paths), _FILES).tolist()]
        depth, quota = (-(-total // max(len(looked), 1)) for total in (_DECODED, rows))
        parts = [_beginning(_read(names, [path]), depth, quota) for path in looked]
        return pa.Table.from_batches(chain.from_iterable(parts), selected(schema, names))

    return Source(location, schema, 0, batches, sample)


def _beginning(batches: Iterator[pa.RecordBatch], depth: int, rows: int) -> list[pa.RecordBatch]:
    """Return `rows` rows spread over the first `depth`."""
    held, seen = [], 0
    for batch in batches:
        held.append(batch)
        seen += batch.num_rows
        if seen >= depth:
            break
    return list(picked(held, spread(min(seen, depth), rows)))
