"""One process of the stack, as data: what runs, with which environment, and how to tell that it is ready."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trimtab.stack.secrets import write_private

PATIENT = 100
"""`Process.retries` of what users and their safety hang on: more than an hour of starts that fail."""


@dataclass(frozen=True, slots=True)
class Process:
    """A program that the supervisor keeps running.

    Parameters
    ----------
    name
        Its name in `trimtab status`, its log and its plan.
    argv
        Program and arguments, no shell.
    env
        What it gets on top of the supervisor's environment; may hold secrets.
    ready
        URL that answers 200 when it can be used; empty: it counts as ready once it stays up.
    healthy
        Key of the JSON that `ready` answers, whose ``status`` must be ``healthy``.
    after
        Files that must exist before it starts.
    once
        It ends by itself, with status 0.
    sweep
        What it leaves behind when it is killed holds its port, and is ended before it starts again.
    user
        Name and password file that the URL in `ready` asks for.
    retries
        How often a start that fails is tried again, each time a second later than the last, until it is
        given up.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    ready: str = ""
    healthy: str = ""
    after: tuple[Path, ...] = ()
    once: bool = False
    sweep: bool = False
    user: tuple[str, Path] | None = None
    retries: int = 3


def write_plan(process: Process, folder: Path, cwd: Path) -> Path:
    """Write what `trimtab.stack.child` needs to become the process; returns the plan's path."""
    plan = {
        "argv": list(process.argv),
        "env": dict(process.env),
        "cwd": str(cwd),
        "after": [str(path) for path in process.after],
        "sweep": str(folder / f"{process.name}.pid") if process.sweep else "",
        "parent": 0,  # who leads the session: the supervisor
    }
    file = folder / f"{process.name}.json"
    write_private(file, json.dumps(plan, indent=1))
    return file


def write_owned_plan(argv: tuple[str, ...], file: Path, cwd: Path, parent: int) -> None:
    """Write the plan of a process that dies with `parent`."""
    plan = {"argv": list(argv), "env": {}, "cwd": str(cwd), "after": [], "sweep": "", "parent": parent}
    write_private(file, json.dumps(plan, indent=1))
