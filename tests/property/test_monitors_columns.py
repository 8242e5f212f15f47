"""What numbers the values of an Arrow column are, whatever they are."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.profiles.counting import columns

DECIMALS = [
    pa.decimal32(9, 2),
    pa.decimal64(18, 2),
    pa.decimal128(38, 2),
    pa.decimal128(38, 30),
    pa.decimal128(30, -3),
    pa.decimal256(76, 2),
]


@pytest.mark.parametrize("kind", DECIMALS, ids=str)
@settings(deadline=None)
@given(st.data())
def test_decimals_are_the_nearest_floats(kind: pa.DataType, data: st.DataObject) -> None:
    """A price of a decimal type is the number that the same price in a CSV file is, to the last bit."""
    most = 10**kind.precision - 1
    small = st.integers(max(-most, -(10**6)), min(most, 10**6))
    unscaled = data.draw(st.lists(st.none() | small | st.integers(-most, most)))
    values = [None if value is None else Decimal(f"{value}E{-kind.scale}") for value in unscaled]
    array = pa.array([None, *values, None], kind)

    assert [float(value) for value in values if value is not None] == columns.numbers(array[1:]).tolist()
