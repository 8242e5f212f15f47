"""Reads a Parquet file in batches, in memory that does not grow with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from monitors.engines.drawing import BATCH, picked, spread
from monitors.engines.source import Names, Source, chosen, plain, plain_batch, reading, selected

_FORM = "Parquet"
_DECODED = 2**19  # rows that may be decoded for the sample
_GROUPS = 64  # row groups into which the sample looks, or more where they are short
_BUFFER = 2**20  # bytes read ahead of each column, instead of its whole part of the row group
_STRINGS = (pa.string(), pa.large_string())
_CODE = 4  # bytes a value up to which a column is stored as codes, more or less


def open_parquet(path: str) -> Source:
    """Open a Parquet file.

    The sample is taken from up to 64 row groups from the first to the last, from the beginning of each where
    all are too long: at most about half a million rows are decoded for it.

    Raises
    ------
    DataError
        It is not Parquet, or not whole.
    """
    with reading(path, _FORM):
        file = _open(path)
    metadata = file.metadata
    size = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    schema = plain(file.schema_arrow)

    coded = _coded(file)

    def batches(names: Names) -> Iterator[pa.RecordBatch]:
        return _batches(path, coded, names)

    def sample(rows: int, names: Names) -> pa.Table:
        drawn = list(_sampled(path, coded, rows, names))
        part = selected(schema, names)
        return pa.Table.from_batches(drawn, drawn[0].schema if drawn else part).cast(part)

    return Source(path, schema, size, batches, sample)


def _open(path: str, coded: Sequence[str] = ()) -> pq.ParquetFile:
    return pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER, read_dictionary=list(coded))


def _coded(file: pq.ParquetFile) -> list[str]:
    """Return the columns of strings that are stored as codes: read as codes they come eight times as fast."""
    metadata, schema = file.metadata, file.schema_arrow
    if not metadata.num_row_groups:
        return []
    chunks = [metadata.row_group(0).column(place) for place in range(metadata.num_columns)]
    small = {chunk.path_in_schema for chunk in chunks if _is_coded(chunk)}
    return [field.name for field in schema if field.name in small and field.type in _STRINGS]


def _is_coded(chunk: pq.ColumnChunkMetaData) -> bool:
    return bool(chunk.has_dictionary_page) and chunk.total_uncompressed_size <= _CODE * chunk.num_values


def _batches(
    path: str, coded: Sequence[str], names: Names, groups: Sequence[int] | None = None
) -> Iterator[pa.RecordBatch]:
    columns = None if names is None else list(names)
    with reading(path, _FORM), _open(path, coded) as file:
        for batch in file.iter_batches(BATCH, row_groups=groups, columns=columns):
            yield plain_batch(batch.select(chosen(batch.schema, names)))  # "a.b" is a field of "a" too


def _sampled(path: str, coded: Sequence[str], rows: int, names: Names) -> Iterator[pa.RecordBatch]:
    with _open(path) as file:
        lengths = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
    if sum(lengths) <= _DECODED:
        yield from picked(_batches(path, coded, names), spread(sum(lengths), rows))
        return
    groups = spread(len(lengths), max(_GROUPS, -(-rows * len(lengths) // sum(lengths)))).tolist()
    depth = _DECODED // len(groups)
    if all(lengths[group] <= depth for group in groups):
        available = sum(lengths[group] for group in groups)
        yield from picked(_batches(path, coded, names, groups), spread(available, rows))
        return
    looked = [min(lengths[group], depth) for group in groups]
    for group, available in zip(groups, looked, strict=True):
        quota = round(rows * available / sum(looked))
        yield from picked(_batches(path, coded, names, [group]), spread(available, quota))
