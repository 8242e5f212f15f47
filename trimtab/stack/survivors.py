"""Find and end the processes of a stack whose supervisor was killed.

A process is ours by the mark in its environment, or by the session that its supervisor led: programs
that rename themselves (Airflow's do) overwrite the environment that others can read.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from trimtab.mark import MARK
from trimtab.stack.secrets import write_private

_PATIENCE_S = 5.0
_POLL_S = 0.05


def remember(home: Path, supervisor: int) -> None:
    """Note the session that a supervisor leads, so that `find` knows its members when it is gone."""
    session = {"leader": supervisor, "since": psutil.Process(supervisor).create_time(), "boot": _boot()}
    write_private(_file(home), json.dumps(session))


def find(home: Path) -> list[psutil.Process]:
    """Return the processes of the stack in `home` that are alive, without the caller and its ancestors."""
    leader, since = _session(home)
    us = psutil.Process()
    spared = {us.pid, *(parent.pid for parent in us.parents())}
    return [
        process
        for process in psutil.process_iter()
        if process.pid not in spared
        and (_in_session(process, leader, since) or _marked(process, home))
        and alive(process)
    ]


def end(processes: Iterable[psutil.Process]) -> None:
    """Ask the processes to end; kill those that do not listen."""
    asked = list(processes)
    for process in asked:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in await_end(asked, _PATIENCE_S):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    await_end(asked, _PATIENCE_S)


def alive(process: psutil.Process) -> bool:
    """Whether a process runs; one that has ended and that nobody has buried yet (a zombie) does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def await_end(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait until all have ended, at most so many seconds; return those that have not."""
    deadline = time.monotonic() + seconds
    left = list(filter(alive, processes))
    while left and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        left = list(filter(alive, left))
    return left


def _session(home: Path) -> tuple[int, float]:
    """Return the remembered leader and its start; (0, 0) when there is none from this boot."""
    try:
        session = json.loads(_file(home).read_text("utf-8"))
    except FileNotFoundError:
        return 0, 0.0
    leader, since = int(session["leader"]), float(session["since"])
    if session["boot"] != _boot():
        return 0, 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        if psutil.Process(leader).create_time() != since:  # its number went to somebody else
            return 0, 0.0
    return leader, since


def _in_session(process: psutil.Process, leader: int, since: float) -> bool:
    try:
        return leader != 0 and os.getsid(process.pid) == leader and process.create_time() >= since
    except (OSError, psutil.Error):
        return False


def _marked(process: psutil.Process, home: Path) -> bool:
    try:
        return process.environ().get(MARK) == str(home)
    except (OSError, psutil.Error):  # gone, or another user's
        return False


def _boot() -> int:
    return round(psutil.boot_time())


def _file(home: Path) -> Path:
    return home / "supervisor" / "session"
