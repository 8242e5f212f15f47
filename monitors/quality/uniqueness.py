"""Rows that repeat what must be different in every row: ids, and features that say so."""

from __future__ import annotations

import pandas as pd

from monitors.quality.shares import surely_over
from monitors.quality.violation import Check, Violation


def repeated(column: pd.Series, limit: float, name: str | None = None) -> Violation | None:
    """Return the rows that repeat an earlier value, nulls aside, if they are more than a share `limit`.

    Parameters
    ----------
    name
        The `unique` feature that the values are of; None for prediction ids.
    """
    present = column.dropna()
    again = present[present.duplicated()]
    if not surely_over(len(again), max(len(present), 1), limit):
        return None
    check = Check.DUPLICATE_IDS if name is None else Check.UNIQUENESS
    what = "an id" if name is None else "a value"
    detail = f"{len(again)} rows repeat {what}, such as {again.iloc[0]!r}"
    return Violation(check, len(again), detail, name, limit)
