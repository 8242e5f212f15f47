"""What the values of an Arrow column are: their family, and the plain arrays that the kernels count."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from monitors.profiles.counting.arrow_arrays import arrow_strings, numpy_numbers
from monitors.profiles.plan import Family

_FAMILIES: tuple[tuple[Family, tuple[Callable[[pa.DataType], bool], ...]], ...] = (
    (Family.NULL, (pa.types.is_null,)),
    (Family.BOOLEAN, (pa.types.is_boolean,)),
    (Family.NUMBER, (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)),
    (Family.NUMBER, (pa.types.is_time, pa.types.is_duration)),
    (Family.TIME, (pa.types.is_timestamp, pa.types.is_date)),
    (Family.STRING, (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)),
)
_DAY = 86_400_000_000
_MICROSECONDS = {"s": 1_000_000, "ms": 1000, "us": 1}
_MOST = np.iinfo(np.int64).max
_SIGN = 63
_WHOLE = 2**53  # up to here a whole number is a float
_POWERS = 22  # up to here a power of ten is a float
_MIDNIGHT = "T00:00:00.000000"


def family(kind: pa.DataType) -> Family | None:
    """Return the family of an Arrow type; None for types that are not monitored (nested, binary, …)."""
    if isinstance(kind, pa.BaseExtensionType):
        return family(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return family(kind.value_type)
    return next((found for found, tests in _FAMILIES if any(test(kind) for test in tests)), None)


def numbers(array: pa.Array) -> npt.NDArray[np.number]:
    """Return the values that are not null as a NumPy array, without a copy where there is no null.

    Decimals become the nearest float64; instants, dates, times and durations become integers (microseconds
    since the epoch, or of the day), the nearest there is where they are out of range.
    """
    array = plain(array)
    kind = array.type
    if pa.types.is_null(kind):
        array = array.cast(pa.float64())
    if array.null_count:
        array = array.drop_null()
    if pa.types.is_decimal(kind):
        return _floats(array)
    if pa.types.is_temporal(kind):
        return _microseconds(array)
    return numpy_numbers(array)


def lengths(array: pa.Array) -> npt.NDArray[np.number]:
    """Return the number of characters of each text that is not null."""
    return numbers(pc.utf8_length(strings(array)))


def strings(array: pa.Array) -> pa.Array:
    """Return the values as strings, coded no longer, by `labels` what is none."""
    array = plain(labels(array))
    return array if pa.types.is_string(array.type) else array.cast(pa.large_string())


def labels(array: pa.Array) -> pa.Array:
    """Return the values as strings coded or not: the names of categories.

    A number's name does not depend on its type: 1, 1.0 and 1.00 are "1". Instants are in ISO 8601 and UTC,
    without a time where it is midnight. NaN is null.
    """
    array = _stored(array)
    kind = array.type
    found = family(kind)
    if found in (Family.BOOLEAN, Family.NULL):
        return plain(array).cast(pa.string())
    if found is Family.STRING:
        return array
    if pa.types.is_integer(kind):
        return array.cast(pa.string())
    coded = plain(array).dictionary_encode()
    names = _instants(coded.dictionary) if found is Family.TIME else _numerals(coded.dictionary)
    return pa.DictionaryArray.from_arrays(coded.indices, names)


def plain(array: pa.Array) -> pa.Array:
    """Return the values themselves: neither an extension type, nor coded by a dictionary."""
    array = _stored(array)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def decoded(array: pa.Array) -> list[str]:
    """Return strings of Python, of which none is null, whatever their bytes are."""
    return [value.decode("utf-8", "replace") for value in array.cast(pa.large_binary()).to_pylist()]


def _stored(array: pa.Array) -> pa.Array:
    """Return the values without extension type or runs, and as a type that Arrow's functions know."""
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return _stored(array.storage)
    if pa.types.is_run_end_encoded(kind):
        return _stored(pc.run_end_decode(array))
    if pa.types.is_dictionary(kind) and array.dictionary.type != (values := _stored(array.dictionary)).type:
        return pa.DictionaryArray.from_arrays(array.indices, values)
    if pa.types.is_string_view(kind):
        return array.cast(pa.string())
    return array.cast(pa.float32()) if pa.types.is_float16(kind) else array


def _floats(array: pa.Array) -> npt.NDArray[np.float64]:
    """Return the floats nearest to decimals without nulls; Arrow's own cast is often one float beside.

    The quotient of two floats that are whole numbers is rounded once. Where a number or its power of ten is
    no float, the digits are read, as those of CSV are.
    """
    scale = array.type.scale
    unscaled = _unscaled(array)
    if unscaled is None or abs(scale) > _POWERS:
        return numpy_numbers(array.cast(pa.string()).cast(pa.float64()))
    floats: npt.NDArray[np.float64] = unscaled / 10.0**scale if scale >= 0 else unscaled * 10.0**-scale
    return floats


def _unscaled(array: pa.Array) -> npt.NDArray[np.signedinteger] | None:
    """Return decimals without nulls as whole numbers, without their point; None if one is no float."""
    width = array.type.byte_width
    word = np.dtype(f"i{min(width, 8)}")
    stored = np.frombuffer(array.buffers()[1] or b"", np.uint8)[array.offset * width :][: len(array) * width]
    words: npt.NDArray[np.signedinteger] = stored.view(word).reshape(len(array), width // word.itemsize)
    lowest, others = words[:, 0], words[:, 1:]
    if (others != (lowest >> _SIGN)[:, None]).any() or (np.abs(lowest) > _WHOLE).any():
        return None
    return lowest


def _microseconds(array: pa.Array) -> npt.NDArray[np.int64]:
    """Return instants, dates, times or durations without nulls in microseconds."""
    kind = array.type
    narrow = pa.types.is_date32(kind) or pa.types.is_time32(kind)
    stored = numpy_numbers(array.view(pa.int32() if narrow else pa.int64()))
    values: npt.NDArray[np.int64] = stored.astype(np.int64, copy=False)
    unit = "ms" if pa.types.is_date64(kind) else getattr(kind, "unit", None)
    if unit == "ns":
        return values // 1000
    factor = _DAY if unit is None else _MICROSECONDS[unit]
    return values if factor == 1 else np.clip(values, -(_MOST // factor), _MOST // factor) * factor


def _instants(array: pa.Array) -> pa.Array:
    instants = numbers(array).view("datetime64[us]")
    names = [str(name).removesuffix(_MIDNIGHT) for name in np.datetime_as_string(instants)]
    return arrow_strings(names)


def _numerals(array: pa.Array) -> pa.Array:
    """Return the names of numbers, of which none is null."""
    if pa.types.is_decimal(array.type):
        return arrow_strings([_decimal_name(value) for value in array.to_pylist()])
    return arrow_strings([_float_name(value) for value in numbers(array).tolist()])


def _decimal_name(value: Decimal) -> str:
    name = f"{value:f}"
    return name.rstrip("0").rstrip(".") if "." in name else name


def _float_name(value: float) -> str | None:
    if value != value:  # noqa: PLR0124 - NaN, and only NaN
        return None
    return str(int(value)) if value == value // 1 and abs(value) < 2**63 else repr(value)
