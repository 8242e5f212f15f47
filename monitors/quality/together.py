"""A change of unit that no single window proves, and several together do.

A conversion that is smaller than the difference between two days shows in their mean, which differs from its
usual by less. The newest 3 and 7 windows are held against the sound ones before them, at least three
times as many. There is a change of unit where all of this holds:

- their median and range, weighed as the conversion moves them and as they usually go together (Fisher's
  linear discriminant), are outside of what is usual for as many windows, neighbours being as alike as they
  were; outside of what half as many windows had; and further from the last sound ones than any windows were
  from those before them, for a drift comes slowly;
- a *known* conversion makes both usual again, and of a factor the range is a witness, as in `unit_change`.
  What grows by some odd factor is left to the single windows;
- the newest window is itself nearer to the usual once it is converted: a repaired unit is believed at once.

Where the window before was in the wrong unit, p < 0.01 is enough, and the conversion that fits best need not
fit well: a fault lasts until it is seen to be over.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitors.quality.quartiles import FEWEST_WINDOWS, Earlier, Quartiles, Spread, Usual
from monitors.quality.unit_change import MOVED, UnitChange, conversions
from monitors.quality.units import meets

_SURPRISE = {3: 1e-6, 7: 1e-5}
"""Windows that are held together, and the p-value that is surprising: three are far from a normal law."""

_FITS = 3.0  # deviations of the mean within which several windows are usual again
_STILL = 0.01  # p-value, where the window before was in the wrong unit
_MOST_ALIKE = 0.97  # autocorrelation of windows

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Together:
    """A change of unit, and how many windows, the newest among them, show it."""

    change: UnitChange
    windows: int


def change_together(
    newest: Quartiles, earlier: Sequence[Earlier], usual: Usual, least: float, unit: str | None = None
) -> Together | None:
    """Return the known conversion that the newest windows together need, or None.

    Parameters
    ----------
    earlier
        The windows before, oldest first.
    usual
        What single sound windows are like.
    least
        Smallest factor, or one over it, that counts; above 1. Temperatures are told whatever theirs is.
    unit
        The unit that the number is said to have, which rules conversions out.
    """
    likely = [
        each
        for each in conversions(usual, least)
        if meets(unit, each.known) and _is_nearer(newest, usual, each)
    ]
    if not likely:
        return None
    still = bool(earlier) and earlier[-1].wrong
    fits = math.inf if still else _FITS
    for length, surprise in _SURPRISE.items():
        split = len(earlier) + 1 - length
        sound = [each.quartiles for each in earlier[: max(split, 0)] if not each.wrong]
        if len(sound) < max(FEWEST_WINDOWS, 3 * length):
            break
        pool = [*(each.quartiles for each in earlier[split:]), newest]
        fit, at = min(_explained(pool, sound, likely, _STILL if still else surprise), default=(math.inf, -1))
        if at >= 0 and fit <= fits:
            return Together(likely[at], length)
    return None


def _is_nearer(newest: Quartiles, usual: Usual, change: UnitChange) -> bool:
    """Return whether a window is more like the usual after it is converted back than before."""
    undone = newest.undone(change.factor, change.offset)
    in_log = usual.log_median is not None and undone.sign == newest.sign == usual.sign
    level = usual.log_median if usual.log_median is not None and in_log else usual.median
    distances = []
    for window in (undone, newest):
        middle = math.log(abs(window.middle)) if in_log else window.middle
        distances.append(math.hypot(level.distance(middle, 0), usual.log_range.distance(window.log_range, 0)))
    return distances[0] < distances[1]


def _explained(
    pool: Sequence[Quartiles], sound: Sequence[Quartiles], likely: Sequence[UnitChange], surprise: float
) -> Iterator[tuple[float, int]]:
    """Yield how badly each conversion fits that a pool is surprising without, and which it is."""
    signs = {window.sign for window in (*sound, *pool)}
    for at, change in enumerate(likely):
        in_log = not change.is_temperature
        if in_log and (len(signs) > 1 or signs == {0}):
            continue
        usual, seen = _witnesses(sound, in_log=in_log), _witnesses(pool, in_log=in_log)
        weights = _weights(usual, change, in_log=in_log)
        if _Means.of(usual @ weights, len(pool)).p_value(float((seen @ weights).mean())) >= surprise:
            continue
        medians, ranges = (_Means.of(usual[:, column], len(pool)).spread for column in (0, 1))
        if in_log and abs(ranges.distance(float(seen[:, 1].mean()), 0)) < MOVED:
            continue
        undone = [window.undone(change.factor, change.offset) for window in pool]
        median, log_range = _witnesses(undone, in_log=in_log).mean(axis=0)
        yield max(abs(medians.distance(float(median), 0)), abs(ranges.distance(float(log_range), 0))), at


def _witnesses(windows: Sequence[Quartiles], *, in_log: bool) -> Floats:
    """Return the median, or its logarithm, and the logarithm of the range; shape (windows, 2)."""
    return np.array(
        [(math.log(abs(window.middle)) if in_log else window.middle, window.log_range) for window in windows]
    )


def _weights(usual: Floats, change: UnitChange, *, in_log: bool) -> Floats:
    """Return how much either witness says of a conversion (Fisher's linear discriminant), none against it."""
    center = float(usual[:, 0].mean())
    log_factor = math.log(change.factor)
    moves = np.array([log_factor if in_log else center * (change.factor - 1) + change.offset, log_factor])
    scale = np.maximum(usual.std(axis=0), 1e-9)
    alike = float(np.clip(np.mean((usual - usual.mean(axis=0)).prod(axis=1)) / scale.prod(), -0.95, 0.95))
    first, second = moves / scale
    told = np.array([first - alike * second, second - alike * first])
    return np.asarray(np.where(told * moves > 0, told, 0.0) / scale)


@dataclass(frozen=True, slots=True)
class _Means:
    """What means over some neighbouring windows are like.

    `lowest` and `highest` are the means over half as many that there were, `last` is the newest mean,
    `step` the largest difference between one and the next.
    """

    spread: Spread
    lowest: float
    highest: float
    last: float
    step: float

    @classmethod
    def of(cls, values: Floats, together: int) -> _Means:
        """Take the values of single windows, in order; autocorrelated as a first-order process."""
        count = len(values)
        alike = _autocorrelation(values)
        of_all, of_pool = _effect(alike, count), _effect(alike, together)
        freedom = max(count / of_all - 1, 2.0)
        within = max(1 - of_all / count, 0.1)  # share of the variance that so short a past shows
        variance = float(values.var()) / within
        means, halves = _rolled(values, together), _rolled(values, max(together // 2, 1))
        spread = Spread(
            float(values.mean()), math.sqrt(variance * (of_pool / together + of_all / count)), freedom
        )
        step = float(np.abs(means[together:] - means[:-together]).max())
        return cls(spread, float(halves.min()), float(halves.max()), float(means[-1]), step)

    def p_value(self, value: float) -> float:
        """Return the probability of being so far off; 1 where windows were so before, or came slowly."""
        usual = self.lowest <= value <= self.highest or abs(value - self.last) <= self.step
        return 1.0 if usual else self.spread.p_value(value, 0)


def _rolled(values: Floats, together: int) -> Floats:
    """Return the means over so many neighbours, one after the other."""
    return np.convolve(values, np.full(together, 1 / together), "valid")


def _autocorrelation(values: Floats) -> float:
    """Return the correlation of neighbours, at least 0; bias of a short series taken out (Kendall 1954)."""
    centred = values - values.mean()
    square = float(centred @ centred)
    if not square:
        return 0.0
    seen = float(centred[:-1] @ centred[1:]) / square
    return min(max(seen + (1 + 3 * max(seen, 0.0)) / len(values), 0.0), _MOST_ALIKE)


def _effect(alike: float, windows: int) -> float:
    """Return by what factor the variance of a mean is larger than that of independent windows."""
    lags = np.arange(1, windows)
    return 1 + 2 * float(((1 - lags / windows) * alike**lags).sum())
