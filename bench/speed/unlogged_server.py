"""`trimtab` with a model server that keeps no inference log; the product has no such switch.

What the log costs is the difference to the same server with it. Arguments are those of `trimtab`.
"""

from __future__ import annotations

from typing import Any

from serving import app
from trimtab.cli import main


class Unlogged:
    """The face of `serving.log.inference_log.InferenceLog`, which forgets everything."""

    def __init__(self, *_: Any) -> None:
        pass

    def tokenized(self, request: Any) -> Any:
        """Return the request as it is."""
        return request

    def append(self, *_: Any, **__: Any) -> None:
        """Write nothing."""

    def close(self) -> None:
        """Leave nothing behind."""


if __name__ == "__main__":
    app.InferenceLog = Unlogged  # type: ignore[assignment,misc]
    main()
