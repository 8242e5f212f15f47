"""Durations, fractions, sizes, rates, counts as people write them: ``1d``, ``5%``, ``5MB``, ``1/year``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, PlainSerializer
from pydantic_core import CoreSchema, core_schema

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3}
_SPANS = {"day": 1.0, "week": 7.0, "month": 365.25 / 12, "year": 365.25}
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

Margin = Annotated[
    float,
    BeforeValidator(_parse_fraction, json_schema_input_type=float | str),
    Field(ge=0, allow_inf_nan=False, json_schema_extra=_input_schema("1%")),
]
"""How far two values may lie apart, in their own unit; of shares ``0.01`` or ``1%``."""

Size = Annotated[
    int,
    BeforeValidator(_parse_size, json_schema_input_type=int | str),
    Field(gt=0, json_schema_extra=_input_schema("5MB")),
]
"""Bytes, written ``5000000`` or ``5MB`` (decimal units)."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something may happen, written ``1/year``, ``2/month``, ``0.5/week``, ``3/day``."""

    count: float
    span: str

    def __str__(self) -> str:
        return f"{self.count:g}/{self.span}"

    @property
    def per(self) -> timedelta:
        """The span; a year has 365.25 days and a month is a twelfth of it."""
        return timedelta(days=_SPANS[self.span])

    @classmethod
    def parse(cls, value: object) -> Rate:
        """Return the rate that a text says; `ValueError` if it says none."""
        match = re.fullmatch(_NUMBER + r"\s*/\s*(day|week|month|year)", str(value).strip())
        if match is None or not float(match[1]):
            msg = "must be a rate above 0 such as 1/year, 2/month, 1/week or 3/day"
            raise ValueError(msg)
        return cls(float(match[1]), match[2])

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return _as_text(cls, "1/year")


@dataclass(frozen=True, slots=True)
class OutOf:
    """So many of the last ones, written ``2 of 3``."""

    count: int
    of: int

    def __str__(self) -> str:
        return f"{self.count} of {self.of}"

    @classmethod
    def parse(cls, value: object) -> OutOf:
        """Return the two numbers that a text says; `ValueError` if it says none, or more than there are."""
        match = re.fullmatch(r"(\d+)\s+of\s+(\d+)", str(value).strip())
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            msg = "must be so many of at least as many, such as 2 of 3"
            raise ValueError(msg)
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return _as_text(cls, "2 of 3")


def _as_text(kind: type[Rate | OutOf], example: str) -> CoreSchema:
    """Return the schema of a value that a YAML writes as text and Python may pass as it is."""
    text = core_schema.str_schema(metadata={"pydantic_js_updates": {"examples": [example]}})
    return core_schema.no_info_before_validator_function(
        lambda value: value if isinstance(value, kind) else kind.parse(value),
        core_schema.is_instance_schema(kind),
        json_schema_input_schema=text,
        serialization=core_schema.plain_serializer_function_ser_schema(str, return_schema=text),
    )
