"""How a server of ours listens: those settings of uvicorn that never differ, its beginning and its end."""

from __future__ import annotations

import asyncio
import signal
import socket
from typing import Any, cast

import uvicorn

_STARTUP_FAILED = 3
DRAIN_LIMIT_S = 30


def configuration(
    app: Any, host: str, port: int, *, http: object = "httptools", keep_alive_s: int
) -> uvicorn.Config:
    """Return uvicorn's settings: an ASGI lifespan, no WebSockets, and no log or header but the application's.

    Parameters
    ----------
    app
        An ASGI application.
    port
        TCP port; 0 takes a free one.
    http
        Name of uvicorn's protocol, or what makes one of `asyncio.Protocol` for each connection.
    keep_alive_s
        Seconds that a connection may be idle before the server closes it.
    """
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=cast("type[asyncio.Protocol]", http),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=keep_alive_s,
        timeout_graceful_shutdown=DRAIN_LIMIT_S,
    )


def listen(server: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
    """Run a server until SIGTERM or SIGINT has drained it.

    Parameters
    ----------
    sockets
        Open ones to listen on, instead of the port that the server's settings name.

    Raises
    ------
    SystemExit
        With code 0 at a signal; with another one when the server cannot start.
    """
    # Uvicorn raises the signal again once it has drained; that is a good end, not a death by signal.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    server.run(sockets=sockets)
    if not server.started:
        raise SystemExit(_STARTUP_FAILED)


def _leave(_number: int, _frame: object) -> None:
    raise SystemExit(0)
