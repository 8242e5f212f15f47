"""What a home remembers of its stack between runs: ports, model folder, control socket, replay."""

from __future__ import annotations

import json
import secrets
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from spec import NotFound
from trimtab.stack.secrets import write_private

_FILE = "stack.json"
_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Layout:
    """The parts of a stack that must not change while it runs."""

    models: str
    socket: str
    ports: dict[str, int]
    replay: bool
    speed: float
    schema_version: int = _SCHEMA

    def save(self, home: Path) -> None:
        """Write it to the home."""
        write_private(home / _FILE, json.dumps(asdict(self), indent=1))


def read(home: Path) -> Layout | None:
    """Return what the home remembers; None when no stack was ever prepared there."""
    try:
        return Layout(**json.loads((home / _FILE).read_text("utf-8")))
    except FileNotFoundError:
        return None


def require(home: Path) -> Layout:
    """Return what the home remembers; `NotFound` tells how to make a stack."""
    found = read(home)
    if found is None:
        msg = f"There is no stack in {home}. Start one with `trimtab up --home {home}`"
        raise NotFound(msg)
    return found


def new_socket() -> str:
    """Return a path for a control socket that nobody can guess, short enough for a unix socket."""
    return str(Path(tempfile.gettempdir()) / f"trimtab-{secrets.token_hex(8)}" / "control")
