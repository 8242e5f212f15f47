"""CloudEvents 1.0 over HTTP, in the three content modes: binary, structured JSON, and JSON batches.

Parsed by hand: what is needed of the standard (HTTP protocol binding and JSON event format, version 1.0.2) is
less than the calls of a library would be.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import orjson

from serving.tensors import json_name
from spec import Problem, RequestError

STRUCTURED = b"application/cloudevents+json"
BATCH = b"application/cloudevents-batch+json"
_PREFIX = b"ce-"
_REQUIRED = ("id", "source", "type")
_VERSION = "1.0"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME_END = datetime(2262, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Event:
    """One event."""

    attributes: Mapping[str, str]
    """Context attributes by their lower-case names, extensions among them; empty ones are left out."""
    data: bytes

    @property
    def id(self) -> str:
        """Unique within `source`; KServe gives a request and its response the same."""
        return self.attributes["id"]

    @property
    def time(self) -> int | None:
        """Microseconds since the epoch, if the sender says when."""
        text = self.attributes.get("time")
        return None if text is None else (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND


def parse(headers: Iterable[tuple[bytes, bytes]], body: bytes) -> list[Event | RequestError]:
    """Return the events of a delivery, and why one is none: of a batch some may be good.

    Parameters
    ----------
    headers
        Names in lower case, as ASGI has them.

    Raises
    ------
    RequestError
        The delivery as a whole cannot be read.
    """
    found = dict(headers)
    kind = found.get(b"content-type", b"").split(b";")[0].strip().lower()
    if kind == BATCH:
        events = _json(body)
        if type(events) is not list:
            raise RequestError([Problem("body", "must be a list of events", json_name(events))])
        return [_tried(event, f"[{at}].") for at, event in enumerate(events)]
    if kind == STRUCTURED:
        return [_tried(_json(body), "")]
    attributes = {
        name[len(_PREFIX) :].decode("latin-1"): unquote(value.decode("latin-1"))
        for name, value in found.items()
        if name.startswith(_PREFIX)
    }
    return [_checked(attributes, body, "header ce-")]


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError([Problem("body", "must be JSON", str(error))]) from error


def _tried(content: object, where: str) -> Event | RequestError:
    try:
        return _structured(content, where)
    except RequestError as error:
        return error


def _structured(content: object, where: str) -> Event:
    if not isinstance(content, dict):
        raise RequestError([Problem(where.rstrip(".") or "body", "must be an event", json_name(content))])
    data = content.get("data")
    if isinstance(data, str):
        raw = data.encode("utf-8", "surrogatepass")
    elif (text := content.get("data_base64")) is not None:
        raw = _decoded(text, f"{where}data_base64")
    else:
        raw = b"" if data is None else orjson.dumps(data)
    named = {key: value for key, value in content.items() if key not in ("data", "data_base64")}
    attributes = {name: value for name, value in named.items() if isinstance(value, str)}
    return _checked(attributes, raw, where)


def _decoded(text: object, where: str) -> bytes:
    try:
        return base64.b64decode(text if isinstance(text, str) else "?", validate=True)
    except binascii.Error as error:
        raise RequestError([Problem(where, "must be base64", str(error))]) from error


def _checked(attributes: Mapping[str, str], data: bytes, where: str) -> Event:
    given = {name: value for name, value in attributes.items() if value}
    problems = [
        Problem(f"{where}{name}", "must be a non-empty string", "none")
        for name in _REQUIRED
        if name not in given
    ]
    if (version := given.get("specversion")) != _VERSION:
        problems.append(Problem(f"{where}specversion", f"must be {_VERSION}", repr(version)))
    if "time" in given and not _is_time(given["time"]):
        must = "must be an RFC 3339 time between the years 1970 and 2261"
        problems.append(Problem(f"{where}time", must, repr(given["time"])[:60]))
    if problems:
        raise RequestError(problems)
    return Event(given, data)


def _is_time(text: str) -> bool:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return False
    return time.tzinfo is not None and _EPOCH <= time < _TIME_END
