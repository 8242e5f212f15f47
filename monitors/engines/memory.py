"""Reads what is in memory already, or comes from another library as an Arrow stream."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from monitors.engines.drawing import BATCH, at_random, picked, spread
from monitors.engines.source import Names, Source, chosen, plain, plain_batch, reading, selected

_SEED = 0


def open_table(table: pa.Table, name: str = "table") -> Source:
    """Open a table; nothing is copied."""
    schema = plain(table.schema)

    def batches(names: Names) -> Iterator[pa.RecordBatch]:
        part = table.select(chosen(schema, names))
        return map(plain_batch, part.to_batches(max_chunksize=BATCH))

    def sample(rows: int, names: Names) -> pa.Table:
        drawn = picked(batches(names), spread(table.num_rows, rows))
        return pa.Table.from_batches(drawn, selected(schema, names))

    return Source(name, schema, table.nbytes, batches, sample)


def open_reader(reader: pa.RecordBatchReader, name: str = "record batch reader") -> Source:
    """Open a stream that can be read once: its sample is its beginning, which is kept until it is counted."""
    schema = plain(reader.schema)
    kept: list[pa.RecordBatch] = []

    def batches(names: Names) -> Iterator[pa.RecordBatch]:
        with reading(name, "an Arrow stream"):
            for batch in itertools.chain(_drained(kept), reader):
                yield plain_batch(batch.select(chosen(schema, names)))

    def sample(rows: int, names: Names) -> pa.Table:
        seen = 0
        with reading(name, "an Arrow stream"):
            for batch in reader:
                kept.append(batch)
                seen += batch.num_rows
                if seen >= rows:
                    break
        part = [plain_batch(batch.select(chosen(schema, names))) for batch in kept]
        return pa.Table.from_batches(part, selected(schema, names))

    return Source(name, schema, 0, batches, sample)


def open_dataset(dataset: Any) -> Source:
    """Open a `pyarrow.dataset.Dataset`; it is read once for the sample and once to be counted."""
    schema = plain(dataset.schema)

    def batches(names: Names) -> Iterator[pa.RecordBatch]:
        columns = None if names is None else [name for name in schema.names if name in names]
        with reading("dataset", "a dataset"):
            ahead = {"batch_size": BATCH, "batch_readahead": 4, "fragment_readahead": 1}
            for batch in dataset.to_batches(columns=columns, **ahead):
                yield plain_batch(batch)

    def sample(rows: int, names: Names) -> pa.Table:
        return at_random(selected(schema, names), batches(names), rows, _SEED)

    return Source("dataset", schema, 0, batches, sample)


def open_polars(frame: Any) -> Source:
    """Open a Polars frame; a lazy one is run once for the sample and once to be counted, batch by batch.

    Its integers of 128 bits, which Arrow does not have, are read as floats.
    """
    import polars as pl  # noqa: PLC0415 - whoever has a frame has it

    wide = [getattr(pl, name) for name in ("Int128", "UInt128") if hasattr(pl, name)]
    frame = frame.cast(dict.fromkeys(wide, pl.Float64))
    if not hasattr(frame, "collect_batches"):
        return open_table(pa.table(frame), "Polars frame")
    schema = plain(pa.table(frame.head(0).collect()).schema)

    def batches(names: Names) -> Iterator[pa.RecordBatch]:
        wanted = frame if names is None else frame.select([name for name in schema.names if name in names])
        for part in wanted.collect_batches(chunk_size=BATCH, maintain_order=True):
            yield from map(plain_batch, pa.table(part).to_batches())

    def sample(rows: int, names: Names) -> pa.Table:
        return at_random(selected(schema, names), batches(names), rows, _SEED)

    return Source("Polars lazy frame", schema, 0, batches, sample)


def _drained(kept: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    kept.reverse()
    while kept:
        yield kept.pop()
