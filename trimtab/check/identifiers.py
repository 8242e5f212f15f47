"""Columns that name rows instead of describing them: whatever they hold is new every day."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from monitors.profiles.counting import columns
from monitors.profiles.plan import Family

_LEAST, _UNIQUE, _WORDS = 100, 0.95, 3
_NAMED = re.compile(
    r"(^|[_\s.-])(id|uuid|guid|key|pk|index|rowid)$|^unnamed: ?\d*$|[a-z]I[dD]$", re.IGNORECASE
)


def why_identifier(name: str, values: pa.ChunkedArray) -> str:
    """Return why a column of a sample is taken for an identifier; empty if it is not.

    Strings are, where at least 95 % of at least 100 are distinct; whole numbers, where all are, and they are
    consecutive or the column is called so (``id``, ``order_id``, ``uuid``, ``index``, …).
    """
    family = columns.family(values.type)
    present = len(values) - values.null_count
    if present < _LEAST or family not in {Family.STRING, Family.NUMBER}:
        return ""
    if family is Family.STRING:
        names = pc.drop_null(pc.cast(values, pa.string())).unique()
        few = len(names) < _UNIQUE * present or _is_prose(names)
        return "" if few else "an identifier: nearly every value is another"
    if not pa.types.is_integer(values.type):
        return ""
    numbers = np.sort(columns.numbers(values.combine_chunks()))
    if (numbers[1:] == numbers[:-1]).any():
        return ""
    if int(numbers[-1]) - int(numbers[0]) + 1 == len(numbers):
        return "an identifier: consecutive numbers"
    return "an identifier: every number is another" if _NAMED.search(name) else ""


def _is_prose(values: pa.Array) -> bool:
    """Return whether the strings have three words or more on average, as a text has."""
    return sum(len(text.split()) for text in values.to_pylist()) >= _WORDS * len(values)
