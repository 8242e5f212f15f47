"""The little of HTTP that the model server needs on top of ASGI."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from spec import DataError, InputError, NotFound, Refused, RequestError, TrimtabError, Unavailable

_logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]

CLOSE = (b"connection", b"close")
BODY_LIMIT_BYTES = 16 * 2**20
_PATIENCE = 4
_JSON = b"application/json"
_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (RequestError, 400),
    (DataError, 422),
    (NotFound, 404),
    (Refused, 409),
    (Unavailable, 503),
)


@dataclass(frozen=True, slots=True)
class Response:
    """One answer."""

    status: int
    body: bytes
    content_type: bytes = _JSON
    headers: Headers = field(default=())


class HttpError(Exception):
    """A request that fails for a reason HTTP has a status of its own for.

    Parameters
    ----------
    is_fault
        Whether it counts against the server or its version, whatever the status.
    """

    def __init__(self, status: int, text: str, headers: Headers = (), *, is_fault: bool = False) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers
        self.is_fault = is_fault


def json_response(content: object, status: int = 200) -> Response:
    """Answer with JSON."""
    return Response(status, orjson.dumps(content))


def error_response(error: Exception) -> Response:
    """Answer ``{"error": text}`` with the status that fits; what is not ours to explain is a 500."""
    if isinstance(error, HttpError):
        return Response(error.status, orjson.dumps({"error": str(error)}), headers=error.headers)
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    if isinstance(error, InputError):
        text = "; ".join(str(problem) for problem in error.problems)
    else:
        text = str(error) or type(error).__name__
    return Response(status, orjson.dumps({"error": text}))


def failure(error: Exception, what: str) -> Response:
    """Answer a request that failed; what is not ours to explain is told to the server's log alone."""
    if not isinstance(error, TrimtabError | HttpError):
        _logger.error("%s failed", what, exc_info=error)
        error = RuntimeError("an internal error; the server's log has it")
    return error_response(error)


async def read_body(scope: Scope, receive: Receive, most_bytes: int = BODY_LIMIT_BYTES) -> bytes:
    """Read the request's body.

    A body beyond the limit is read on and thrown away for a while: a client that is still sending when
    the connection closes never sees why.

    Raises
    ------
    HttpError
        413 beyond `most_bytes`; 400 when the client leaves before the end.
    """
    patience_bytes = _PATIENCE * most_bytes
    for name, value in scope["headers"]:
        if name == b"content-length" and int(value) > patience_bytes:
            raise _too_large(most_bytes)
    message = await receive()
    body: bytes = message.get("body", b"")
    chunks, size = [body], len(body)
    while message.get("more_body", False) and size <= patience_bytes:
        message = await receive()
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= most_bytes:
            chunks.append(chunk)
    if message["type"] != "http.request":
        raise HttpError(400, "the client closed the connection before the end of the body")
    if size > most_bytes:
        raise _too_large(most_bytes)
    return body if len(chunks) == 1 else b"".join(chunks)


def headers_of(response: Response, *, last: bool) -> list[tuple[bytes, bytes]]:
    """Return all headers of an answer; the `last` one of its connection says so."""
    length = str(len(response.body)).encode()
    headers = [(b"content-type", response.content_type), (b"content-length", length), *response.headers]
    if last and CLOSE not in headers:
        headers.append(CLOSE)
    return headers


async def respond(send: Send, response: Response, *, last: bool = False) -> None:
    """Send an answer whole."""
    headers = headers_of(response, last=last)
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def _too_large(most_bytes: int) -> HttpError:
    text = f"the body must not be larger than {most_bytes} bytes; send fewer rows a request"
    return HttpError(413, text, (CLOSE,))
