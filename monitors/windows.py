"""Event-time windows ``[start, end)``: aligned to the Unix epoch in UTC, all of one length."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def start_of(time: datetime, length: timedelta) -> datetime:
    """Return the start of the window of `length` that a timezone-aware time lies in, in UTC."""
    return EPOCH + (time - EPOCH) // length * length
