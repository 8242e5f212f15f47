"""Durations, fractions and sizes as people write them: ``1d``, ``5%``, ``5MB``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3}
_NUMBER = r"(\d+(?:\.\d+)?)"


def _parse_duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(_NUMBER + r"\s*(ms|s|m|h|d|w)", str(value).strip())
    if match is None:
        msg = "must be a duration such as 500ms, 90s, 15m, 6h, 1d or 2w"
        raise ValueError(msg)
    return timedelta(seconds=float(match[1]) * _SECONDS[match[2]])


def _parse_fraction(value: object) -> object:
    match = re.fullmatch(_NUMBER + r"\s*%", value.strip()) if isinstance(value, str) else None
    return float(match[1]) / 100 if match else value


def _parse_size(value: object) -> object:
    if isinstance(value, int):
        return value
    match = re.fullmatch(_NUMBER + r"\s*(B|kB|MB|GB)", str(value).strip())
    if match is None:
        msg = "must be a size such as 500kB, 5MB or 1GB"
        raise ValueError(msg)
    return round(float(match[1]) * _BYTES[match[2]])


def format_duration(value: timedelta) -> str:
    """Return the shortest spelling that `Duration` reads back to the same value."""
    seconds = value.total_seconds()
    for unit in ("w", "d", "h", "m", "s"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{seconds / _SECONDS[unit]:.0f}{unit}"
    return f"{seconds * 1000:.3f}".rstrip("0").rstrip(".") + "ms"


def _input_schema(example: str) -> dict[str, object]:
    return {"examples": [example]}


Duration = Annotated[
    timedelta,
    BeforeValidator(_parse_duration, json_schema_input_type=str),
    PlainSerializer(format_duration, return_type=str),
    Field(gt=timedelta(0), json_schema_extra=_input_schema("1d")),
]
"""A positive span of time, written ``500ms``, ``90s``, ``15m``, ``6h``, ``1d``, ``2w``."""

Fraction = Annotated[
    float,
    BeforeValidator(_parse_fraction, json_schema_input_type=float | str),
    Field(ge=0, le=1, json_schema_extra=_input_schema("5%")),
]
"""A share in [0, 1], written ``0.05`` or ``5%``."""

Size = Annotated[
    int,
    BeforeValidator(_parse_size, json_schema_input_type=int | str),
    Field(gt=0, json_schema_extra=_input_schema("5MB")),
]
"""Bytes, written ``5000000`` or ``5MB`` (decimal units)."""
