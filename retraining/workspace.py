"""The work folder of one retrain: ``<home>/runs/<run>``; a stage's outputs appear whole or not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from retraining.records import Record
from spec import DataError, NotFound, Problem, RequestError, Settings

_RUN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.~:+-]{0,249}")
_R = TypeVar("_R", bound=Record)


class Workspace:
    """Files of one run.

    Parameters
    ----------
    run
        Name of the run; letters, digits and ``_.~:+-`` (what Airflow allows), not starting with a sign.

    Raises
    ------
    RequestError
        For a name that could lead out of the folder.
    """

    def __init__(self, settings: Settings, run: str) -> None:
        if not _RUN.fullmatch(run):
            must = "must be 1 to 250 letters, digits or _.~:+- and start with a letter, digit or _"
            raise RequestError([Problem("run", must, repr(run))])
        self.run = run
        self.folder = settings.home / "runs" / run

    def path(self, name: str) -> Path:
        """Return where a file of the run is or will be."""
        return self.folder / name

    def write(self, name: str, put: Callable[[Path], object]) -> Path:
        """Let `put` write a draft, then move it into place; readers never see half a file."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            put(draft)
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        return path

    def put(self, name: str, content: bytes) -> Path:
        """Store bytes, replacing an earlier try's."""
        return self.write(name, lambda draft: draft.write_bytes(content))

    def save(self, record: Record) -> None:
        """Store a stage's record under its type's name, replacing an earlier try's."""
        self.put(self.record(type(record)).name, record.model_dump_json(indent=1).encode())

    def record(self, kind: type[Record]) -> Path:
        """Return where the record of a kind is or will be."""
        return self.path(f"{kind.__name__.lower()}.json")

    def load(self, kind: type[_R]) -> _R:
        """Return the record that an earlier stage stored.

        Raises
        ------
        NotFound
            The stage has not run.
        DataError
            The file is not such a record.
        """
        path = self.record(kind)
        try:
            return kind.model_validate_json(path.read_text("utf-8"))
        except FileNotFoundError:
            msg = f"Run {self.run!r} has no {kind.__name__}: run the stage that makes it first ({path})"
            raise NotFound(msg) from None
        except ValidationError as error:
            must = f"must hold a {kind.__name__} of this version of Trimtab"
            raise DataError([Problem(str(path), must, str(error), "Run the stage again")]) from error
