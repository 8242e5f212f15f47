"""A number whose values are what they were, in another unit: a fault of the data, and no drift.

The median and the interquartile range of a window are held against those of sound windows. There is a change
of unit where the window lies outside of all that is usual (p < 1e-6) **and** undoing one conversion makes it
usual again. A conversion is

- a factor, which must be told twice, by the median and by the range, alike: a shift moves the median alone, a
  wider spread the range alone, and both are drift;
- of a number around zero, whose median tells nothing: a factor of 8 or more, or of 1/8 or less;
- one between degrees Celsius, Fahrenheit and kelvins, of a number that is usually like those of the weather.

Whatever shrinks or grows a number as a whole by the same factor from one window to the next is called so,
prices after an inflation included: a person decides. Codes, and numbers of which half are the same, have no
unit here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from monitors.quality.quartiles import Quartiles, Usual

SURPRISE = 1e-6
"""Probability below which a window is outside of what is usual."""

FITS = 2.5
"""Deviations within which a window is usual again, and two witnesses of a factor agree."""

MOVED = 2.5
"""Deviations from which the range is a witness."""

_MOST_ALONE = 8.0  # a factor that the range may tell alone
_WEATHER = {"°C": (-90.0, 60.0), "°F": (-130.0, 140.0), "K": (183.0, 333.0)}
_TEMPERATURES = {
    ("°C", "°F"): (1.8, 32.0),
    ("°F", "°C"): (1 / 1.8, -32 / 1.8),
    ("°C", "K"): (1.0, 273.15),
    ("K", "°C"): (1.0, -273.15),
    ("°F", "K"): (1 / 1.8, 273.15 - 32 / 1.8),
    ("K", "°F"): (1.8, 32 - 1.8 * 273.15),
}
_NAMED = {
    "thousands": 1000.0,
    "hundreds, as a share and its percents": 100.0,
    "tens": 10.0,
    "millions": 1e6,
    "minutes and seconds, or hours and minutes": 60.0,
    "hours and seconds": 3600.0,
    "days and hours": 24.0,
    "miles and kilometres": 1.609344,
    "feet and metres": 0.3048,
    "inches and centimetres": 2.54,
    "inches and millimetres": 25.4,
    "pounds and kilograms": 0.45359237,
    "knots and km/h": 1.852,
    "m/s and km/h": 3.6,
    "mph and m/s": 0.44704,
    "inHg and hPa": 33.8639,
    "psi and kPa": 6.894757,
    "radians and degrees": 57.29578,
    "gallons and litres": 3.785412,
}
_NEAR = 0.1  # of a factor's logarithm: the known one that is named with it


@dataclass(frozen=True, slots=True)
class UnitChange:
    """The values are about ``factor * x + offset`` of what they were; `known` names such a conversion."""

    factor: float
    offset: float = 0.0
    known: str = ""

    @property
    def is_temperature(self) -> bool:
        """Whether it is more than a factor."""
        return bool(self.offset)

    def __str__(self) -> str:
        shift = f" {'+' if self.offset > 0 else '−'} {abs(self.offset):.4g}" if self.offset else ""
        known = f" ({self.known})" if self.known else ""
        return f"× {self.factor:.3g}{shift}{known}"


def unit_change(window: Quartiles, usual: Usual, least: float) -> UnitChange | None:
    """Return the conversion that explains a window, or None if nothing or something else is the matter.

    Parameters
    ----------
    least
        Smallest factor, or one over it, that counts; above 1. Temperatures are told whatever theirs is.
    """
    explaining = [*_temperatures(window, usual), *_factors(window, usual, least)]
    return min(explaining, key=lambda found: _misfit(window, usual, found), default=None)


def conversions(usual: Usual, least: float) -> Iterator[UnitChange]:
    """Yield the known conversions that a number like this may meet, each factor in both directions.

    Parameters
    ----------
    least
        As in `unit_change`.
    """
    for (old, new), (factor, offset) in _TEMPERATURES.items():
        coldest, hottest = _WEATHER[old]
        if coldest < usual.median.center < hottest:
            yield UnitChange(factor, offset, f"{old} to {new}")
    for name, factor in _NAMED.items():
        if max(factor, 1 / factor) >= least:
            yield UnitChange(factor, known=name)
            yield UnitChange(1 / factor, known=name)


def both(first: float, second: float) -> float:
    """Return the p-value of two independent ones together (Fisher's method)."""
    product = first * second
    return product * (1 - math.log(product)) if product else 0.0


def _factors(window: Quartiles, usual: Usual, least: float) -> Iterator[UnitChange]:
    by_range = window.log_range - usual.log_range.center
    range_error = math.hypot(usual.log_range.deviation, window.log_range_error)
    if usual.log_median is not None and window.sign == usual.sign:
        error = window.median_error / abs(window.middle)
        log_median = math.log(abs(window.middle))
        by_median = log_median - usual.log_median.center
        median_error = math.hypot(usual.log_median.deviation, error)
        agree = abs(by_median - by_range) <= FITS * math.hypot(median_error, range_error)
        chances = (
            usual.log_median.p_value(log_median, error),
            usual.log_range.p_value(window.log_range, window.log_range_error),
        )
        sure = chances[0] < SURPRISE or both(*chances) < SURPRISE
        if sure and agree and abs(by_range) >= MOVED * range_error:
            weights = 1 / max(median_error, 1e-9) ** 2, 1 / max(range_error, 1e-9) ** 2
            factor = (by_median * weights[0] + by_range * weights[1]) / sum(weights)
            if abs(factor) >= math.log(least):
                yield _named(math.exp(factor))
    elif (
        not usual.sign
        and abs(by_range) >= math.log(max(least, _MOST_ALONE))
        and usual.log_range.p_value(window.log_range, window.log_range_error) < SURPRISE
    ):
        found = _named(math.exp(by_range))
        if _misfit(window, usual, found) <= FITS:
            yield found


def _temperatures(window: Quartiles, usual: Usual) -> Iterator[UnitChange]:
    """Yield the conversions of temperatures that explain a window; a shift alone must be met narrowly."""
    if usual.median.p_value(window.middle, window.median_error) >= SURPRISE:
        return
    for found in conversions(usual, math.inf):
        if _misfit(window, usual, found) <= FITS:
            yield found


def _misfit(window: Quartiles, usual: Usual, conversion: UnitChange) -> float:
    """Return how far from usual a window is once the conversion is undone, in deviations."""
    undone = window.undone(conversion.factor, conversion.offset)
    in_log = usual.log_median is not None and undone.sign == usual.sign and not conversion.offset
    if usual.log_median is not None and in_log:
        error = undone.median_error / abs(undone.middle)
        median = usual.log_median.distance(math.log(abs(undone.middle)), error)
    else:
        median = usual.median.distance(undone.middle, undone.median_error)
    return max(abs(median), abs(usual.log_range.distance(undone.log_range, undone.log_range_error)))


def _named(factor: float) -> UnitChange:
    """Return a factor with the known conversion that it may be."""
    log = math.log(factor)
    near = {
        name: min(abs(log - math.log(known)), abs(log + math.log(known))) for name, known in _NAMED.items()
    }
    name = min(near, key=near.__getitem__)
    return UnitChange(factor, known=name if near[name] <= _NEAR else "")
