"""Where an axis is labelled, and how."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from monitors.profiles.plan import Kind
from trimtab.check import figures

_STEPS = (1, 2, 2.5, 5, 10)
_DAY, _MINUTE = 86_400_000_000, 60_000_000
_SPANS = (_MINUTE, 5 * _MINUTE, 15 * _MINUTE, 60 * _MINUTE, 360 * _MINUTE, _DAY, 7 * _DAY, 30 * _DAY)
_YEAR = 365 * _DAY


def ticks(
    low: float, high: float, kind: Kind, *, logarithmic: bool, most: int = 5
) -> list[tuple[float, str]]:
    """Return at most `most` + 1 round values between the ends, with their labels, in order."""
    if not math.isfinite(high - low) or high <= low:
        return []
    if kind is Kind.DATETIME:
        return _instants(low, high, most)
    if logarithmic:
        return [(value, figures.number(value)) for value in _powers(low, high, most)]
    values = _even(low, high, most)
    return list(zip(values, _labels(values), strict=True))


def _even(low: float, high: float, most: int) -> list[float]:
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * each for each in _STEPS if power * each >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [place * step for place in range(first, last + 1)]


def _labels(values: Sequence[float]) -> list[str]:
    """Return labels that differ, as short as that allows: ``20k``, ``1.5M``."""
    size = max(map(abs, values), default=0.0)
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if limit <= size < 1e12:  # noqa: PLR2004 - beyond giga people read powers of ten
            scale = 1e3 if unit == "k" else limit
            return [f"{value / scale:.6g}{unit}" if value else "0" for value in values]
    return [f"{round(value, 12):.6g}" for value in values]


def _powers(low: float, high: float, most: int) -> list[float]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first < 2:  # noqa: PLR2004 - so few powers leave room for what is between
        between = [each * 10.0**power for power in range(first - 1, last + 1) for each in (1, 2, 5)]
        return [value for value in between if low <= value <= high]
    every = max(1, math.ceil((last - first + 1) / most))
    return [10.0**power for power in range(first, last + 1, every)]


def _instants(low: float, high: float, most: int) -> list[tuple[float, str]]:
    span = high - low
    years = span > most * _YEAR / 2
    step = next((each for each in _SPANS if each * most >= span), 0)
    if not step or years:
        rough = max(30 * _DAY, span / most)
        step = math.ceil(rough / (30 * _DAY)) * 30 * _DAY
    form = "%Y-%m" if years else _form(step, span)
    places = [place * step for place in range(math.ceil(low / step), math.floor(high / step) + 1)]
    found = [(float(place), figures.to_datetime(place)) for place in places]
    return [(place, _told(moment, form)) for place, moment in found if moment is not None]


def _form(step: float, span: float) -> str:
    if step >= _DAY:
        return "%m-%d"
    return "%m-%d %H:%M" if span > _DAY else "%H:%M"


def _told(moment: datetime, form: str) -> str:
    return moment.astimezone(UTC).strftime(form)
