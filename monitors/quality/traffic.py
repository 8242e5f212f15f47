"""Whether the rows came at all: too few of them, fewer than at this time of the week, none for too long."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from monitors.quality.violation import Check, Violation
from monitors.windows import Window, start_of
from spec.quality import Quality
from spec.units import format_duration

WEEKS = 8
"""Weeks back in which windows of the same time of the week are looked for."""

FEWEST = 4
"""Windows of the same time of the week from which it is known what is usual."""

_WEEK = timedelta(weeks=1)
_SURE = 4.0  # robust standard deviations; with normal residuals 3e-5 a window
_UNKNOWN = 0.25  # spread of log(rows / usual) where there is too little to measure it from
_TO_DEVIATION = 1.4826  # of the median absolute deviation of a normal law
_MEDIAN_COST = math.pi / 2  # variance of a median over that of a mean, normal law


@dataclass(frozen=True, slots=True)
class Traffic:
    """The rows of a window in all versions: a canary at 5 % is no lack of traffic.

    Parameters
    ----------
    window, newest
        The window, and the event time of its newest row; None where they are not known, and then neither
        the usual volume nor freshness is checked.
    """

    rows: int
    window: Window | None = None
    newest: datetime | None = None


def volume(
    traffic: Traffic,
    past: Mapping[datetime, int],
    quality: Quality,
    few: Collection[datetime] = frozenset(),
) -> Iterator[Violation]:
    """Check the number of rows.

    Parameters
    ----------
    past
        Rows of earlier windows, by start.
    few
        Those of them that had too few rows. They are no example of what is usual for as long as there are
        others enough: a fall is told for five weeks if it lasts, and then it is usual.
    """
    rows, least = traffic.rows, quality.min_rows
    if rows < least:
        yield Violation(Check.VOLUME, least - rows, f"{rows} rows; at least {least} are expected")
        return
    drop = quality.volume_drop
    if drop is None or traffic.window is None:
        return
    sound = {start: rows for start, rows in past.items() if start not in few}
    if len(_alike(traffic.window, sound)) >= FEWEST:
        past = sound
    alike = _alike(traffic.window, past)
    usual = float(np.median(alike)) if len(alike) >= FEWEST else 0.0
    if rows < (1 - drop) * usual and _surely_fewer(rows, usual, len(alike), _noise(traffic.window, past)):
        allowed = f"a fall of {drop:.0%} is allowed"
        detail = f"{rows} rows; {usual:,.0f} are usual at this time of the week, and {allowed}"
        yield Violation(Check.VOLUME, math.ceil(usual - rows), detail, limit=drop)


def freshness(traffic: Traffic, quality: Quality) -> Iterator[Violation]:
    """Check how long no row had come when the window ended; a window without rows was silent all along."""
    if quality.freshness is None or traffic.window is None:
        return
    newest = traffic.newest or traffic.window.start
    silence = traffic.window.end - newest
    if silence > quality.freshness:
        told = f"at most {format_duration(quality.freshness)} of silence is allowed"
        detail = f"no row in the last {_rounded(silence)}; {told}"
        yield Violation(Check.FRESHNESS, 1, detail)


def _alike(window: Window, past: Mapping[datetime, int]) -> list[int]:
    """Return the rows of windows at the same time of earlier weeks; of the last, where they are longer."""
    back = range(1, WEEKS + 1)
    if window.length > _WEEK:
        starts = [window.shifted(-step).start for step in back]
    else:
        half = window.length / 2
        starts = [start_of(window.start - step * _WEEK + half, window.length) for step in back]
    return [past[start] for start in starts if start in past]


def _noise(window: Window, past: Mapping[datetime, int]) -> float:
    """Return the spread (robust standard deviation) of log(rows / usual) of the earlier windows."""
    residuals = []
    for start, rows in past.items():
        usual = _alike(Window(start, start + window.length), past)
        if rows and len(usual) > 1 and (middle := float(np.median(usual))):
            residuals.append(math.log(rows / middle))
    if len(residuals) < FEWEST:
        return _UNKNOWN
    return float(np.median(np.abs(residuals))) * _TO_DEVIATION


def _surely_fewer(rows: int, usual: float, windows: int, noise: float) -> bool:
    """Return whether chance does not explain so few rows: Poisson's, and that between weeks."""
    chance = 1 / max(rows, 1) + noise**2 * (1 + _MEDIAN_COST / windows)
    return math.log(usual / max(rows, 0.5)) > _SURE * math.sqrt(chance)


def _rounded(span: timedelta) -> str:
    return format_duration(timedelta(seconds=max(round(span.total_seconds()), 1)))
