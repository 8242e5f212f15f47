from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from monitors.profiles.counting.arrow_arrays import (
    arrow_flags,
    arrow_numbers,
    arrow_strings,
    numpy_numbers,
    present,
)

NUMBERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"]


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_come_back_as_they_went(name: str) -> None:
    """Every numeric type goes to Arrow as `pyarrow.array` makes it, and comes back the same."""
    values = np.array([0, 1, 7, 100], dtype=name)

    assert pa.array(values).equals(arrow_numbers(values))
    assert values.dtype == numpy_numbers(arrow_numbers(values)).dtype
    assert values.tolist() == numpy_numbers(arrow_numbers(values)).tolist()


def test_a_stride_is_no_obstacle() -> None:
    """Every second number of an array is taken for what it is."""
    assert [0, 2, 4] == arrow_numbers(np.arange(6)[::2]).to_pylist()


def test_a_slice_is_read_from_where_it_begins() -> None:
    """Numbers and flags of a part of an array are those of that part, an empty one included."""
    assert [2, 3] == numpy_numbers(pa.array([0, 1, 2, 3, 4]).slice(2, 2)).tolist()
    assert [True, False] == numpy_numbers(pa.array([False, True, False, True]).slice(1, 2)).tolist()
    assert [] == numpy_numbers(pa.array([1, 2]).slice(2)).tolist()
    assert [False, True] == present(pa.array(["a", None, "b"]).slice(1)).tolist()


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 17])
def test_flags_are_those_of_arrow(length: int) -> None:
    """Flags of any number, whole bytes or not, are as `pyarrow.array` makes them."""
    flags = np.random.default_rng(0).random(length) < 0.5

    assert pa.array(flags, pa.bool_()).equals(arrow_flags(flags))


@pytest.mark.parametrize(
    "texts", [[], [""], [None], ["a", None, "", "žluťoučký", "0\0", "🙂" * 40, None, "b", "c"]]
)
def test_strings_are_those_of_arrow(texts: list[str | None]) -> None:
    """Strings of any characters, empty or null, are as `pyarrow.array` makes them, and valid."""
    made = arrow_strings(texts)

    made.validate(full=True)
    assert pa.array(texts, pa.large_string()).equals(made)


def test_a_null_is_refused_and_not_read_as_a_number() -> None:
    """What lies below a null is no number, so an array that has one has none of NumPy's."""
    for array in (pa.array([1, None]), pa.array([True, None])):
        with pytest.raises(pa.ArrowTypeError):
            numpy_numbers(array)
