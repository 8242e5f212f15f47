"""What is profiled: a schema, batches of chosen columns as often as asked, and some rows for a plan."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from spec import DataError, Problem

Names = Sequence[str] | None
"""The columns to read; None for all."""

_CODE = pa.int32()


@dataclass(frozen=True, slots=True)
class Source:
    """Rows that can be read.

    Parameters
    ----------
    name
        What messages call it: the path, or the type of what is in memory.
    schema
        Of all columns. A column of strings may come as a dictionary of strings all the same.
    size
        Bytes, about: its weight among the files of a folder.
    batches
        Reads the columns of the given names. A source that can be read once, once.
    sample
        Reads about so many rows of such columns from all over the data where it can be read again, else
        from its beginning; call it before `batches`. The same rows at every call.
    """

    name: str
    schema: pa.Schema
    size: int
    batches: Callable[[Names], Iterator[pa.RecordBatch]]
    sample: Callable[[int, Names], pa.Table]


@contextmanager
def reading(name: str, form: str) -> Iterator[None]:
    """Turn what goes wrong while data are read into our own error, one line."""
    try:
        yield
    except PermissionError as error:
        raise DataError([Problem(name, "must be readable", "no permission")]) from error
    except (pa.ArrowException, OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        found = " ".join(str(error).split())
        raise DataError([Problem(name, f"must be readable as {form}", found)]) from error


def chosen(schema: pa.Schema, names: Names) -> list[int]:
    """Return the positions of the columns of these names; a name that stands twice is there twice."""
    return [place for place, name in enumerate(schema.names) if names is None or name in names]


def selected(schema: pa.Schema, names: Names) -> pa.Schema:
    """Return the schema of the columns of these names."""
    return pa.schema([schema.field(place) for place in chosen(schema, names)])


def plain(schema: pa.Schema) -> pa.Schema:
    """Return a schema without metadata and nullability, in which files of one table may differ.

    String views, which Polars exports, become strings, and runs are decoded: Arrow cannot yet take some rows
    of them. Codes get 32 bits: those of two batches may be too many for 8, as pandas makes them.
    """
    return pa.schema([pa.field(field.name, _plain_type(field.type)) for field in schema])


def plain_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch in the `plain` form of its schema."""
    if not batch.num_columns:  # rows without a column are still rows
        return batch
    columns = [_plain_array(column) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, schema=plain(batch.schema))


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_run_end_encoded(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_dictionary(kind):
        index = kind.index_type if kind.index_type.bit_width >= _CODE.bit_width else _CODE
        return pa.dictionary(index, _plain_type(kind.value_type), kind.ordered)
    return pa.large_string() if kind == pa.string_view() else kind


def _plain_array(array: pa.Array) -> pa.Array:
    if pa.types.is_run_end_encoded(array.type):
        return _plain_array(pc.run_end_decode(array))
    if not pa.types.is_dictionary(array.type):
        return array.cast(pa.large_string()) if array.type == pa.string_view() else array
    kind = _plain_type(array.type)
    codes, values = array.indices.cast(kind.index_type), _plain_array(array.dictionary)
    return pa.DictionaryArray.from_arrays(codes, values, ordered=kind.ordered)
