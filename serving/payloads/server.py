"""Run a payload receiver until it is told to stop."""

from __future__ import annotations

import signal
from datetime import timedelta

import uvicorn

from serving.payloads.app import create_app
from spec import ModelSpec, Settings

_STARTUP_FAILED = 3
_KEEP_ALIVE_S = 120
_DRAIN_LIMIT_S = 30


def run(
    spec: ModelSpec, settings: Settings, host: str, port: int, version: str | None, patience: timedelta
) -> None:
    """Take a model's payloads until SIGTERM or SIGINT; then commit what is finished, and return.

    Parameters
    ----------
    port
        TCP port; 0 takes a free one.
    version, patience
        See `create_app`.

    Raises
    ------
    SystemExit
        With a code other than 0 when the receiver cannot start.
    """
    config = uvicorn.Config(
        create_app(spec, settings, version, patience),
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_DRAIN_LIMIT_S,
    )
    # Uvicorn raises the signal again once it has drained; that is a good end, not a death by signal.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    server = uvicorn.Server(config)
    server.run()
    if not server.started:
        raise SystemExit(_STARTUP_FAILED)


def _leave(_number: int, _frame: object) -> None:
    raise SystemExit(0)
