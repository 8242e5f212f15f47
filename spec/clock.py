"""What time it is: the wall clock, or the clock of a replay.

A replay sends a year in minutes. Whoever replays owns a small file with the simulated time and moves
it forward; every process that is told of the file takes its processing time from there, so cooldowns,
label delays and closed windows mean the same as in production.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

_REREAD_S = 0.02


class Clock:
    """Processing time in UTC.

    Parameters
    ----------
    file
        A replay's clock file (one ISO 8601 time); None for the wall clock.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.file = file
        self._read_at = float("-inf")
        self._now = datetime.min.replace(tzinfo=UTC)

    @property
    def is_wall(self) -> bool:
        """Whether it is the wall clock, and not a replay's."""
        return self.file is None

    def now(self) -> datetime:
        """Return the current time, timezone-aware, in UTC."""
        if self.file is None:
            return datetime.now(UTC)
        if time.monotonic() - self._read_at > _REREAD_S:
            self._now = datetime.fromisoformat(self.file.read_text("ascii").strip())
            self._read_at = time.monotonic()
        return self._now


def set_clock(file: Path, now: datetime) -> None:
    """Move a replay's clock; readers see the old time or the new one, never half a time."""
    if now.tzinfo is None:
        msg = "a clock needs a timezone-aware time"
        raise ValueError(msg)
    draft = file.with_suffix(".draft")
    draft.write_text(now.astimezone(UTC).isoformat(), "ascii")
    os.replace(draft, file)
