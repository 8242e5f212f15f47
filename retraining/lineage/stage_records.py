"""The stages' records among the files of a version's run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from retraining.records import Record

_R = TypeVar("_R", bound=Record)


class StageRecords:
    """Records by their kind; the files are named by it."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files

    def get(self, kind: type[_R]) -> _R | None:
        """Return a record; None where there is none, or none that this version of Trimtab can read."""
        file = self._files.get(f"{kind.__name__.lower()}.json")
        if file is None:
            return None
        try:
            return kind.model_validate_json(file.read_text("utf-8"))
        except ValidationError:
            return None
