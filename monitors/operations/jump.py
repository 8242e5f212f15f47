"""Whether a figure lies above what is usual at its time, by more than chance explains.

What is usual is the median of the windows at the same time of the week, where four are known, or of the day.
Chance is how far each past window lay from the median of the *other* windows at its time: just what the new
window is, were it one more of them. Nine tenths of those distances say how wide they are (a tenth of the
windows may be anything at all), and beyond that they fall off as a Laplace law's do: a service's figures have
heavier tails than a normal law. Where few windows are known that width itself is uncertain, and the limit is
wider by as much as Student's t is wider than the normal law.

Two windows in a row need less each: were they independent, chances would multiply and the square root of the
chance would do for each; it is taken to the power 2/3, for they are not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from monitors.operations.history import WEEK, Timeline, ticks

_SEASONS = (WEEK, timedelta(days=1))
_FEWEST_ALIKE = 4
_CENTRAL = 0.9
_PAIR = 2 / 3  # 1/2 for independent windows, 1 for equal ones
_EFFICIENCY = 0.64  # of that quantile of |x| as a measure of width, relative to the standard deviation
_TICK = timedelta(microseconds=1)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Jump:
    """A figure above what is usual, all as natural logarithms.

    Parameters
    ----------
    center
        What is usual: the median of the windows that are alike.
    spread
        Nine of ten past windows lay within ± `spread` of what was usual for them.
    limit
        How far above `center` a window may lie.
    windows
        How many windows tell of the spread.
    """

    center: float
    spread: float
    limit: float
    windows: int


def jump(past: Timeline, figure: float, least: float, chance: float) -> Jump | None:
    """Return a figure's jump; None where it is none, or where too few windows are alike.

    Parameters
    ----------
    figure
        Natural logarithm of what the figure surely is in the window.
    least
        The smallest rise that matters, as a natural logarithm; 0 or more.
    chance
        Probability of a jump where the window is one more of the past ones; spent twice, on the window alone
        and on the window with the one before it.
    """
    for season in _SEASONS:
        length, period = past.window.length // _TICK, season // _TICK
        places = past.starts % period // length
        here = past.logs[places == ticks(past.window.start) % period // length]
        if len(here) >= _FEWEST_ALIKE:
            break
    else:
        return None
    center = float(np.median(here))
    if figure - center <= least:
        return None  # as nearly always: chance need not be asked
    rises = _rises(past.logs, places)
    away = np.abs(rises[~np.isnan(rises)])
    spread = float(np.quantile(away, _CENTRAL, method="weibull"))  # on the safe side where they are few
    limit = max(least, _explained(chance, spread, len(away)))
    if past.starts[-1] == ticks(past.window.start) - length:
        of_two = max(least, _explained(chance**_PAIR, spread, len(away)))
        limit = of_two if rises[-1] > of_two else limit
    return Jump(center, spread, limit, len(away)) if figure - center > limit else None


def _explained(chance: float, spread: float, windows: int) -> float:
    """Return how far above the center a window is with probability `chance`."""
    from scipy.stats import norm, t  # noqa: PLC0415 - a second, and only the daemon needs it

    tail = math.log(2 * chance) / math.log(1 - _CENTRAL)
    unsure = t.isf(chance, _EFFICIENCY * (windows - 1)) / norm.isf(chance)
    return spread * tail * float(unsure)


def _rises(logs: Floats, places: npt.NDArray[np.int64]) -> Floats:
    """Return how far windows lie above the median of the others at their place of the season; NaN of few."""
    rises = np.full(len(logs), np.nan)
    order = np.lexsort((logs, places))
    borders = np.flatnonzero(np.diff(places[order])) + 1
    for group in np.split(order, borders):
        if len(group) >= _FEWEST_ALIKE:
            rises[group] = logs[group] - medians_of_others(logs[group])
    return rises


def medians_of_others(ordered: Floats) -> Floats:
    """Return, for each of some ascending values, the median of all but that one.

    Parameters
    ----------
    ordered
        Shape (n,), n ≥ 2.
    """
    at, others = np.arange(len(ordered)), len(ordered) - 1
    middle = ((others - 1) // 2, others // 2)
    low, high = (np.where(at <= rank, ordered[rank + 1], ordered[rank]) for rank in middle)
    medians: Floats = (low + high) / 2
    return medians
