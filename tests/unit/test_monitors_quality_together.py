"""A change of unit that a day does not prove is proven by several, and a drift is none, by simulation."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from monitors.quality.quartiles import Earlier, Quartiles, of_windows, quartiles
from monitors.quality.together import Together, change_together
from monitors.quality.unit_change import unit_change

LEAST = 1.5
PAST = 42
MILES = 1.609344


def seen(values: npt.NDArray[np.float64]) -> Quartiles:
    """The quartiles, which must exist."""
    found = quartiles(values)
    assert found is not None
    return found


def distances(count: int, seed: int, *, level: float = 0.15, alike: float = 0.0) -> list[Quartiles]:
    """Windows of a positive number, whose level and spread differ from day to day on their own."""
    rng = np.random.default_rng(seed)
    shocks = rng.normal(size=(count, 2))
    for day in range(1, count):
        shocks[day] = alike * shocks[day - 1] + math.sqrt(1 - alike**2) * shocks[day]
    return [
        seen(np.exp(6 + level * middle + 0.4 * math.exp(level * wide) * rng.normal(size=300)))
        for middle, wide in shocks
    ]


def temperatures(count: int, seed: int) -> list[Quartiles]:
    """Windows of degrees Fahrenheit, each of a day from anywhere in the year."""
    rng = np.random.default_rng(seed)
    return [
        seen(rng.normal(55 + 17 * rng.normal(), 6 * math.exp(0.4 * rng.normal()), 300)) for _ in range(count)
    ]


def lived(windows: list[Quartiles], first: int = 28) -> dict[int, Together]:
    """What is told of windows from `first` on; those that are blamed are no examples of what is usual."""
    earlier = [Earlier(window) for window in windows[:first]]
    found = {}
    for day in range(first, len(windows)):
        usual = of_windows([each.quartiles for each in earlier if not each.wrong])
        alone = unit_change(windows[day], usual, LEAST)
        told = Together(alone, 1) if alone else change_together(windows[day], earlier, usual, LEAST)
        if told is not None:
            found[day] = told
            back = told.windows - 1
            earlier = [
                Earlier(each.quartiles, each.wrong or len(earlier) - at <= back)
                for at, each in enumerate(earlier)
            ]
        earlier = [*earlier[-55:], Earlier(windows[day], told is not None)]
    return found


def converted(
    windows: list[Quartiles], start: int, end: int, factor: float, offset: float = 0.0
) -> list[Quartiles]:
    """The windows, those in a span in another unit."""
    inverse = 1 / factor, -offset / factor
    return [w.undone(*inverse) if start <= at < end else w for at, w in enumerate(windows)]


@pytest.mark.parametrize("factor", [MILES, 1 / MILES])
def test_miles_and_kilometres_are_told_within_the_week(factor: float) -> None:
    """A factor of two to four deviations between days is told within a week, and on most days after it."""
    found = 0
    for seed in range(5):
        told = lived(converted(distances(PAST + 14, seed), PAST, PAST + 14, factor))
        assert all(day >= PAST for day in told)
        found += len(set(range(PAST + 6, PAST + 14)) & set(told))
        assert all((each.change.factor > 1) == (factor > 1) for each in told.values())

    assert found >= 0.85 * 5 * 8


def test_a_week_of_celsius_is_told_where_a_day_is_not() -> None:
    """Degrees that days from all over the year do not give away, the mean of some does."""
    worlds = [
        lived(converted(temperatures(PAST + 14, seed), PAST, PAST + 14, 1 / 1.8, -32 / 1.8))
        for seed in range(8)
    ]

    assert sum(PAST in told for told in worlds) <= 3
    assert sum(any(PAST + 7 <= day for day in told) for told in worlds) >= 5
    assert all(day >= PAST for told in worlds for day in told)


def test_a_repaired_unit_is_believed_at_once() -> None:
    """After eight days in the wrong unit, the right one is a fault in hardly any of the next days."""
    worlds = [lived(converted(distances(PAST + 15, seed), PAST, PAST + 8, MILES)) for seed in range(5)]

    assert sum(PAST + 7 in told for told in worlds) >= 4
    assert sum(day >= PAST + 8 for told in worlds for day in told) <= 2


@pytest.mark.parametrize("alike", [0.0, 0.5, 0.9])
def test_ordinary_days_are_none(alike: float) -> None:
    """In 150 days that differ by a third, and hang together or not, no unit has changed."""
    assert not lived(distances(150, 3, level=0.3, alike=alike))
    assert not lived(temperatures(150, 3))


def test_a_drift_is_none() -> None:
    """What shifts, spreads, or grows by a half within a month, has drifted."""
    days = distances(PAST + 14, 5, level=0.05)
    middle = float(np.mean([window.middle for window in days]))
    shifted = [
        Quartiles(w.low + 0.5 * middle, w.middle + 0.5 * middle, w.high + 0.5 * middle, w.n) for w in days
    ]
    spread = [
        Quartiles(w.middle - 1.6 * (w.middle - w.low), w.middle, w.middle + 1.6 * (w.high - w.middle), w.n)
        for w in days
    ]
    slow = [w.undone(MILES ** -min(max(at - 20, 0) / 28, 1.0), 0.0) for at, w in enumerate(days)]

    assert not lived([*days[:PAST], *shifted[PAST:]])
    assert not lived([*days[:PAST], *spread[PAST:]])
    assert not lived(slow)


def test_a_short_past_says_nothing() -> None:
    """Three windows need nine sound ones before them; with fewer only a single window can tell."""
    days = converted(distances(11, 1, level=0.05), 8, 11, MILES)
    for past, told in ((8, False), (9, True)):
        earlier = [Earlier(window) for window in (*days[: past - 8], *days[:8], *days[8:10])]
        usual = of_windows([each.quartiles for each in earlier[:past]])
        assert (change_together(days[10], earlier, usual, LEAST) is not None) == told


@pytest.mark.parametrize(
    ("unit", "told"), [(None, True), ("mi", True), ("furlongs", True), ("degF", False), ("hPa", False)]
)
def test_a_stated_unit_rules_conversions_out(unit: str | None, told: bool) -> None:
    """Miles may have become kilometres; degrees and pressures cannot, whatever their values do."""
    days = converted(distances(PAST + 7, 1, level=0.05), PAST, PAST + 7, MILES)
    earlier = [Earlier(window) for window in days[:-1]]
    usual = of_windows(days[:PAST])

    assert (change_together(days[-1], earlier, usual, LEAST, unit) is not None) == told
