"""How fast the clock runs: 1 for the wall clock, thousands in a replay, 0 when a replay stands still."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from spec.clock import Clock

_HORIZON_S = 60.0
_LEAST_S = 0.5
_AS_GOOD_AS_ONE = 0.05


class Pace:
    """Measures a clock against the wall over the last minute.

    Parameters
    ----------
    clock
        The processing time of the settings.
    wall
        Wall seconds from any start.
    """

    def __init__(self, clock: Clock, wall: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._wall = clock, wall
        self._lock = threading.Lock()
        self._seen: deque[tuple[float, datetime]] = deque([(wall(), clock.now())])

    def wall_seconds(self, length: timedelta) -> float:
        """Return how many wall seconds a span of the clock takes; infinite while the clock stands still."""
        speed = self._speed()
        return length.total_seconds() / speed if speed > 0 else math.inf

    def _speed(self) -> float:
        with self._lock:
            self._seen.append((self._wall(), self._clock.now()))
            while len(self._seen) > 2 and self._seen[-1][0] - self._seen[1][0] > _HORIZON_S:  # noqa: PLR2004 - two tell a speed
                self._seen.popleft()
            (since, then), (until, now) = self._seen[0], self._seen[-1]
        if until - since < _LEAST_S:
            return 1.0
        speed = (now - then).total_seconds() / (until - since)
        return 1.0 if abs(speed - 1) < _AS_GOOD_AS_ONE else speed
