"""What the values of an Arrow column are: their family, and the plain arrays that the kernels count."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from monitors.plan import Family

MICROSECONDS = pa.timestamp("us")


def family(kind: pa.DataType) -> Family | None:
    """Return the family of an Arrow type; None for types that are not monitored (nested, binary, …)."""
    if pa.types.is_dictionary(kind):
        return family(kind.value_type)
    if pa.types.is_null(kind):
        return Family.NULL
    if pa.types.is_boolean(kind):
        return Family.BOOLEAN
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return Family.NUMBER
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return Family.TIME
    if pa.types.is_time(kind) or pa.types.is_duration(kind):
        return Family.NUMBER
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return Family.STRING
    return None


def numbers(array: pa.Array) -> npt.NDArray[np.number]:
    """Return the values that are not null as a NumPy array, without a copy where there is no null.

    Decimals become float64; instants, dates, times and durations become integers (microseconds since the
    epoch, or of the day).
    """
    array = _plain(array)
    if array.null_count:
        array = array.drop_null()
    values: npt.NDArray[np.number] = array.to_numpy(zero_copy_only=False)
    return values


def lengths(array: pa.Array) -> npt.NDArray[np.number]:
    """Return the number of characters of each text that is not null."""
    return numbers(pc.utf8_length(strings(array)))


def strings(array: pa.Array) -> pa.Array:
    """Return the values as strings; numbers and instants as Arrow writes them."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return array if pa.types.is_string(array.type) else array.cast(pa.string())


def as_text(array: pa.Array) -> pa.Array:
    """Return an array of strings, coded or not: numbers and instants as Arrow writes them."""
    return array if family(array.type) is Family.STRING else strings(array)


def coded(array: pa.Array) -> tuple[npt.NDArray[np.integer], pa.Array]:
    """Return the code of each value that is not null, and the strings that the codes number.

    A string may have more than one code, or none.
    """
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    codes = array.indices
    if codes.null_count:
        codes = codes.drop_null()
    values = array.dictionary
    if not pa.types.is_string(values.type):
        values = values.cast(pa.string())
    return codes.to_numpy(zero_copy_only=False), values


def _plain(array: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    if pa.types.is_decimal(kind) or pa.types.is_null(kind):
        return array.cast(pa.float64())
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return pc.cast(array, MICROSECONDS, safe=False).view(pa.int64())
    if pa.types.is_time(kind) or pa.types.is_duration(kind):
        return _microseconds(array)
    return array


def _microseconds(array: pa.Array) -> pa.Array:
    if pa.types.is_duration(array.type):
        return pc.cast(array, pa.duration("us"), safe=False).view(pa.int64())
    return pc.cast(array, pa.time64("us"), safe=False).view(pa.int64())
