"""Whether a figure creeps up over weeks, so slowly that what is usual moves along with it.

The medians of whole weeks (of windows, where they are longer) are put to the Mann-Kendall test, and Theil
and Sen's slope says how much they rose in all (Mann 1945; Kendall 1975; Sen 1968, JASA 63). A week is one
number: days that follow one another depend on each other, and are no evidence of their own. Weeks begin on
Thursdays, as the Unix epoch did, whatever window is judged, so that there is one look a week and no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from monitors.operations.history import WEEK, Timeline, ticks

_FEWEST_WEEKS = 6
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Creep:
    """A rise over so many weeks (windows, where they are longer): the ends of its line, as logarithms."""

    first: float
    last: float
    weeks: int


def creep(past: Timeline, least: float, chance: float) -> Creep | None:
    """Return a figure's rise over its last whole weeks; None where there is none, or not six are known.

    Parameters
    ----------
    least
        The smallest rise that matters, as a natural logarithm.
    chance
        Probability of so steady a rise where there is no trend.
    """
    length = max(WEEK, past.window.length) // _TICK
    week = past.starts // length
    whole = (week * length >= past.starts[0]) & (week < ticks(past.window.start) // length)
    weeks = np.unique(week[whole])
    if len(weeks) < _FEWEST_WEEKS:
        return None
    medians = np.array([np.median(past.logs[week == one]) for one in weeks])
    if np.ptp(medians) <= least:
        return None  # as nearly always: no need to ask for a trend
    return _trend(weeks, medians, least, chance)


def _trend(weeks: np.ndarray, medians: np.ndarray, least: float, chance: float) -> Creep | None:
    from scipy.stats import kendalltau, theilslopes  # noqa: PLC0415 - a second, only the daemon needs it

    if kendalltau(weeks, medians, alternative="greater").pvalue > chance:
        return None
    slope, intercept, *_ = theilslopes(medians, weeks)
    first, last = (float(intercept + slope * week) for week in (weeks[0], weeks[-1]))
    found = Creep(first, last, len(weeks))
    return found if found.last - found.first > least else None
