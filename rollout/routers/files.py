"""The files of a file-driven router: one state per model, and what Envoy watches."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rollout.split import Split, parse


class RouteFiles:
    """``<home>/routes/<model>.json`` and ``<home>/envoy/*.json``; every write is atomic and durable."""

    def __init__(self, home: Path) -> None:
        self.states = home / "routes"
        self.envoy = home / "envoy"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Exclude every other writer, in this process and in others; a killed one lets go."""
        self.envoy.mkdir(parents=True, exist_ok=True)
        # Envoy watches this folder for renames; a lock file never is renamed.
        with (self.envoy / "routes.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def read(self, model: str) -> Split:
        """Return a model's split, the default if there is none; `DataError` if the file is not one."""
        file = self.states / f"{model}.json"
        try:
            return parse(file.read_bytes(), str(file))
        except FileNotFoundError:
            return Split()

    def write(self, model: str, split: Split) -> None:
        """Replace a model's split."""
        replace(self.states / f"{model}.json", split.model_dump_json().encode())

    def load(self, name: str) -> dict[str, Any] | None:
        """Return a file of Envoy's as data; None where there is none."""
        try:
            content: dict[str, Any] = json.loads((self.envoy / name).read_bytes())
        except FileNotFoundError:
            return None
        return content

    def publish(self, name: str, content: dict[str, Any]) -> None:
        """Replace a file of Envoy's; Envoy sees the rename, whole or not at all."""
        replace(self.envoy / name, json.dumps(content, indent=1).encode())


def replace(file: Path, content: bytes) -> None:
    """Write `content` so that a reader or a crash meets the old file or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".draft")
    with draft.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(draft, file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
