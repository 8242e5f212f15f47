"""What the world looks like to a model: the log, the labels, the references, the verdicts on every window.

    from monitors import compare, profile

    reference = profile("reference.parquet")
    print(compare(reference, "current.parquet"))

The two functions are imported when they are first used, so that a process that needs one module pays for that
one only.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from monitors.compare import compare as compare
    from monitors.engines import profile as profile


class _Function:
    """A function of this room that has the name of a module, too."""

    def __init__(self, home: str) -> None:
        self._home = home

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, room: object, owner: type) -> Any:
        return getattr(import_module(self._home), self._name)

    def __set__(self, room: object, module: object) -> None:
        """Keep the name for the function when the import system puts the loaded module there."""


class _Room(ModuleType):
    profile = _Function("monitors.engines")
    compare = _Function("monitors.compare")


sys.modules[__name__].__class__ = _Room
