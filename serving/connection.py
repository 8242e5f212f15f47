"""Connections of a model server: uvicorn's, but small inference requests are answered without ASGI.

ASGI costs a request a task, an event, and four messages, each with checks of its own: as much of the
processor as reading the request does. Most requests are small POSTs to the inference path, with their length
told, on a connection that stays open. Such a one goes to the turns as soon as it is here, and its answer is
one write. Whatever is unusual about a request sends it uvicorn's way; both ways may follow each other on a
connection.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serving.app import ServingApp
from serving.http import CLOSE, Message, Response, headers_of
from serving.inference import Sent

_NOBODY_WAITS = asyncio.Event()


class Exchange:
    """A request that is answered directly, from its headers on.

    It stands where uvicorn has its own cycle, and has those of its attributes that `HttpToolsProtocol` uses.
    """

    __slots__ = ("body", "disconnected", "keep_alive", "more_body", "response_complete", "sent")
    message_event = _NOBODY_WAITS

    def __init__(self, sent: Sent) -> None:
        self.sent = sent
        self.body = b""
        self.more_body = True
        self.response_complete = False
        self.disconnected = False
        self.keep_alive = True

    async def receive(self) -> Message:
        """Tell whether the client is there still; as ASGI's, but it never waits."""
        return {"type": "http.disconnect" if self.disconnected else "http.request"}


class Connection(HttpToolsProtocol):
    """One client's connection.

    Parameters
    ----------
    serving
        The application, for what is answered directly; `options` name it again, perhaps wrapped.
    shadow_port
        Where copies arrive, which `serving` cannot tell apart: all of theirs goes uvicorn's way.
    """

    def __init__(self, *, serving: ServingApp, shadow_port: int, **options: Any) -> None:
        super().__init__(**options)
        self._serving = serving
        self._shadow_port = shadow_port

    def on_headers_complete(self) -> None:
        """Begin a request; called by the parser."""
        sent = self._serving.sent_directly(self.headers) if self._is_plain() else None
        if sent is None:
            super().on_headers_complete()
        else:
            self.cycle = Exchange(sent)  # type: ignore[assignment]

    def on_message_complete(self) -> None:
        """End a request's body; called by the parser."""
        super().on_message_complete()
        exchange: object = self.cycle
        if type(exchange) is Exchange and not exchange.response_complete:
            reply = partial(self._reply, exchange)
            self._serving.answer_directly(exchange.sent, exchange.body, exchange.receive, reply)

    def _is_plain(self) -> bool:
        """Tell whether there is nothing about the request's head that uvicorn should see to."""
        parser = self.parser
        return (
            self.url == self._serving.infer_url
            and parser.get_method() == b"POST"
            and (self.cycle is None or self.cycle.response_complete)
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and not self.expect_100_continue
            and not self.flow.write_paused
            and self.server is not None
            and self.server[1] != self._shadow_port
        )

    def _reply(self, exchange: Exchange, response: Response) -> None:
        headers = headers_of(response, last=self._serving.is_draining or not exchange.keep_alive)
        if not self.transport.is_closing():
            lines = [STATUS_LINE[response.status]]
            for name, value in (*self.server_state.default_headers, *headers):
                lines += (name, b": ", value, b"\r\n")
            lines += (b"\r\n", response.body)
            self.transport.write(b"".join(lines))
        exchange.response_complete = True
        if CLOSE in headers:
            self.transport.close()
        self.on_response_complete()
