"""How a column behaves from window to window: that it varies, and that it keeps its unit."""

from __future__ import annotations

import numpy as np
import pandas as pd

from monitors.quality import quartiles as statistics
from monitors.quality.past import Past, is_constant, numbers
from monitors.quality.quartiles import FEWEST_WINDOWS, Usual
from monitors.quality.together import change_together
from monitors.quality.unit_change import unit_change
from monitors.quality.violation import Check, Violation
from monitors.references import Reference

_ACCIDENT = 1e-6  # probability of one value only, were the rows those of the reference


def constant(column: pd.Series, name: str, reference: Reference, past: Past) -> Violation | None:
    """Return a column that has one value, though the earlier windows and the reference have more.

    A window of less than half the usual rows, the first hours of a day, may well be alike: it is passed by.
    """
    if past.windows < FEWEST_WINDOWS or past.constant.get(name) or not is_constant(column):
        return None
    present = column.dropna()
    if len(present) < np.median(list(past.rows.values())) / 2:
        return None
    known = reference.frame[name].dropna() if name in reference.frame else present
    commonest = float(known.value_counts(normalize=True).max()) if len(known) else 1.0
    if commonest ** len(present) > _ACCIDENT:
        return None
    detail = f"all {len(present)} rows are {present.iloc[0]!r}; the {past.windows} windows before varied"
    return Violation(Check.CONSTANT, len(present), detail, name)


def unit(
    column: pd.Series, name: str, reference: Reference, past: Past, least: float, stated: str | None = None
) -> Violation | None:
    """Return a number whose unit, perhaps `stated`, has changed, by a factor of at least `least`."""
    window = statistics.quartiles(numbers(column))
    usual = None if window is None else _usual(name, reference, past, window.n)
    if window is None or usual is None:
        return None
    found, windows = unit_change(window, usual, least), 1
    if found is None:
        together = change_together(window, past.quartiles.get(name, ()), usual, least, stated)
        if together is None:
            return None
        found, windows = together.change, together.windows
    those = f"in {windows} windows together, " if windows > 1 else ""
    detail = (
        f"{those}the values are {found} of what is usual: their median is {window.middle:.4g}, "
        f"not about {usual.median.center:.4g}"
    )
    return Violation(Check.UNIT_CHANGE, window.n, detail, name, windows=windows)


def _usual(name: str, reference: Reference, past: Past, rows: int) -> Usual | None:
    """Return what earlier windows of the version show; while they are few, what its reference does."""
    earlier = [each.quartiles for each in past.quartiles.get(name, ()) if not each.wrong]
    if len(earlier) >= FEWEST_WINDOWS:
        return statistics.of_windows(earlier)
    if name not in reference.frame:
        return None
    whole = statistics.quartiles(numbers(reference.frame[name]))
    return None if whole is None else statistics.of_reference(whole, reference.counts.dependence, name, rows)
