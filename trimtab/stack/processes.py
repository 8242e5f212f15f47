"""One process of the stack, as data: what runs, with which environment, and how to tell that it is ready."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trimtab.stack.secrets import write_private


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
    user
        Name and password file that the URL in `ready` asks for.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    ready: str = ""
    healthy: str = ""
    after: tuple[Path, ...] = ()
    once: bool = False
    user: tuple[str, Path] | None = None


def write_plan(process: Process, folder: Path, cwd: Path) -> Path:
    """Write what `trimtab.stack.child` needs to become the process; returns the plan's path."""
    return write_child_plan(folder / f"{process.name}.json", process.argv, process.env, cwd, process.after)


def write_child_plan(
    file: Path,
    argv: tuple[str, ...],
    env: Mapping[str, str],
    cwd: Path,
    after: tuple[Path, ...] = (),
    parent: int = 0,
) -> Path:
    """Write a plan; `parent` is the process whose death ends it (0: whoever starts it)."""
    plan = {
        "argv": list(argv),
        "env": dict(env),
        "cwd": str(cwd),
        "after": [str(path) for path in after],
        "parent": parent,
    }
    write_private(file, json.dumps(plan, indent=1))
    return file
