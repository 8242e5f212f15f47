from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from spec.units import Duration, Fraction, Size, format_duration

DURATION = TypeAdapter(Duration)
FRACTION = TypeAdapter(Fraction)
SIZE = TypeAdapter(Size)


@given(st.integers(min_value=1, max_value=10**9))
def test_a_duration_survives_being_written_and_read(milliseconds: int) -> None:
    """What `format_duration` writes, `Duration` reads back unchanged."""
    duration = timedelta(milliseconds=milliseconds)

    assert duration == DURATION.validate_python(format_duration(duration))


@given(st.integers(min_value=0, max_value=100))
def test_a_percentage_is_its_fraction(percent: int) -> None:
    """`5%` and 0.05 are the same."""
    assert FRACTION.validate_python(f"{percent}%") == pytest.approx(percent / 100)


@given(st.integers(min_value=1, max_value=10**6))
def test_sizes_are_decimal(number: int) -> None:
    """1 MB is a million bytes."""
    assert number * 10**6 == SIZE.validate_python(f"{number}MB")


@given(st.text(max_size=8))
def test_no_text_crashes_a_unit(text: str) -> None:
    """Any text is either read or refused with a validation error."""
    for unit in (DURATION, FRACTION, SIZE):
        try:
            unit.validate_python(text)
        except ValidationError as error:
            assert error.errors()  # noqa: PT017 - either outcome is right
