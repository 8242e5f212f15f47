"""The input columns of a model, and what is known of each."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, FiniteFloat, model_validator

from spec.record import Record
from spec.units import Fraction


class FeatureType(StrEnum):
    """How a feature is stored, monitored and fed to the model."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"


CALENDAR_UNITS = ("s", "min", "h", "d")
CalendarPart = Literal["hour", "day_of_week", "day_of_year"]


class Feature(Record):
    """One input column of the model, and what must hold of its values: in a window, and at the server's door.

    What is not said here is held against the version's reference, more leniently: see `monitor.quality`.
    """

    type: FeatureType
    """`numeric` is a float64 column, `categorical` a string, `boolean` a bool; all may be null."""
    unit: str | None = None
    """Unit of a numeric feature, shown where people look at it."""
    calendar: Annotated[tuple[CalendarPart, ...], Field(min_length=1)] | None = None
    """What the model sees, in UTC, of a number that is the time since 1970 in the stated `unit`: ``s``,
    ``min``, ``h`` or ``d``. It is served as float32: seconds are known to 64 s, whole hours exactly."""
    protected: bool = False
    """The groups of a protected attribute must be served alike; see `monitor.fairness`."""
    min: FiniteFloat | None = None
    """Least value of a numeric feature that can be right."""
    max: FiniteFloat | None = None
    """Largest value of a numeric feature that can be right."""
    values: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """All values of a categorical feature that can be right."""
    nulls: Fraction | None = None
    """Largest share of nulls in a window; 0 turns a null away at the door. Default: see `null_rate`."""
    unique: bool = False
    """No two rows of a window have the same value."""
    known_at: str | None = None
    """Column of the history with the time at which the value was known: no row may have learnt it after its
    own event time, since a model that is asked then would not have it."""
    private: Literal["drop", "tokenize"] | None = None
    """What becomes of the value before anything touches a disk. `drop`: the model sees it, and no log and no
    reference does. `tokenize`, of a categorical feature: a keyed hash stands for it everywhere behind the
    server's door, in the model too."""

    @model_validator(mode="before")
    @classmethod
    def _accept_bare_type(cls, value: object) -> object:
        return {"type": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _constraints_suit_the_type(self) -> Self:
        if problems := "; ".join(self._unsuitable()):
            raise ValueError(problems)
        return self

    def _unsuitable(self) -> Iterator[str]:
        if self.type is not FeatureType.NUMERIC:
            stated = [key for key in ("min", "max") if getattr(self, key) is not None]
            if stated:
                yield f"{' and '.join(stated)}: only a numeric feature has a range"
        if self.min is not None and self.max is not None and self.min > self.max:
            yield f"min: must not be above max; found {self.min:g} and {self.max:g}"
        if self.values is not None and self.type is not FeatureType.CATEGORICAL:
            yield "values: only a categorical feature lists its values"
        if self.values is not None and len(set(self.values)) < len(self.values):
            yield "values: must name each value once"
        if self.calendar is not None:
            yield from self._unsuitable_calendar(self.calendar)
        if self.unique and self.type is FeatureType.BOOLEAN:
            yield "unique: a boolean has two values only"
        if self.private == "tokenize":
            yield from self._cannot_be_tokenized()

    def _cannot_be_tokenized(self) -> Iterator[str]:
        if self.type is not FeatureType.CATEGORICAL:
            yield f"private: only a categorical feature has tokens; drop a {self.type} one"
        if self.values is not None:
            yield "values: the log holds tokens of a tokenized feature, which are not the listed values"

    def _unsuitable_calendar(self, parts: tuple[str, ...]) -> Iterator[str]:
        if self.type is not FeatureType.NUMERIC:
            yield "calendar: only a numeric feature, the time since 1970, has parts of the calendar"
        elif self.unit not in CALENDAR_UNITS:
            found = "none" if self.unit is None else self.unit
            yield f"unit: must be {', '.join(CALENDAR_UNITS)} where calendar is stated; found {found}"
        elif self.unit == "d" and "hour" in parts:
            yield "calendar: whole days have no hour"
        if len(set(parts)) < len(parts):
            yield "calendar: must name each part once"
