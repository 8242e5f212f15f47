"""When the relation of inputs and truth counts as changed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from spec.record import Record
from spec.units import Fraction

Dependence = Literal["measured", "days", "none"]
"""How rows of one day depend on each other: as measured on the reference's days, in any way, not at all."""


class ConceptDrift(Record):
    """The test of the loss, as labels arrive."""

    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.01
    """Probability of ever raising a false alarm for a version."""
    tolerance: Fraction = 0.1
    """How much the mean loss may rise above the reference's, relative to it, before it is harm."""
    dependence: Dependence = "measured"
    """How rows of one day hang together. `days`: in any way, so a day is one piece of evidence, and proof is
    slow; `none`: not at all; `measured`: about as much as on the reference's days."""
    detector: Literal["adwin", "ddm", "page_hinkley"] | None = None
    """A detector of streams beside the test, for those who know it; it tells people and decides nothing."""
