"""What is checked of a window's data, and what is said of a check that does not hold."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Check(StrEnum):
    """What is checked, by the name that the results and the metrics use."""

    SCHEMA = "schema"
    """A feature's column is missing or of another type."""
    NULL_RATE = "null_rate"
    """More nulls than the feature's `nulls`, or than the reference has and `null_rate` adds."""
    CONSTRAINT = "constraint"
    """Values that the feature's `min`, `max` or `values` does not allow."""
    UNSEEN_CATEGORIES = "unseen_categories"
    """Categories that the reference does not have."""
    OUT_OF_RANGE = "out_of_range"
    """Values outside the reference's [min, max]."""
    DUPLICATE_IDS = "duplicate_ids"
    """Rows that repeat an id."""
    UNIQUENESS = "uniqueness"
    """Rows that repeat a value of a `unique` feature."""
    CONSTANT = "constant"
    """A feature that varied has one value."""
    UNIT_CHANGE = "unit_change"
    """All values of a number are what they were, in another unit."""
    VOLUME = "volume"
    """Too few rows."""
    FRESHNESS = "freshness"
    """No row for too long."""


WINDOWS = "violation_windows"
"""Measurement: how many windows, the newest among them, are wrong as a violation of several together says."""

FAULTS = frozenset(
    {
        Check.SCHEMA,
        Check.NULL_RATE,
        Check.CONSTRAINT,
        Check.DUPLICATE_IDS,
        Check.UNIQUENESS,
        Check.CONSTANT,
        Check.UNIT_CHANGE,
    }
)
"""Checks whose violation means that the data are wrong: no retrain can cure it, and none may learn from it.

The others tell a person and block nothing. Values that merely the reference did not have are drift when they
are real, and a retrain is the cure; rows that did not come say nothing against those that did.
"""


@dataclass(frozen=True, slots=True)
class Violation:
    """`rows` rows that a check does not allow; `limit` is the largest share of rows that it does.

    `windows` windows show it together, where the newest alone does not.
    """

    check: Check
    rows: int
    detail: str
    feature: str | None = None
    limit: float | None = None
    windows: int = 1

    @property
    def is_fault(self) -> bool:
        """Whether the data are wrong, so that nothing may be trained on them."""
        return self.check in FAULTS
