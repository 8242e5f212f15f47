"""What makes a window's data faulty."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from spec.record import Record
from spec.units import Fraction


class Quality(Record):
    """What makes a window's data faulty."""

    null_rate: Fraction = 0.1
    """How far a feature's share of nulls may rise above the reference's."""
    unseen_categories: Fraction = 0.05
    """Largest share of rows with a category that the reference does not have."""
    out_of_range: Fraction = 0.05
    """Largest share of rows outside the reference's [min, max]."""
    min_rows: Annotated[int, Field(ge=0)] = 1
    """Fewer rows in a window are a violation of volume."""
