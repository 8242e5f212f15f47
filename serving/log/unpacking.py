"""Packed records become the columns of a table.

Arrow reads the JSON of all records at once; their numbers are taken as they lie there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json
from numpy.typing import NDArray

from serving.log.packing import HEAD, NUMBER, Request, number_columns
from spec.tables import FEATURE_PREFIX

_OF_ALL = ("logged_at", "version", "slot")
_OF_REQUEST = ("shadow", "latency_ms")


def unpack(records: Sequence[bytes], types: Mapping[str, pa.DataType]) -> dict[str, pa.Array]:
    """Turn records into columns by name: all but the partition; times are whole numbers.

    Parameters
    ----------
    types
        Arrow's type of each column of the table.

    Raises
    ------
    ArrowInvalid, ValueError
        A record is something else.
    """
    heads = [HEAD.unpack_from(record) for record in records]
    counts = np.array([rows for rows, _ in heads])
    numbers = number_columns(types)
    lines, blocks, scores = [], [], []
    for record, (rows, length) in zip(records, heads, strict=True):
        behind = HEAD.size + length
        end = behind + rows * len(numbers) * NUMBER.itemsize
        lines.append(record[HEAD.size : behind])
        blocks.append(record[behind:end])
        scores.append(record[end:])
    found = _of_text(b"\n".join(lines), counts, {n: t for n, t in types.items() if n not in numbers})
    found["scores"] = _scores(scores, counts)
    block = np.frombuffer(b"".join(blocks), NUMBER).reshape(counts.sum(), len(numbers))
    for at, name in enumerate(numbers):
        column = pa.array(np.ascontiguousarray(block[:, at]), from_pandas=True)
        found[name] = column.cast(types[name])
    return found


def _of_text(
    lines: bytes, counts: NDArray[np.int64], types: Mapping[str, pa.DataType]
) -> dict[str, pa.Array]:
    """Return what stands in the JSON of the records, a line each: names, times, strings, what rows share."""
    read = _objects(lines, _schema(types))
    requests = {name: pc.list_flatten(read[name]) for name in Request._fields}
    sizes = np.asarray(requests["rows"])
    of_record, place = _places(counts)
    of_request, within = _places(sizes)
    found = {name: read[name].take(of_record) for name in _OF_ALL}
    found |= {name: requests[name].take(of_request) for name in _OF_REQUEST}
    found |= {name: pc.list_flatten(read[name]) for name in types if name.startswith(FEATURE_PREFIX)}
    serial = pc.add(read["first"].take(of_record), place).cast(pa.string())
    found["row_id"] = pc.binary_join_element_wise(read["boot"].take(of_record), serial, "-")
    named = requests["id"].take(of_request)
    if (sizes > 1).any():
        numbered = pc.binary_join_element_wise(named, within.cast(pa.string()), "/")
        named = pc.if_else(pa.array(sizes > 1).take(of_request), numbered, named)
    found["prediction_id"] = _replaced(named, requests["ids"], of_request)
    found["event_time"] = _replaced(found["logged_at"], requests["event_times"], of_request)
    return found


def _schema(types: Mapping[str, pa.DataType]) -> dict[str, pa.DataType]:
    """Return the fields of a record's JSON."""
    schema = {"boot": pa.string(), "first": pa.int64()}
    schema |= {"logged_at": pa.int64(), "version": pa.string(), "slot": pa.string()}
    schema |= {"rows": pa.list_(pa.int64()), "id": pa.list_(pa.string())}
    schema |= {"ids": pa.list_(pa.list_(pa.string())), "event_times": pa.list_(pa.list_(pa.int64()))}
    schema |= {"shadow": pa.list_(pa.bool_()), "latency_ms": pa.list_(pa.float64())}
    return schema | {name: pa.list_(types[name]) for name in types if name.startswith(FEATURE_PREFIX)}


def _places(sizes: NDArray[np.int64]) -> tuple[pa.Array, pa.Array]:
    """Return of each row the group that it is in, and its place there, of groups of these sizes."""
    places = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return pa.array(np.repeat(np.arange(len(sizes)), sizes)), pa.array(places)


def _replaced(usual: pa.Array, given: pa.ListArray, of_request: pa.Array) -> pa.Array:
    """Return a value a row: the request's own list where it gives one."""
    if given.null_count == len(given):
        return usual
    return pc.replace_with_mask(usual, given.is_valid().take(of_request), pc.list_flatten(given))


def _objects(lines: bytes, schema: Mapping[str, pa.DataType]) -> dict[str, pa.Array]:
    """Read JSON objects, a line each, of exactly the schema's fields; one that lacks is null."""
    table = pa_json.read_json(
        pa.BufferReader(lines),
        read_options=pa_json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
        parse_options=pa_json.ParseOptions(
            explicit_schema=pa.schema(list(schema.items())), unexpected_field_behavior="error"
        ),
    ).combine_chunks()
    return {name: table[name].chunk(0) for name in table.column_names}


def _scores(blobs: Sequence[bytes], counts: NDArray[np.int64]) -> pa.ListArray:
    sizes = np.array([len(blob) for blob in blobs])
    if (sizes % (counts * NUMBER.itemsize)).any() or not sizes.all():
        message = "a record does not end with as many scores for each row"
        raise ValueError(message)
    widths = np.repeat(sizes // (counts * NUMBER.itemsize), counts)
    ends = np.concatenate(([0], np.cumsum(widths)))
    flat = np.frombuffer(b"".join(blobs), NUMBER)
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(flat))
