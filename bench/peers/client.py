"""Asks a library for a measurement in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from bench.peers import environments

HERE = Path(__file__).parent
QUIET = {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1", "WHYLOGS_NO_ANALYTICS": "True"}
"""No library may report to its makers from a measurement."""


class Failed(Exception):
    """A runner did not answer; the message holds the end of what it said."""


def ask(peer: str, request: dict[str, Any], *, timeout: float, threads: int | None = None) -> dict[str, Any]:
    """Return the answer of `peer` to `request`.

    Parameters
    ----------
    peer
        A name of `environments.PEERS`, or "trimtab" or "trimtab-windows" for ours.
    timeout
        Seconds after which the process is ended.
    threads
        Threads of the numeric libraries; as they choose where None.

    Raises
    ------
    Failed
        The process ended without an answer, or not in time.
    """
    environments.make(peer)
    limit = (
        {}
        if threads is None
        else {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "OPENBLAS", "MKL")}
    )
    script = HERE / f"run_{peer.replace('-', '_')}.py"
    try:
        process = subprocess.run(  # noqa: S603 - a program of ours
            [environments.python(peer), script],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env={**os.environ, **QUIET, **limit},
        )
    except subprocess.TimeoutExpired as error:
        message = f"{peer} {request['task']}: no answer in {timeout:.0f} s"
        raise Failed(message) from error
    if process.returncode:
        message = f"{peer} {request['task']}: exit {process.returncode}\n{process.stderr[-2000:]}"
        raise Failed(message)
    return json.loads(process.stdout)
