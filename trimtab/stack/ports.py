"""Which loopback port each server gets: the usual one, or a free one when somebody else holds it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping

import psutil

from spec import SLOTS, Unavailable

HOST = "127.0.0.1"
DEFAULTS = {
    "gateway": 21080,
    "envoy-admin": 21081,
    "envoy-2-admin": 21089,
    "mlflow": 21050,
    "airflow": 21088,
    "prometheus": 21090,
    "alertmanager": 21093,
    "receiver": 21094,
    "exporter": 21095,
    "slack": 21096,
}
ENVOYS = ("envoy", "envoy-2")
"""Both listen on the gateway's port: one answers while the other is started. ``<name>-admin`` is its own."""
PAYLOADS = "payloads"
"""Behind a model's name, that of its payload receiver; no slot is called so."""

_FIRST_SLOT = 21082
_SPARE = range(21200, 21800)


def wanted(
    models: Iterable[str], before: Mapping[str, int] | None = None, *, payloads: Iterable[str] = ()
) -> dict[str, int]:
    """Return the port every server would like: the one it had before, else the usual one.

    The fixed servers come first, then ``<model>-<slot>``, two by two, then ``<model>-payloads`` of the
    models in `payloads`, whose payload log is taken in.
    """
    slots = (f"{model}-{slot}" for model in models for slot in SLOTS)
    names = [*DEFAULTS, *slots, *(f"{model}-{PAYLOADS}" for model in payloads)]
    had = {name: port for name, port in (before or {}).items() if name in names}
    taken = {*DEFAULTS.values(), *had.values()}
    spare = (port for port in range(_FIRST_SLOT, 65536) if port not in taken)
    return {name: had.get(name) or DEFAULTS.get(name) or next(spare) for name in names}


def choose(
    wanted: Mapping[str, int],
    *,
    keep: Iterable[str] = (),
    announce: Callable[[str], None] = print,
) -> dict[str, int]:
    """Return a port for every name, the wanted one where it is free.

    Parameters
    ----------
    wanted
        Port each server would like.
    keep
        Names whose port is ours already, whoever answers there now (the stack is running).
    announce
        Told in one line of every port that moved, with the process that holds it.
    """
    kept, chosen = set(keep), {}
    spare = (port for port in _SPARE if port not in wanted.values() and is_free(port))
    for name, port in wanted.items():
        if name in kept or is_free(port):
            chosen[name] = port
            continue
        chosen[name] = next(spare, 0)
        if not chosen[name]:
            msg = f"no free port for {name}: {port} and {_SPARE.start}-{_SPARE.stop - 1} are all taken"
            raise Unavailable(msg)
        announce(f"port {port} ({name}) is held by {holder(port)}; using {chosen[name]} instead")
    return chosen


def is_free(port: int) -> bool:
    """Whether a server could listen on the loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def holder(port: int) -> str:
    """Say which process listens on the port, as ``name (pid N)``."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        connections = []
    for connection in connections:
        listens = connection.status == psutil.CONN_LISTEN and getattr(connection.laddr, "port", 0) == port
        if listens and connection.pid:
            try:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
            except psutil.NoSuchProcess:
                break
    return "another process"
