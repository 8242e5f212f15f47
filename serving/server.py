"""Run the model server of a slot until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from typing import cast

import uvicorn

from serving import shadow_port
from serving.app import ServingApp, create_app
from serving.connection import Connection
from spec import ModelSpec, Settings

_STARTUP_FAILED = 3
_DRAIN_LIMIT_S = 30
_KEEP_ALIVE_S = 3900
_SWITCH_INTERVAL_S = 0.0005
_FAREWELL_S = 0.5


def run(
    spec: ModelSpec, slot: str, settings: Settings, host: str, port: int, file: Path | None = None
) -> None:
    """Serve a slot until SIGTERM or SIGINT; then answer what has begun, commit the log, and return.

    Parameters
    ----------
    slot
        One of `spec.SLOTS`.
    port
        TCP port; 0 takes a free one.
    file
        ONNX file to answer with, instead of what the registry has.

    Raises
    ------
    SystemExit
        With a code other than 0 when the server cannot start.
    """
    # The log's thread parses and packs what was answered: it must hand the interpreter back soon.
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    app = create_app(spec, slot, settings, file)
    connection = partial(Connection, serving=app, shadow_port=settings.shadow_port)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=cast("type[asyncio.Protocol]", connection),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        # Longer than clients stay idle (Envoy: 3 s): a server that closes first loses a request on its way.
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_DRAIN_LIMIT_S,
    )
    # Uvicorn raises the signal again once it has drained; that is a good end, not a death by signal.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    gc.collect()
    gc.freeze()
    server = _Server(config, app)
    server.run(sockets=shadow_port.sockets(config, settings.shadow_port))
    if not server.started:
        raise SystemExit(_STARTUP_FAILED)


class _Server(uvicorn.Server):
    """Takes leave of its clients before it closes their connections.

    A client that keeps its connection learns that the server stops by an answer that is the last one. If the
    server just closed a connection, it would lose the request that is on its way at that moment.
    """

    def __init__(self, config: uvicorn.Config, app: ServingApp) -> None:
        super().__init__(config)
        self._app = app
        app.is_alone = lambda: len(self.server_state.tasks) <= 1

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what still comes for a moment, if anyone is connected; then stop as usual."""
        self._app.drain()
        if self.server_state.connections:
            await asyncio.sleep(_FAREWELL_S)
        await super().shutdown(sockets)


def _leave(_number: int, _frame: object) -> None:
    raise SystemExit(0)
