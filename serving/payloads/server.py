"""Run a payload receiver until it is told to stop."""

from __future__ import annotations

import uvicorn

from serving import listener
from serving.payloads.app import create_app
from spec import ModelSpec, Settings
from spec.payloads import Payloads

_KEEP_ALIVE_S = 120


def run(spec: ModelSpec, settings: Settings, host: str, port: int, payloads: Payloads | None = None) -> None:
    """Take a model's payloads until SIGTERM or SIGINT; then commit what is finished, and return.

    Parameters
    ----------
    port
        TCP port; 0 takes a free one.
    payloads
        See `create_app`.

    Raises
    ------
    SystemExit
        With a code other than 0 when the receiver cannot start.
    """
    app = create_app(spec, settings, payloads)
    listener.listen(uvicorn.Server(listener.configuration(app, host, port, keep_alive_s=_KEEP_ALIVE_S)))
