"""Which REST request a call is, and what the answer to it says in gRPC."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import orjson
from google.protobuf.json_format import ParseDict
from grpc import StatusCode

from serving import binary
from serving.grpc import tensors
from serving.http import Headers, Response

_CODES = {
    400: StatusCode.INVALID_ARGUMENT,
    401: StatusCode.UNAUTHENTICATED,
    404: StatusCode.NOT_FOUND,
    409: StatusCode.FAILED_PRECONDITION,
    413: StatusCode.RESOURCE_EXHAUSTED,
    422: StatusCode.INVALID_ARGUMENT,
    429: StatusCode.RESOURCE_EXHAUSTED,
    499: StatusCode.CANCELLED,
    503: StatusCode.UNAVAILABLE,
    504: StatusCode.DEADLINE_EXCEEDED,
}
_OK = 200
_MOST_TEXT_BYTES = 2000
"""Of an error. It travels as a header, three times as long where it is not ASCII; 8 KiB are their limit."""


class Request(NamedTuple):
    """A request to the REST application; `path` is not quoted."""

    method: str
    path: str
    body: bytes = b""
    headers: Headers = ()


class Failed(Exception):
    """A call that gets a status in place of an answer."""

    def __init__(self, code: StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = code


def rest(call: str, message: Any) -> Request:
    """Return what a call, by its method's name, asks of the REST application."""
    return _CALLS[call](message)


def answer(call: str, message: Any, response: Response, kind: Any) -> Any:
    """Return the answer to a call, a message of `kind`.

    Raises
    ------
    Failed
        When it is an error, with the same text.
    """
    if response.status == _OK and call == "ModelInfer":
        return tensors.answer_of(response)
    content = orjson.loads(response.body)
    if response.status != _OK and "ready" not in content:  # not to be ready is an answer
        text: bytes = content["error"].encode()[:_MOST_TEXT_BYTES]
        raise Failed(_CODES.get(response.status, StatusCode.INTERNAL), text.decode(errors="ignore"))
    if call == "RepositoryIndex":
        content = {"models": [one for one in content if one["state"] == "READY" or not message.ready]}
    return ParseDict(content, kind(), ignore_unknown_fields=True)


def _model(name: str, version: str) -> str:
    return f"/v2/models/{name}/versions/{version}" if version else f"/v2/models/{name}"


def _infer(message: Any) -> Request:
    body, json_bytes = tensors.body_of(message)
    path = f"{_model(message.model_name, message.model_version)}/infer"
    return Request("POST", path, body, ((binary.HEADER, json_bytes),))


def _repository(verb: str, message: Any) -> Request:
    parameters = {name: tensors.value_of(one) for name, one in message.parameters.items()}
    body = orjson.dumps({"parameters": parameters}, default=str)
    return Request("POST", f"/v2/repository/models/{message.model_name}/{verb}", body)


_CALLS: dict[str, Callable[[Any], Request]] = {
    "ServerLive": lambda _: Request("GET", "/v2/health/live"),
    "ServerReady": lambda _: Request("GET", "/v2/health/ready"),
    "ModelReady": lambda asked: Request("GET", f"{_model(asked.name, asked.version)}/ready"),
    "ServerMetadata": lambda _: Request("GET", "/v2"),
    "ModelMetadata": lambda asked: Request("GET", _model(asked.name, asked.version)),
    "ModelInfer": _infer,
    "RepositoryIndex": lambda _: Request("POST", "/v2/repository/index"),
    "RepositoryModelLoad": partial(_repository, "load"),
    "RepositoryModelUnload": partial(_repository, "unload"),
}
