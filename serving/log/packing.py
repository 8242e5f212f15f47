"""What the spool holds of the requests that were answered in one turn, packed before their answers.

A record begins with its number of rows and the length of the JSON behind (little-endian, 4 bytes each). The
JSON holds what the rows share, what those of each request share, and their strings; their numbers follow,
float64 [rows, numbers], truth values as 0 and 1, NaN for null, then their scores, float64 [rows, k]: neither
is turned into text and back. `unpacking` reads them.

``boot`` and ``first`` name the rows: ``<boot>-<first>`` and so on. Times are microseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from struct import Struct
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from spec import ModelSpec
from spec.tables import FEATURE_PREFIX, log_columns

FORMAT = 4
"""Of records; a segment's header names its own."""
HEAD = Struct("<II")
_JSON_BEGINS = b'{"boot":"'
NUMBER = np.dtype("<f8")

Floats = NDArray[np.floating[Any]]


class Request(NamedTuple):
    """What the rows of one request share.

    `id` is the prediction id where `ids`, one a row, are not given; several rows get its number behind it.
    `event_times`, one a row, is None for the time of logging.
    """

    rows: int
    id: str
    ids: Sequence[str] | None
    event_times: Sequence[int] | None
    shadow: bool | None
    latency_ms: float


class Rows(NamedTuple):
    """The rows of some requests, behind each other, as they are logged.

    `text` are columns of strings by name, `numbers` [rows, numbers] in the table's order, `scores` [rows, k].
    """

    boot: str
    first: int
    logged_at: int
    version: str
    slot: str
    requests: Sequence[Request]
    text: Mapping[str, Sequence[str | None]]
    numbers: Floats
    scores: Floats


def pack(rows: Rows) -> bytes:
    """Return the record of at least one row."""
    shared: dict[str, Any] = {"boot": rows.boot, "first": rows.first}
    shared |= {"logged_at": rows.logged_at, "version": rows.version, "slot": rows.slot}
    shared.update(zip(Request._fields, zip(*rows.requests, strict=True), strict=True))
    text = orjson.dumps({**shared, **rows.text})
    numbers, scores = rows.numbers.astype(NUMBER, copy=False), rows.scores.astype(NUMBER, copy=False)
    return b"".join((HEAD.pack(len(scores), len(text)), text, numbers.tobytes(), scores.tobytes()))


def rows_of(record: bytes) -> int:
    """Return the number of rows of a record."""
    return int(HEAD.unpack_from(record)[0])


def places(content: bytes, start: int) -> Iterator[int]:
    """Yield, in order, where behind `start` a record may begin; all that begin there are among them."""
    found = content.find(_JSON_BEGINS, start + HEAD.size)
    while found >= 0:
        yield found - HEAD.size
        found = content.find(_JSON_BEGINS, found + 1)


def number_columns(types: Mapping[str, Any]) -> list[str]:
    """Return the columns of a table that a record holds as numbers, in its order.

    Parameters
    ----------
    types
        Of each column, by the name that `spec.tables.log_columns` or Arrow gives it.
    """
    return [
        name
        for name, kind in types.items()
        if name.startswith(FEATURE_PREFIX) and str(kind) in ("bool", "double")
    ]


def header(spec: ModelSpec) -> dict[str, Any]:
    """Return what a segment must say of itself to be read under a later version of the spec."""
    return {"format": FORMAT, "columns": log_columns(spec)}
