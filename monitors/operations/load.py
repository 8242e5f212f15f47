"""The CPU time of a row at the usual traffic: a process takes some whether or not anything is asked of it.

The time of a window rises with its rows to a power between 0, where all of it is overhead, and 1, where none
is. The power is Theil and Sen's slope of the logarithms over past windows (Sen 1968, JASA 63), and takes out
what more or fewer rows explain. A rise in step with a growing traffic, up to the power of 1, is taken for its
effect.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

_FEWEST = 3


@dataclass(frozen=True, slots=True)
class Load:
    """The usual number of rows of a window, as a natural logarithm, and the power of the rows."""

    usual: float
    power: float

    @classmethod
    def of(cls, windows: Collection[tuple[float, int]]) -> Load:
        """Learn from the CPU seconds and rows (above 0) of windows; from fewer than three a power of 1."""
        if not windows:
            return cls(0.0, 1.0)
        seconds, rows = np.log(np.array(list(windows), dtype=float)).T
        usual = float(np.median(rows))
        if len(windows) < _FEWEST or np.ptp(rows) == 0:
            return cls(usual, 1.0)
        from scipy.stats import theilslopes  # noqa: PLC0415 - a second, and only the daemon needs it

        return cls(usual, min(max(float(theilslopes(seconds, rows).slope), 0.0), 1.0))

    def of_a_row(self, seconds: float, rows: int) -> float:
        """Return the seconds a row that a window would have taken, had the usual number of rows come."""
        return math.exp(math.log(seconds) + self.power * (self.usual - math.log(rows)) - self.usual)
