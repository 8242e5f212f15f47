"""Which code this is, so that a number can be traced to what computed it."""

from __future__ import annotations

import os
import subprocess
from functools import lru_cache
from importlib import metadata
from pathlib import Path

_UNKNOWN = "unknown"


def code_version() -> str:
    """Return the version of the installed distribution, such as ``0.1.0``."""
    try:
        return metadata.version("trimtab")
    except metadata.PackageNotFoundError:
        return _UNKNOWN


@lru_cache(maxsize=1)
def code_revision() -> str:
    """Return ``TRIMTAB_REVISION`` (set by whoever builds an image), else the commit of the checkout."""
    if os.environ.get("TRIMTAB_REVISION"):
        return os.environ["TRIMTAB_REVISION"]
    checkout = Path(__file__).resolve().parent.parent
    if not (checkout / ".git").exists():
        return _UNKNOWN
    command = ("git", "-C", str(checkout), "rev-parse", "--short=12", "HEAD")
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return _UNKNOWN
