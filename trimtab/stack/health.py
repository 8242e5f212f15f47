"""Whether the processes of a stack can be used: their state, and what they answer over HTTP."""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from spec import Unavailable, read_secret
from trimtab.stack.processes import Process
from trimtab.stack.supervisor import State, last_line

_POLL_S = 0.2
_TIMEOUT_S = 3.0
_RESTARTS = 3
_OK = 200


def wait_ready(
    processes: Mapping[str, Process],
    states: Callable[[], list[State]],
    timeout: float,
    announce: Callable[[str], None],
) -> None:
    """Return when every process is ready.

    Raises
    ------
    Unavailable
        A process gave up, restarted three times, or was not ready after `timeout` seconds; the text
        says which and why.
    """
    deadline = time.monotonic() + timeout
    waiting, starts = dict(processes), dict[str, set[float]]()
    while waiting:
        known = {state.name: state for state in states()}
        reasons: dict[str, str] = {}
        for name, process in list(waiting.items()):
            state = known.get(name)
            _refuse_dead(name, state, process, starts)
            reasons[name] = why_not_ready(process, state)
            if not reasons[name]:
                del waiting[name], reasons[name]
                if not process.once:
                    announce(f"{name} is ready")
        if waiting and time.monotonic() > deadline:
            told = "\n".join(f"  {name}: {reason}" for name, reason in reasons.items())
            msg = f"not ready after {timeout:.0f} s:\n{told}"
            raise Unavailable(msg)
        if waiting:
            time.sleep(_POLL_S)


def why_not_ready(process: Process, state: State | None) -> str:
    """Return what a process still lacks, or nothing when it is ready."""
    if state is None:
        return "the supervisor does not know it"
    if process.once:
        return "" if state.done else "still at work"
    if state.state not in {"RUNNING", "STARTING"}:
        return f"{state.state.lower()}: {last_line(state.log)}"
    if process.ready:
        return _ask(process)
    return "" if state.state == "RUNNING" else "just started"


def _refuse_dead(name: str, state: State | None, process: Process, starts: dict[str, set[float]]) -> None:
    if state is None:
        return
    seen = starts.setdefault(name, set())
    seen |= {state.started_at} - {0.0}
    ended = process.once and state.state == "EXITED" and not state.done
    if state.state == "FATAL" or ended or len(seen) > _RESTARTS:
        msg = f"{name} does not start: {last_line(state.log)} (log: {state.log})"
        raise Unavailable(msg)


def _ask(process: Process) -> str:
    """Ask the process over HTTP; standard library only, so that a poll costs nothing."""
    url = urlsplit(process.ready)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", url.path or "/", headers=_credentials(process))
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return f"{process.ready} does not answer ({error})"
    finally:
        connection.close()
    if answer.status != _OK:
        return f"{process.ready} answers {answer.status}"
    if process.healthy:
        status = json.loads(body)[process.healthy]["status"]
        return "" if status == "healthy" else f"{process.ready} says {process.healthy} is {status}"
    return ""


def _credentials(process: Process) -> dict[str, str]:
    if process.user is None:
        return {}
    name, file = process.user
    token = base64.b64encode(f"{name}:{read_secret(file)}".encode()).decode("ascii")
    return {"Authorization": f"Basic {token}"}
