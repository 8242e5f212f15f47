"""What is kept of a request and of its response until both are here: only what the log holds of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from serving import log_records
from spec import ModelSpec, Problem, RequestError
from spec.tables import FEATURE_PREFIX

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
    features = {
        FEATURE_PREFIX + name: asked.columns.get(name, [None] * rows) for name in spec.logged.features
    }
    columns = {
        "prediction_id": asked.ids,
        "event_time": asked.event_times,
        "scores": answered.scores,
        **features,
        "logged_at": now,
        "version": answered.version,
        "slot": answered.slot,
        "shadow": False,
        "latency_ms": max(0, answered.sent - asked.sent) / 1e3,
    }
    return rows, log_records.pack(rows, key, 0, columns)
