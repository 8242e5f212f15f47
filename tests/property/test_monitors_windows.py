from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from monitors.windows import EPOCH, window_at

times = st.datetimes(datetime(1960, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
lengths = st.integers(1, 60 * 24 * 40).map(lambda minutes: timedelta(minutes=minutes))


@given(times, lengths)
def test_every_time_lies_in_its_window_which_is_aligned_to_the_epoch(
    time: datetime, length: timedelta
) -> None:
    """The window of a time holds it, has the length, and starts a whole number of lengths from 1970."""
    window = window_at(time, length)

    assert window.start <= time < window.end
    assert window.length == length
    assert (window.start - EPOCH) % length == timedelta(0)


@given(times, lengths)
def test_the_end_of_a_window_is_the_start_of_the_next(time: datetime, length: timedelta) -> None:
    """Windows leave no gap and do not overlap."""
    window = window_at(time, length)

    assert window_at(window.end, length) == window.shifted(1)
    assert window.shifted(3).pooled(4).start == window.start
