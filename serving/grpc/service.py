"""Calls of gRPC, handed to the application as requests of REST."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from serving import binary
from serving.app import ServingApp
from serving.grpc import requests
from serving.grpc.messages import SERVICE, message_class
from serving.http import CLOSE, Headers, Message, Response
from serving.origin import TESTER_HEADER

_PATIENCE = "x-envoy-expected-rq-timeout-ms"
_PATIENCE_DIGITS = 15
_CARRIED = ("authorization", "x-request-id", _PATIENCE, TESTER_HEADER.decode())
"""Metadata that the application reads as headers."""
_LEAVING = "the server is about to stop; nothing was computed"
_HTTPS_OWN = (CLOSE[0], binary.HEADER)
"""Headers of answers that mean nothing in gRPC, or must not be there."""


class _Exchange:
    """One request, from the application's side."""

    __slots__ = ("body", "has_gone")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.has_gone = False

    async def receive(self) -> Message:
        """Give the body, or tell that the client has gone; as ASGI's, but it never waits."""
        return {"type": "http.disconnect" if self.has_gone else "http.request", "body": self.body}


class Service:
    """The protocol's service in front of an application.

    Parameters
    ----------
    marks
        Headers that each request has beside its caller's.
    """

    def __init__(self, app: ServingApp, marks: Headers = ()) -> None:
        self._app = app
        self._marks = marks
        self.was_called = False
        """Whether there may be clients."""
        self.running: set[asyncio.Task[Response]] = set()
        """Requests that have no answer yet."""

    def handler(self) -> Any:
        """Return what a server of gRPC calls."""
        methods = {}
        for method in SERVICE.methods:
            asked, answered = message_class(method.input_type), message_class(method.output_type)
            methods[method.name] = grpc.unary_unary_rpc_method_handler(
                partial(self._call, method.name, asked, answered), None, answered.SerializeToString
            )
        return grpc.method_handlers_generic_handler(SERVICE.full_name, methods)

    async def _call(self, call: str, asked: Any, kind: Any, sent: bytes, context: Any) -> Any:
        self.was_called = True
        try:
            message = asked.FromString(sent)
        except DecodeError:
            text = f"the call must hold a message {asked.DESCRIPTOR.full_name}; found other bytes"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
        if self._app.is_draining and call == "ModelInfer":
            # What is on its way when the server stops ends as CANCELLED, which nobody tries again elsewhere.
            await context.abort(grpc.StatusCode.UNAVAILABLE, _LEAVING)
        request = requests.rest(call, message)
        headers = [*request.headers, *self._marks, *_headers(context)]
        scope = {"type": "http", "method": request.method, "path": request.path, "headers": headers}
        response = await self._ask(scope, _Exchange(request.body))
        told = tuple(
            (name.decode(), value.decode()) for name, value in response.headers if name not in _HTTPS_OWN
        )
        context.set_trailing_metadata(told)
        try:
            return requests.answer(call, message, response, kind)
        except requests.Failed as failure:
            await context.abort(failure.code, str(failure))

    async def _ask(self, scope: dict[str, Any], exchange: _Exchange) -> Response:
        """Let the application answer; a call that ends before is for it to notice and to count."""
        running = asyncio.create_task(self._app.answer(scope, exchange.receive))
        self.running.add(running)
        running.add_done_callback(self.running.discard)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            exchange.has_gone = True
            raise


def _headers(context: Any) -> Headers:
    """Return the metadata that are headers, and the call's deadline as Envoy would tell it."""
    sent = {name: value for name, value in context.invocation_metadata() if name in _CARRIED}
    left = context.time_remaining()
    if left is not None:
        patience_ms, told = max(1, int(left * 1e3)), sent.get(_PATIENCE, "")
        if not (told.isdecimal() and len(told) <= _PATIENCE_DIGITS and 0 < int(told) < patience_ms):
            sent[_PATIENCE] = str(patience_ms)
    return tuple((name.encode(), value.encode()) for name, value in sent.items())
