"""Trimtab, in the environment that the bench runs in."""

from __future__ import annotations

import trimtab_speed
import trimtab_windows
from protocol import serve

TASKS = {
    "speed": trimtab_speed.speed,
    "parquet": trimtab_speed.parquet,
    "read": trimtab_speed.read,
    "wide": trimtab_speed.wide,
    "spark": trimtab_speed.spark,
    "check": trimtab_windows.check,
    "windows": trimtab_windows.monitor,
}

if __name__ == "__main__":
    serve(TASKS, "trimtab")
