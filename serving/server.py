"""Run the model server of a slot until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import socket
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from serving import listener, shadow_port
from serving.app import ServingApp, create_app
from serving.connection import Connection
from spec import ModelSpec, Problem, Settings, SettingsError

if TYPE_CHECKING:
    from serving.grpc.ports import Ports

# Longer than clients stay idle (Envoy: 3 s): a server that closes first loses a request on its way.
_KEEP_ALIVE_S = 3900
_FAREWELL_S = 0.5


def run(
    spec: ModelSpec,
    slot: str,
    settings: Settings,
    host: str,
    port: int,
    file: Path | None = None,
    grpc_port: int | None = None,
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
    grpc_port
        Second port, for gRPC; 0 takes a free one.

    Raises
    ------
    SettingsError
        When a port other than `port` cannot be opened, or gRPC is not installed.
    SystemExit
        With a code other than 0 when the server cannot start.
    """
    app = create_app(spec, slot, settings, file)
    connection = partial(Connection, serving=app, shadow_port=settings.shadow_port)
    config = listener.configuration(app, host, port, http=connection, keep_alive_s=_KEEP_ALIVE_S)
    calls = None if grpc_port is None else _grpc(app, spec, settings, host, grpc_port)
    gc.collect()
    gc.freeze()
    listener.listen(_Server(config, app, calls), shadow_port.sockets(config, settings.shadow_port))


class _Server(uvicorn.Server):
    """Takes leave of its clients before it closes their connections.

    A client that keeps its connection learns that the server stops by an answer that is the last one. If the
    server just closed a connection, it would lose the request that is on its way at that moment.
    """

    def __init__(self, config: uvicorn.Config, app: ServingApp, calls: Ports | None) -> None:
        super().__init__(config)
        self._app = app
        self._calls = calls
        app.is_alone = lambda: len(self.server_state.tasks) + (calls.running if calls else 0) <= 1

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, first of all for gRPC: its ports can be taken before anything is begun, and answer last."""
        if self._calls:
            self._calls.open()
        await super().startup(sockets)
        if self._calls and self.started:
            await self._calls.start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what still comes for a moment, if anyone is connected; then stop as usual."""
        self._app.drain()
        if self.server_state.connections or (self._calls and self._calls.were_called):
            await asyncio.sleep(_FAREWELL_S)
        if self._calls:
            await self._calls.stop(listener.DRAIN_LIMIT_S)
        await super().shutdown(sockets)


def _grpc(app: ServingApp, spec: ModelSpec, settings: Settings, host: str, port: int) -> Ports:
    try:
        from serving.grpc.ports import Ports  # noqa: PLC0415 - comes with an extra of its own
    except ModuleNotFoundError as missing:
        hint = "pip install 'trimtab[grpc]'"
        problem = Problem("--grpc-port", "needs grpcio and protobuf", f"no module {missing.name}", hint)
        raise SettingsError([problem]) from missing
    return Ports(app, spec, host, port, settings.grpc_shadow_port)
