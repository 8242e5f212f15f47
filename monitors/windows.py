"""Event-time windows ``[start, end)``: aligned to the Unix epoch in UTC, all of one length."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A span of event time: `start` belongs to it, `end` does not. Both are timezone-aware."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """How much event time the window spans."""
        return self.end - self.start

    def shifted(self, count: int) -> Window:
        """Return the window `count` lengths later; earlier if negative."""
        return Window(self.start + count * self.length, self.end + count * self.length)

    def pooled(self, over: int) -> Window:
        """Return the span of `over` windows that ends with this one."""
        return Window(self.end - over * self.length, self.end)


def start_of(time: datetime, length: timedelta) -> datetime:
    """Return the start of the window of `length` that a timezone-aware time lies in, in UTC."""
    return EPOCH + (time - EPOCH) // length * length


def starts_of(times: pa.ChunkedArray, length: timedelta) -> frozenset[datetime]:
    """Return the starts of all windows of `length` that some times (``timestamp[us, UTC]``) lie in."""
    return frozenset(counts_of(times, length))


def counts_of(times: pa.Array | pa.ChunkedArray, length: timedelta) -> dict[datetime, int]:
    """Count times (``timestamp[us, UTC]``) by the start of their window of `length`; no window has zero."""
    ticks = pc.drop_null(times).cast(pa.int64()).to_numpy(zero_copy_only=False)
    indices, counts = np.unique(ticks // (length // _TICK), return_counts=True)
    return {EPOCH + int(index) * length: int(count) for index, count in zip(indices, counts, strict=True)}


def window_at(time: datetime, length: timedelta) -> Window:
    """Return the window of `length` that holds a timezone-aware time."""
    start = start_of(time, length)
    return Window(start, start + length)
