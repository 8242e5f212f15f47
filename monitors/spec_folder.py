"""The models as their folder says now: read again when a file there changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from pathlib import Path

from spec.errors import SpecError
from spec.loader import load_folder
from spec.model import ModelSpec

_log = logging.getLogger(__name__)
_Signature = tuple[tuple[str, int, int], ...]


class SpecFolder:
    """Specs by model name, kept up to date; with a mistake in the folder the last good ones stay.

    Parameters
    ----------
    specs
        What `folder` was read to.
    """

    def __init__(self, specs: Mapping[str, ModelSpec], folder: Path) -> None:
        self._specs, self._folder = dict(specs), folder
        self._signature = _signature(folder)
        self._lock = threading.Lock()

    def current(self) -> Mapping[str, ModelSpec]:
        """Return the specs, read again if a file was added, changed or removed since."""
        with self._lock:
            signature = _signature(self._folder)
            if signature != self._signature:
                self._signature = signature
                try:
                    self._specs = load_folder(self._folder)
                except SpecError as error:
                    _log.error("The models stay as they were, for the change has mistakes:\n%s", error)
            return self._specs


def _signature(folder: Path) -> _Signature:
    files = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            state = path.stat()
        except FileNotFoundError:
            continue  # removed since it was listed
        files.append((path.name, state.st_mtime_ns, state.st_size))
    return tuple(files)
