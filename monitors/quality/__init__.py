"""Whether a window's data are sound: types, nulls, values, ids, units, volume, freshness.

Every check counts offending rows and compares their share with what the spec allows: what it states of a
feature first, and of the rest what `monitor.quality` allows beyond the version's reference.
"""

from __future__ import annotations

from monitors.quality.inferred import Constraints, constraints
from monitors.quality.past import Past, lookback, observed
from monitors.quality.traffic import Traffic
from monitors.quality.verdict import check, faults, judge
from monitors.quality.violation import FAULTS, Check, Violation

__all__ = [
    "FAULTS",
    "Check",
    "Constraints",
    "Past",
    "Traffic",
    "Violation",
    "check",
    "constraints",
    "faults",
    "judge",
    "lookback",
    "observed",
]
