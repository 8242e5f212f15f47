"""A second port for mirrored copies: not every gateway marks them, and a copy must not count as a request."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import cast

import uvicorn

from serving.http import Receive, Scope, Send
from serving.origin import COPY_HEADER
from spec import Problem, SettingsError

MARK = (COPY_HEADER, b"1")
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Copies:
    """ASGI: whatever comes by `port` is a mirrored copy."""

    def __init__(self, app: App, port: int) -> None:
        self._app = app
        self._port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Mark a copy, and pass everything on."""
        if scope["type"] == "http" and scope["server"][1] == self._port:
            scope["headers"] = [*scope["headers"], MARK]
        await self._app(scope, receive, send)


def sockets(config: uvicorn.Config, port: int) -> list[socket.socket] | None:
    """Open both ports and have `config`'s application know them apart; None for a port of 0: there is one.

    Raises
    ------
    SettingsError
        A port cannot be opened.
    """
    if port == 0:
        return None
    opened: list[socket.socket] = []
    for name, number in (("--port", config.port), ("TRIMTAB_SHADOW_PORT", port)):
        try:
            opened.append(socket.create_server((config.host, number)))
        except OSError as error:
            for one in opened:
                one.close()
            raise SettingsError(
                [Problem(name, "must be a free port", f"{number}: {error.strerror}")]
            ) from error
    config.app = Copies(cast("App", config.app), port)
    return opened
