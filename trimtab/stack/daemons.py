"""The processes of the stack that are Trimtab's own: each is a `trimtab` command."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace

from spec import SLOTS
from trimtab.stack.ports import HOST, PAYLOADS
from trimtab.stack.processes import PATIENT, Process
from trimtab.stack.surroundings import payloads


def processes(models: Iterable[str], ports: Mapping[str, int], env: Mapping[str, str]) -> list[Process]:
    """Return model servers and payload receivers, monitors, exporter, receiver, guard, Slack's stand-in."""
    servers = [
        _server(f"{model}-{slot}", "/v2/health/live", ports, env, "serve", model, "--slot", slot)
        for model in models
        for slot in SLOTS
    ]
    receivers = [
        _server(f"{model}-{PAYLOADS}", "/health", ports, env, "payload-receiver", model)
        for model in payloads(ports)
    ]
    return [
        *servers,
        # What KServe sends while nobody listens is lost.
        *(replace(receiver, retries=PATIENT) for receiver in receivers),
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
