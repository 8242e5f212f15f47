"""The files of a file-driven router: one state per model, and what Envoy watches."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from rollout.split import Split, parse
from spec import Unavailable

PATIENCE_S = 10.0
"""How long a writer may hold the lock: its own waits end well before that, so one that takes longer hangs."""
_POLL_S = 0.01


class RouteFiles:
    """``<home>/routes/<model>.json`` and ``<home>/envoy/*.json``; every write is atomic and durable."""

    def __init__(self, home: Path) -> None:
        self.states = home / "routes"
        self.envoy = home / "envoy"
        self._mine = threading.local()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Exclude every other writer, in this process and in others; a killed one lets go.

        One that hangs is waited for as long as `PATIENCE_S`. Then the lock is another file, and what the one
        that hung still wants to replace is `Unavailable` to it.
        """
        self.envoy.mkdir(parents=True, exist_ok=True)
        with self._taken() as lock:
            self._mine.lock = lock
            try:
                yield
            finally:
                self._mine.lock = None

    def _taken(self) -> BinaryIO:
        """Return the lock file, locked and in its place."""
        # Envoy watches this folder for renames; a lock file never is renamed.
        path, waited_for, since = self.envoy / "routes.lock", b"", time.monotonic()
        while True:
            lock = path.open("a+b")
            if _try(lock) and _in_place(lock, path):
                lock.truncate(0)
                lock.write(b"%d" % time.time_ns())  # one turn is told from the next
                lock.flush()
                return lock
            lock.seek(0)
            turn = lock.read()
            lock.close()
            if turn != waited_for:
                waited_for, since = turn, time.monotonic()
            elif time.monotonic() > since + PATIENCE_S:
                path.unlink(missing_ok=True)
            time.sleep(_POLL_S)  # the kernel has no lock of files that gives up after a while

    def _still_mine(self) -> None:
        """Raise `Unavailable` where this writer hung while it held the lock, and another has it by now."""
        lock = getattr(self._mine, "lock", None)
        if lock is not None and not _in_place(lock, self.envoy / "routes.lock"):
            msg = f"This writer of routes stood still for more than {PATIENCE_S:g} s: another has its turn."
            raise Unavailable(msg)

    def read(self, model: str) -> Split:
        """Return a model's split, the default if there is none; `DataError` if the file is not one."""
        file = self.states / f"{model}.json"
        try:
            return parse(file.read_bytes(), str(file))
        except FileNotFoundError:
            return Split()

    def write(self, model: str, split: Split) -> None:
        """Replace a model's split."""
        replace(self.states / f"{model}.json", split.model_dump_json().encode(), check=self._still_mine)

    def load(self, name: str) -> dict[str, Any] | None:
        """Return a file of Envoy's as data; None where there is none."""
        try:
            content: dict[str, Any] = json.loads((self.envoy / name).read_bytes())
        except FileNotFoundError:
            return None
        return content

    def publish(self, name: str, content: dict[str, Any]) -> None:
        """Replace a file of Envoy's; Envoy sees the rename, whole or not at all."""
        replace(self.envoy / name, json.dumps(content, indent=1).encode(), check=self._still_mine)


def _try(lock: BinaryIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _in_place(lock: BinaryIO, path: Path) -> bool:
    """Whether the open file is still the one at `path`."""
    try:
        return os.fstat(lock.fileno()).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def replace(file: Path, content: bytes, check: Callable[[], None] = lambda: None) -> None:
    """Write `content` so that a reader or a crash meets the old file or the new one.

    What `check` raises, at the last moment, leaves the old one.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".draft")
    draft.unlink(missing_ok=True)  # a writer that hangs may have it open
    with draft.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    check()
    os.replace(draft, file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
