"""The protocol's binary tensor extension: tensors as little-endian bytes behind the JSON of a body."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spec import Problem, RequestError

HEADER = b"inference-header-content-length"
"""Names the bytes of the JSON that a body begins with."""

CONTENT_TYPE = b"application/octet-stream"
_SIZE = "binary_data_size"
_DTYPES = {
    "BOOL": np.dtype("?"),
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
}
_LENGTH = struct.Struct("<I")
_LAST_OF_ASCII = 127
_FEW = 16
"""Strings; fewer are read as fast one by one."""


def split(body: bytes, header: bytes) -> tuple[bytes, bytes]:
    """Return a body's JSON and the bytes behind it.

    Raises
    ------
    RequestError
        When the header is no length within the body.
    """
    text = header.decode("latin-1")
    length = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else -1  # noqa: PLR2004 - 64 bits
    if not 0 <= length <= len(body):
        must = f"must be the bytes of the JSON, at most the body's {len(body)}"
        raise RequestError([Problem("header Inference-Header-Content-Length", must, repr(text[:60]))])
    return body[:length], body[length:]


def fill(content: dict[str, Any], raw: bytes, problems: list[Problem]) -> None:
    """Give each tensor that names a ``binary_data_size`` its data, in place: an array, or a list of strings.

    NaN is a missing value, as null is in JSON. A category cannot be missing here: "" is the empty string.

    Parameters
    ----------
    raw
        The bytes of those tensors, one after the other.
    problems
        Everything that is wrong is added here.

    Raises
    ------
    RequestError
        When a size is none, so that what follows cannot be read.
    """
    start = 0
    for where, tensor in _binary(content):
        size = tensor["parameters"][_SIZE]
        if type(size) is not int or not 0 <= size <= len(raw) - start:
            must = f"must be a number of bytes, at most the {len(raw) - start} that are left of the body"
            problems.append(Problem(f"{where}.parameters.{_SIZE}", must, repr(size)[:60]))
            raise RequestError(problems)  # nobody knows where the next tensor begins
        if "data" in tensor:
            problems.append(Problem(where, f"must have data or a {_SIZE}", "both"))
        tensor["data"] = _values(where, tensor.get("datatype"), raw[start : start + size], problems)
        start += size
    if start != len(raw):
        must = f"must end with the {start} bytes that its tensors name"
        problems.append(Problem("body", must, f"{len(raw)} bytes behind the JSON"))


def packed(datatype: str, values: Sequence[Any]) -> bytes:
    """Return values as bytes, row-major."""
    if datatype != "BYTES":
        return np.asarray(values, dtype=_DTYPES[datatype]).tobytes()
    texts = (str(value).encode() for value in values)
    return b"".join(_LENGTH.pack(len(text)) + text for text in texts)


def _binary(content: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    inputs = content.get("inputs")
    for index, tensor in enumerate(inputs if type(inputs) is list else ()):
        parameters = tensor.get("parameters") if type(tensor) is dict else None
        if type(parameters) is dict and _SIZE in parameters:
            yield f"inputs[{index}]", tensor


def _values(where: str, datatype: object, raw: bytes, problems: list[Problem]) -> list[Any] | NDArray[Any]:
    if datatype == "BYTES":
        return _texts(where, raw, problems)
    dtype = _DTYPES.get(datatype) if type(datatype) is str else None
    if dtype is None:
        return []  # the datatype is refused with all that it may be
    if len(raw) % dtype.itemsize:
        must = f"must be a multiple of {dtype.itemsize} bytes, one {datatype} each"
        problems.append(Problem(f"{where}.parameters.{_SIZE}", must, str(len(raw))))
        return []
    return np.frombuffer(raw, dtype)


def _texts(where: str, raw: bytes, problems: list[Problem]) -> list[str]:
    """Read strings, each behind its length of four bytes."""
    codes = _codes(raw)
    if codes is not None:
        return codes
    texts: list[str] = []
    at, size, length_at = 0, len(raw), _LENGTH.unpack_from
    try:
        while at < size:
            first = at + _LENGTH.size
            at = first + length_at(raw, at)[0]
            if at > size:
                break
            texts.append(raw[first:at].decode())
    except struct.error:  # the tensor ends within a length
        at = size + 1
    except UnicodeDecodeError as error:
        problems.append(Problem(f"{where}, string {len(texts)}", "must be UTF-8", str(error)))
        return []
    if at > size:
        must = "must hold whole strings, each behind its length of four bytes"
        problems.append(Problem(where, must, f"string {len(texts)} ends behind the tensor"))
        return []
    return texts


def _codes(raw: bytes) -> list[str] | None:
    """Return what `_texts` would where all strings are ASCII and of one length, as codes are; else None."""
    length = int.from_bytes(raw[: _LENGTH.size], "little")
    step = _LENGTH.size + length
    if not length or len(raw) % step or len(raw) < _FEW * step:
        return None
    rows = np.frombuffer(raw, np.uint8).reshape(-1, step)
    lengths = np.ascontiguousarray(rows[:, : _LENGTH.size]).view("<u4")
    if (lengths != length).any() or (rows > _LAST_OF_ASCII).any():
        return None
    joined = rows[:, _LENGTH.size :].tobytes().decode("ascii")
    return [joined[at : at + length] for at in range(0, len(joined), length)]
