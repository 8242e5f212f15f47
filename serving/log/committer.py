"""Ended segments go to Delta in a process of their own, so that no request waits for a commit.

A commit keeps a processor busy for tens of milliseconds, a merge of small files for longer. In the server's
process it would take the interpreter's lock, and the memory, from the requests.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from spec import Clock, Unavailable

_PROGRAM = [sys.executable, "-P", "-m", "serving.log.commits"]  # -P: nothing of the working directory


class Committed(NamedTuple):
    """What became of a segment."""

    rows: int
    damaged: bool
    """Part of it could not be read back."""
    refused: str | None
    """Why the table never takes it; None where its rows are in the table."""


class _RemoteTraceback(Exception):
    """The traceback of the other process."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


class Committer:
    """Has segments committed to one Delta table, one at a time, by a process that it starts again if it dies.

    A segment that is committed when that process, or the server, dies is not committed again: see `LogTable`.

    Parameters
    ----------
    location
        Of the table.
    retention
        Days that ended longer ago are deleted whole; None keeps all.
    clock
        Tells how old a day is.
    """

    def __init__(self, location: str, retention: timedelta | None, clock: Clock) -> None:
        self._table = {
            "location": location,
            "retention_s": None if retention is None else retention.total_seconds(),
            "clock": None if clock.file is None else str(clock.file.absolute()),
        }
        self._starting = threading.Lock()
        self.is_closed = False
        """Whether commits fail because it was closed, and for no other reason."""
        self._process = self._start()

    def commit(self, path: Path) -> Committed:
        """Commit a segment's rows unless an earlier commit already holds them.

        Raises
        ------
        Unavailable
            When it, or the table, cannot be read or written, or the process died; the same call may succeed
            later.
        """
        with self._starting:
            if self.is_closed:
                msg = "The inference log is closed"
                raise Unavailable(msg)
            if self._process.poll() is not None:
                self._let_go()
                self._process = self._start()
        told = self._told(path)
        if told is None:
            code = self._process.wait()
            msg = f"The process that commits ended with code {code}; the next try starts another"
            raise Unavailable(msg)
        if "failed" in told:
            raise Unavailable(told["failed"]) from _RemoteTraceback(told["traceback"])
        return Committed(**told)

    def close(self) -> None:
        """End the process; a commit that is under way in another thread is given up."""
        with self._starting:
            self.is_closed = True
        self._process.kill()  # it has nothing that is not on disk
        self._process.wait()
        self._let_go()

    def _start(self) -> subprocess.Popen[bytes]:
        """Start it with a pipe of its own for answers: any library may print to standard output."""
        ours, theirs = os.pipe()
        self._answers = os.fdopen(ours, "rb")
        try:
            with _deaf():
                process = subprocess.Popen(  # noqa: S603 - ours
                    [*_PROGRAM, str(theirs)], stdin=subprocess.PIPE, pass_fds=(theirs,)
                )
        finally:
            os.close(theirs)
        _tell(process, self._table)
        return process

    def _let_go(self) -> None:
        self._answers.close()
        with suppress(BrokenPipeError):  # by what was never sent
            _input(self._process).close()

    def _told(self, path: Path) -> dict[str, Any] | None:
        """Wait until a segment is done with, and log what the process logs; None where it died."""
        _tell(self._process, str(path))
        while (line := self._answers.readline()).endswith(b"\n"):  # not torn by its death
            told: dict[str, Any] = json.loads(line)
            if "logger" not in told:
                return told
            logging.getLogger(told["logger"]).log(told["level"], "%s", told["text"])
        return None


@contextmanager
def _deaf() -> Iterator[None]:
    """Have what is started not hear SIGINT and SIGTERM, which also reach the server: it has a last commit."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _tell(process: subprocess.Popen[bytes], what: object) -> None:
    """Send a line; a process that is dead is told by its answers."""
    with suppress(BrokenPipeError):
        _input(process).write(json.dumps(what).encode() + b"\n")
        _input(process).flush()


def _input(process: subprocess.Popen[bytes]) -> IO[bytes]:
    return cast("IO[bytes]", process.stdin)
