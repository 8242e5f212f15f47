"""What makes a window's data faulty, and what the model server does with a row that cannot be right."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from spec.record import Record
from spec.units import Duration, Fraction


class Door(StrEnum):
    """What the model server does with a request that breaks what `features` states."""

    OFF = "off"
    FLAG = "flag"
    REJECT = "reject"


class Quality(Record):
    """What makes a window's data faulty. A share must be surely too large, for so many rows."""

    null_rate: Fraction = 0.1
    """How far a feature's share of nulls may rise above the reference's; `nulls` of a feature wins."""
    unseen_categories: Fraction = 0.05
    """Largest share of rows with a category that the reference does not have; `values` of a feature wins."""
    out_of_range: Fraction = 0.05
    """Largest share of rows outside the reference's [min, max]; `min` and `max` of a feature win."""
    broken: Fraction = 0.01
    """Largest share of rows that `min`, `max` or `values` of a feature do not allow."""
    duplicates: Fraction = 0.0
    """Largest share of rows that repeat an id, or a value of a `unique` feature."""
    min_rows: Annotated[int, Field(ge=0)] = 1
    """Fewer rows in a window are a violation of volume."""
    volume_drop: Fraction | None = 0.5
    """How far a window's rows may fall below the usual of the same time of the week; null for any."""
    freshness: Duration | None = None
    """Longest silence between the newest row and the window's end; null for any."""
    unit_change: Annotated[float, Field(gt=1)] | None = 1.5
    """Smallest factor between all values and the usual ones that is called a change of unit; null: none."""
    constant: bool = True
    """Whether a feature that varied in earlier windows must vary in this one."""
    door: Door = Door.OFF
    """`flag` tells of a request that breaks what `features` states, `reject` refuses it with 422."""
