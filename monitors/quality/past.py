"""What earlier windows were like: their rows, and of each feature the quartiles and whether it varied.

Every judged window leaves its own (`observed`) among its measurements, so that the results store is all the
memory there is. What was found faulty is no example of what is usual.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from monitors.quality.quartiles import FEWEST_ROWS, Earlier, Quartiles, quartiles
from monitors.quality.traffic import WEEKS
from monitors.quality.violation import WINDOWS, Check
from monitors.results.records import Measurement, WindowResult
from monitors.windows import Window
from spec.features import FeatureType
from spec.model import ModelSpec

_QUARTILES, _CONSTANT = "quartiles", "constant"


@dataclass(frozen=True, slots=True)
class Past:
    """Earlier windows as they matter to a version's next one.

    Parameters
    ----------
    rows
        Rows in all versions, by the window's start.
    quartiles
        Of each number, in the windows of the version itself, oldest first. A version that was trained after a
        change of unit is not held against the old one.
    few
        Starts of the windows that had too few rows.
    windows, constant
        Windows with rows enough to vary, of any version; and in how many of them a feature had one value,
        without that having been a violation.
    """

    rows: Mapping[datetime, int] = field(default_factory=dict)
    quartiles: Mapping[str, tuple[Earlier, ...]] = field(default_factory=dict)
    windows: int = 0
    constant: Mapping[str, int] = field(default_factory=dict)
    few: frozenset[datetime] = frozenset()

    @classmethod
    def of(cls, results: Iterable[WindowResult], version: str) -> Past:
        """Take what the results of `quality` say of earlier windows; see `lookback`."""
        rows: Counter[datetime] = Counter()
        seen: defaultdict[str, list[Earlier]] = defaultdict(list)
        constant: Counter[str] = Counter()
        windows, few = 0, set()
        for result in sorted(results, key=lambda result: result.start):
            rows[result.start] += result.rows
            windows += result.rows >= FEWEST_ROWS
            broken = {
                (m.feature, m.method) for m in result.measurements if m.name == "violations" and m.value
            }
            if any(check == Check.VOLUME for _, check in broken):
                few.add(result.start)
            for number in result.measurements:
                name = number.feature or ""
                if number.name == _CONSTANT and (name, Check.CONSTANT.value) not in broken:
                    constant[name] += 1
                elif number.name == _QUARTILES and result.version == version:
                    wrong = (name, Check.UNIT_CHANGE.value) in broken
                    seen[name] += (Earlier(found, wrong) for found in _quartiles(number))
            if result.version == version:
                _blame(seen, result.measurements)
        known = {name: tuple(found) for name, found in seen.items()}
        return cls(rows, known, windows, constant, frozenset(few))


def _blame(seen: defaultdict[str, list[Earlier]], measurements: Iterable[Measurement]) -> None:
    """Mark the windows that were only with the newest one seen to be in the wrong unit."""
    for number in measurements:
        if number.name == WINDOWS and number.method == Check.UNIT_CHANGE and number.feature:
            earlier, count = seen[number.feature], int(number.value)
            earlier[-count:] = [replace(each, wrong=True) for each in earlier[-count:]]


def lookback(window: Window) -> tuple[datetime, datetime]:
    """Return the span ``[start, end)`` of the earlier windows that a window is held against."""
    span = max(WEEKS * timedelta(weeks=1) + window.length / 2, WEEKS * window.length)
    return window.start - span, window.start


def observed(frame: pd.DataFrame, spec: ModelSpec) -> Iterator[Measurement]:
    """Yield what later windows will want to know of this one.

    Parameters
    ----------
    frame
        The window's rows of one version, features by name; columns of another type than the spec's are passed
        by.
    """
    for name in spec.features:
        if name in frame and is_constant(frame[name]):
            yield Measurement(_CONSTANT, 1.0, name, n=len(frame))
    for name in spec.features_of(FeatureType.NUMERIC):
        found = quartiles(numbers(frame[name])) if name in frame else None
        if found is not None:
            yield Measurement(_QUARTILES, found.middle, name, low=found.low, high=found.high, n=found.n)


def is_constant(column: pd.Series) -> bool:
    """Return whether a column has one value only, in rows enough to vary; nulls are none."""
    if len(column.iloc[:FEWEST_ROWS].dropna().unique()) > 1:
        return False  # as nearly always: the rest need not be looked at
    present = column.dropna()
    return len(present) >= FEWEST_ROWS and bool((present == present.iloc[0]).all())


def numbers(column: pd.Series) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return a column as numbers, null as NaN; none at all if it holds something else."""
    if not pd.api.types.is_numeric_dtype(column):
        return np.empty(0)
    return column.to_numpy(dtype=float, na_value=np.nan)


def _quartiles(number: Measurement) -> Iterator[Quartiles]:
    if number.low is not None and number.high is not None and number.n:
        yield Quartiles(number.low, number.value, number.high, number.n)
