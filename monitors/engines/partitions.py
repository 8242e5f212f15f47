"""Reads columns from the names of folders: ``year=2024/month=3``."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

import pyarrow as pa

from monitors.engines.combined import Constants

_DIGITS = 18  # of a whole number of 64 bits, whatever they are
_NULL = "__HIVE_DEFAULT_PARTITION__"


def partitions(folders: Sequence[Sequence[str]]) -> tuple[dict[str, pa.DataType], list[Constants]]:
    """Return the columns that folders are named after, and the values of each file.

    Parameters
    ----------
    folders
        For each file the names of the folders that it lies in, below the root. Others than ``key=value`` say
        nothing. A column is of whole numbers if all its values are, else of strings.
    """
    found = [dict(unquote(part).split("=", 1) for part in parts if "=" in part) for parts in folders]
    values: dict[str, set[str]] = {}
    for parts in found:
        for key, value in parts.items():
            values.setdefault(key, set()).add(value)
    types = {
        key: pa.int64() if all(map(_is_whole, known - {_NULL})) else pa.string()
        for key, known in values.items()
    }
    return types, [{key: _scalar(parts.get(key), kind) for key, kind in types.items()} for parts in found]


def _is_whole(value: str) -> bool:
    digits = value.removeprefix("-")
    return len(value) <= _DIGITS and digits.isascii() and digits.isdigit() and str(int(value)) == value


def _scalar(value: str | None, kind: pa.DataType) -> pa.Scalar:
    if value is None or value == _NULL:
        return pa.scalar(None, kind)
    return pa.scalar(int(value) if pa.types.is_integer(kind) else value, kind)
