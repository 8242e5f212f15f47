"""Reads Arrow IPC files: the file format (Feather version 2) and the stream format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from monitors.engines.drawing import at_random, picked, spread
from monitors.engines.source import Names, Source, chosen, plain, plain_batch, reading, selected

_FORM = "an Arrow file"
_MAGIC = b"ARROW1"
_BATCHES = 64  # batches into which the sample looks, or more where they are short
_SEED = 0


def open_arrow(path: str) -> Source:
    """Open an Arrow file, whichever of the two formats it is in; a stream is read once for the sample.

    Raises
    ------
    DataError
        It is not an Arrow file, or not whole.
    """
    with reading(path, _FORM):
        indexed = _is_indexed(path)
        with pa.OSFile(path) as file:
            schema = plain(pa.ipc.open_file(file).schema if indexed else pa.ipc.open_stream(file).schema)

    def batches(names: Names) -> Iterator[pa.RecordBatch]:
        with reading(path, _FORM), pa.OSFile(path) as file:
            if not indexed:
                for batch in pa.ipc.open_stream(file):
                    yield plain_batch(batch.select(chosen(schema, names)))
                return
            options = pa.ipc.IpcReadOptions(included_fields=chosen(schema, names))
            reader = pa.ipc.open_file(file, options=options)
            for place in range(reader.num_record_batches):
                yield plain_batch(reader.get_batch(place))

    def sample(rows: int, names: Names) -> pa.Table:
        part = selected(schema, names)
        if not indexed:
            return at_random(part, batches(names), rows, _SEED)
        return pa.Table.from_batches(_sampled(path, rows, chosen(schema, names)), part)

    return Source(path, schema, Path(path).stat().st_size, batches, sample)


def _is_indexed(path: str) -> bool:
    with Path(path).open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def _sampled(path: str, rows: int, columns: list[int]) -> Iterator[pa.RecordBatch]:
    """Yield rows of up to 64 batches from the first to the last, without reading the others."""
    with reading(path, _FORM), pa.OSFile(path) as file:
        reader = pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(included_fields=columns))
        first = reader.get_batch(0).num_rows if reader.num_record_batches else 0
        places = spread(reader.num_record_batches, max(_BATCHES, -(-rows // max(first, 1))))
        quota = -(-rows // max(len(places), 1))
        for place in places.tolist():
            batch = plain_batch(reader.get_batch(place))
            yield from picked([batch], spread(batch.num_rows, quota))
