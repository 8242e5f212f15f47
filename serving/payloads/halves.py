"""What is kept of a request and of its response until both are here: only what the log holds of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson

from serving.log import packing
from spec import ModelSpec, Problem, RequestError
from spec.tables import FEATURE_PREFIX, log_columns

_HINT = "A response is paired with the request of the same ce-id"


class Asked(NamedTuple):
    """The half of a request; `columns` are those of the log, private values as tokens, dropped ones gone."""

    sent: int
    """Microseconds since the epoch, as all times here."""
    ids: list[str]
    event_times: list[int]
    columns: Mapping[str, Sequence[Any]]


class Answered(NamedTuple):
    """The half of a response; `scores` lie flat, row by row."""

    sent: int
    rows: int
    scores: list[float]
    version: str
    slot: str


def packed(half: Asked | Answered) -> bytes:
    """Return a half as it is kept."""
    return orjson.dumps(half._asdict())


def joined(spec: ModelSpec, key: str, request: bytes, response: bytes, now: int) -> tuple[int, bytes]:
    """Return the number of rows of a finished pair, and its record of the log.

    The ids of its rows follow from `key`, so that readers see a pair once even if it comes again.

    Parameters
    ----------
    request, response
        `packed` halves.
    now
        Processing time.

    Raises
    ------
    RequestError
        The two tell of different numbers of rows.
    """
    asked, answered = Asked(**orjson.loads(request)), Answered(**orjson.loads(response))
    rows = len(asked.ids)
    if rows != answered.rows:
        must = f"must answer the {rows} rows of the request"
        raise RequestError([Problem("response", must, f"{answered.rows} rows", _HINT)])
    columns = {FEATURE_PREFIX + name: asked.columns.get(name, [None] * rows) for name in spec.logged.features}
    names = packing.number_columns(log_columns(spec))
    numbers = np.array([columns.pop(name) for name in names], dtype=np.float64).reshape(-1, rows).T
    latency_ms = max(0, answered.sent - asked.sent) / 1e3
    of_request = packing.Request(rows, key, asked.ids, asked.event_times, shadow=False, latency_ms=latency_ms)
    scores = np.array(answered.scores, dtype=np.float32).reshape(rows, -1)
    version, slot = answered.version, answered.slot
    return rows, packing.pack(
        packing.Rows(key, 0, now, version, slot, [of_request], columns, numbers, scores)
    )
