"""The ports of gRPC: one for requests, one for mirrored copies where there are any.

A copy is told apart by its port alone. Envoy marks the ``:authority`` of its copies, but gRPC does not tell
that to servers in Python (https://github.com/grpc/grpc/issues/38906).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import grpc.aio

from serving.app import ServingApp
from serving.grpc.service import Service
from serving.http import Headers
from serving.shadow_port import MARK
from spec import ModelSpec, Problem, SettingsError

_MOST_BYTES = 2**31 - 1
_logger = logging.getLogger(__name__)


class Ports:
    """What listens for gRPC beside an application's own server.

    Parameters
    ----------
    port
        For requests; 0 takes a free one, which the log names.
    shadow_port
        For mirrored copies; 0: none.
    """

    def __init__(self, app: ServingApp, spec: ModelSpec, host: str, port: int, shadow_port: int) -> None:
        self._app = app
        self._most_bytes = spec.serving.body
        self._host = f"[{host}]" if ":" in host else host
        self._ports: list[tuple[str, int, Headers]] = [("--grpc-port", port, ())]
        if shadow_port:
            self._ports.append(("TRIMTAB_GRPC_SHADOW_PORT", shadow_port, (MARK,)))
        self._servers: list[Any] = []
        self._services: list[Service] = []

    @property
    def running(self) -> int:
        """How many calls have no answer yet."""
        return sum(len(service.running) for service in self._services)

    @property
    def were_called(self) -> bool:
        """Whether there may be clients, who are to hear that the server stops."""
        return any(service.was_called for service in self._services)

    def open(self) -> None:
        """Take the ports; calls wait there until `start`.

        Raises
        ------
        SettingsError
            A port cannot be opened.
        """
        for name, port, marks in self._ports:
            service, server = Service(self._app, marks), self._server()
            server.add_generic_rpc_handlers((service.handler(),))
            try:
                taken = server.add_insecure_port(f"{self._host}:{port}")
            except RuntimeError as error:
                raise SettingsError([Problem(name, "must be a free port", str(port))]) from error
            _logger.info("gRPC on %s:%d", self._host, taken)
            self._servers.append(server)
            self._services.append(service)

    async def start(self) -> None:
        """Answer calls."""
        for server in self._servers:
            await server.start()

    async def stop(self, seconds: float) -> None:
        """Take no more calls, and answer what has begun for as long."""
        await asyncio.gather(*(server.stop(seconds) for server in self._servers))

    def _server(self) -> Any:
        return grpc.aio.server(
            options=[
                ("grpc.so_reuseport", 0),  # a second server on the port must not start
                ("grpc.max_receive_message_length", min(self._most_bytes, _MOST_BYTES)),
            ]
        )
