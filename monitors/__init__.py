"""What the world looks like to a model: the log, the labels, the references, the verdicts on every window.

    from monitors import compare, profile

    reference = profile("reference.parquet")
    print(compare(reference, "current.parquet"))

The two functions are imported when they are first used, so that a process that needs one module pays for that
one only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from monitors.comparing.compare import compare as compare
    from monitors.engines import profile as profile

_HOMES = {"compare": "monitors.comparing.compare", "profile": "monitors.engines"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(_HOMES[name]), name)
