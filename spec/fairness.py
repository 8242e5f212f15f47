"""Parts of the rows for which a model must be as good as for the others."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from spec.record import Record
from spec.units import Fraction, Rate


class Slices(Record):
    """By which features performance is told apart."""

    by: tuple[str, ...] = ()
    """Features whose values are slices; numeric ones in quartiles of the reference."""
    search: bool = True
    """Whether the worst slices, of one feature or two, are searched for."""
    min_rows: Annotated[int, Field(ge=10)] = 100
    """Slices with fewer labelled rows are not judged."""
    rise: Fraction = 0.2
    """A slice has become worse when its mean loss rose by this part of the mean loss of all rows, beyond the
    rise of the other rows."""
    false_alarms: Annotated[Rate, Field(json_schema_extra={"default": "1/year"})] = Rate(1, "year")
    """How often, at most, the search may name a slice that has not become worse."""

    @model_validator(mode="before")
    @classmethod
    def _accept_bare_names(cls, value: object) -> object:
        return {"by": value} if isinstance(value, list | tuple) else value


class FairnessMetric(StrEnum):
    """How differently the groups of a protected attribute are treated; 0 is alike, 1 is the most."""

    DEMOGRAPHIC_PARITY = "demographic_parity"
    EQUALIZED_ODDS = "equalized_odds"


class Fairness(Record):
    """How differently the groups of the `protected` features may be served."""

    metric: FairnessMetric = FairnessMetric.EQUALIZED_ODDS
    max: Fraction = 0.1
    """Largest difference between two groups that is tolerated."""
    min_rows: Annotated[int, Field(ge=10)] = 100
    """Groups with fewer labelled rows are not compared."""
    margin: Fraction = 0.02
    """How much a new version may add to the champion's difference where it is above `max`."""
