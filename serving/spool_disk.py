"""How much room is left for what waits to be committed to the log."""

from __future__ import annotations

import shutil
from math import nan
from pathlib import Path


def free_ratio(folder: Path) -> float:
    """Return the share, 0 to 1, of the folder's disk that we may still fill; NaN if nobody can tell."""
    try:
        disk = shutil.disk_usage(folder)
    except OSError:
        return nan
    return disk.free / disk.total if disk.total else nan
