"""The processes of the stack that are Trimtab's own: each is a `trimtab` command."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace

from spec import SLOTS
from trimtab.stack.ports import HOST
from trimtab.stack.processes import PATIENT, Process


def processes(models: Iterable[str], ports: Mapping[str, int], env: Mapping[str, str]) -> list[Process]:
    """Return the model servers, the monitors and exporter, the receiver, the guard and the Slack stand-in."""
    servers = [
        _server(f"{model}-{slot}", "/v2/health/live", ports, env, "serve", model, "--slot", slot)
        for model in models
        for slot in SLOTS
    ]
    return [
        *servers,
        _server("exporter", "/metrics", ports, env, "exporter"),
        _server("receiver", "/health", ports, env, "receiver"),
        _server("slack", "/", ports, env, "slack-sink"),
        _own("monitor", env, "monitor", "--follow"),
        # A guard that was given up over a broken YAML would guard nothing when the YAML is mended.
        replace(_own("guard", env, "guard"), retries=PATIENT),
    ]


def _server(name: str, path: str, ports: Mapping[str, int], env: Mapping[str, str], *argv: str) -> Process:
    at = ("--host", HOST, "--port", str(ports[name]))
    return _own(name, env, *argv, *at, ready=f"http://{HOST}:{ports[name]}{path}")


def _own(name: str, env: Mapping[str, str], *argv: str, ready: str = "") -> Process:
    return Process(name, (sys.executable, "-m", "trimtab", *argv), env, ready)
