"""NumPy arrays and strings as Arrow arrays and back, without pandas.

`pyarrow.array`, `pyarrow.scalar` and `Array.to_numpy` import pandas, a quarter of a second, to see whether
what they are given is a series. What every check goes through is made from buffers, and read by DLPack.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def arrow_numbers(values: npt.NDArray[np.number]) -> pa.Array:
    """Return an Arrow array of the same type, shape (n,), without nulls; nothing is copied."""
    whole = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(whole.dtype), len(whole), [None, pa.py_buffer(whole)])


def arrow_flags(values: npt.NDArray[np.bool_]) -> pa.Array:
    """Return an Arrow array of booleans, shape (n,), without nulls."""
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, _bits(values)])


def arrow_strings(values: Collection[str | None]) -> pa.Array:
    """Return an Arrow array of large strings, shape (n,); None is null."""
    encoded = [b"" if value is None else value.encode() for value in values]
    ends = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(content) for content in encoded], out=ends[1:])
    present = np.array([value is not None for value in values], dtype=bool)
    buffers = [_bits(present), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.large_string(), len(encoded), buffers)


def numpy_numbers(array: pa.Array) -> npt.NDArray[Any]:
    """Return the numbers or booleans of an array without nulls, shape (n,); of numbers nothing is copied.

    Raises
    ------
    pyarrow.ArrowTypeError
        A value is null, or the type is neither numeric nor Boolean.
    """
    if pa.types.is_boolean(array.type):
        return np.from_dlpack(array.cast(pa.uint8())).view(np.bool_)
    return np.from_dlpack(array)


def present(array: pa.Array) -> npt.NDArray[np.bool_]:
    """Return which values are not null, shape (n,)."""
    return numpy_numbers(array.is_valid())


def _bits(flags: npt.NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(flags, bitorder="little"))
