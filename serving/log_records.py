"""What the spool holds of one answered request: a JSON object of its columns, packed before the answer.

``rows``, ``boot`` and ``first`` name its rows: ``<boot>-<first>`` and so on. `SAME` are values that they
share, ``scores`` lie flat, row by row, all other columns are lists of one value a row; times are microseconds
since the epoch. Arrow reads it without the interpreter's lock, so a commit does not hold up the answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json

from spec.tables import PARTITION

SAME = ("logged_at", "version", "slot", "shadow", "latency_ms")
_START = b'{"rows":'
_MADE = ("row_id", PARTITION)
_TIMES = ("event_time", "logged_at")


def pack(rows: int, boot: str, first: int, columns: Mapping[str, Any]) -> bytes:
    """Return a request's record; `columns` are `SAME`, ``scores`` and the lists."""
    return orjson.dumps({"rows": rows, "boot": boot, "first": first, **columns})


def rows_of(record: bytes) -> int:
    """Return the number of rows of a record, of an object a row too."""
    if record.startswith(_START):
        return int(record[len(_START) : record.index(b",")])
    return record.count(b"\n") + 1


def unpack(lines: bytes, types: Mapping[str, pa.DataType]) -> dict[str, pa.Array]:
    """Turn records, a line each, into columns by name: all but the partition; times are whole numbers.

    Parameters
    ----------
    types
        Arrow's type of each column of the table.

    Raises
    ------
    ArrowInvalid
        A record is something else.
    """
    stored = {name: kind for name, kind in types.items() if name not in _MADE}
    stored |= {name: pa.int64() for name in _TIMES}
    packed = {name: kind if name in (*SAME, "scores") else pa.list_(kind) for name, kind in stored.items()}
    names = {"rows": pa.int64(), "boot": pa.string(), "first": pa.int64()}
    read = objects(lines, pa.schema(list((names | packed).items()))).combine_chunks()
    column = {name: read[name].combine_chunks() for name in read.column_names}
    counts = np.asarray(column["rows"])
    of_request = pa.array(np.repeat(np.arange(len(counts)), counts))
    found = {name: column[name].take(of_request) for name in SAME}
    found |= {name: pc.list_flatten(column[name]) for name in packed if name not in (*SAME, "scores")}
    found["scores"] = _scores(column["scores"], counts)
    ends = np.cumsum(counts)
    within = np.arange(ends[-1]) - np.repeat(ends - counts, counts)
    serial = pa.array(np.repeat(np.asarray(column["first"]), counts) + within)
    boot = column["boot"].take(of_request)
    found["row_id"] = pc.binary_join_element_wise(boot, serial.cast(pa.string()), "-")
    return found


def objects(lines: bytes, schema: pa.Schema) -> pa.Table:
    """Read JSON objects, a line each, of exactly the schema's fields; one that lacks is null."""
    return pa_json.read_json(
        pa.BufferReader(lines),
        read_options=pa_json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
        parse_options=pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
    )


def _scores(flat: pa.ListArray, counts: np.ndarray[Any, np.dtype[np.int64]]) -> pa.ListArray:
    widths = np.asarray(pc.list_value_length(flat)) // counts
    ends = np.concatenate(([0], np.cumsum(np.repeat(widths, counts))))
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pc.list_flatten(flat))
