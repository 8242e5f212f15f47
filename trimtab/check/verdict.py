"""What a comparison means, in one word."""

from __future__ import annotations

from enum import StrEnum

from monitors.comparing.comparison import ColumnComparison
from monitors.finding import NoData


class Verdict(StrEnum):
    """In the order of how much they matter."""

    DRIFT = "drift"
    MISSING = "missing"
    UNSURE = "unsure"
    STEADY = "steady"
    NO_DATA = "no data"


EXPLAINED = {
    Verdict.DRIFT: "the effect reaches its limit and chance does not explain it",
    Verdict.MISSING: "drift of the missing values: their share moved, the values themselves did not",
    Verdict.UNSURE: "the effect reaches its limit, but so few rows may do that by chance",
    Verdict.STEADY: "the effect stays below its limit",
    Verdict.NO_DATA: "nothing to compare",
}


def verdict(column: ColumnComparison) -> Verdict:
    """Return the word for a column."""
    if column.drifted:
        return Verdict.DRIFT if column.significant else Verdict.MISSING
    if isinstance(column.effect, NoData):
        return Verdict.NO_DATA
    return Verdict.UNSURE if column.effect.value >= column.threshold else Verdict.STEADY
