"""A change of unit is told from a drift, in either direction, by simulation."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from monitors.dependence import Dependence, Dispersion
from monitors.quality.quartiles import Quartiles, Usual, of_reference, of_windows, quartiles
from monitors.quality.unit_change import UnitChange, unit_change

Rows = npt.NDArray[np.float64]
LEAST = 1.5


def windows(
    count: int, *, rows: int = 300, seed: int = 1, level: float = 0.1, around_zero: bool = False
) -> list[Rows]:
    """Windows of a positive, skewed number (or one around zero) whose level differs from day to day."""
    rng = np.random.default_rng(seed)
    days = np.exp(level * rng.normal(size=count))
    if around_zero:
        return [day * rng.normal(size=rows) for day in days]
    return [50 * day * rng.gamma(4, size=rows) for day in days]


def seen(values: Rows) -> Quartiles:
    """The quartiles, which must exist."""
    found = quartiles(values)
    assert found is not None
    return found


def usual(past: list[Rows]) -> Usual:
    """What earlier windows show."""
    return of_windows([seen(values) for values in past])


@pytest.mark.parametrize(
    ("factor", "level"),
    [
        (1000.0, 0.3),
        (100.0, 0.3),
        (0.01, 0.3),
        (60.0, 0.3),
        (0.1, 0.1),
        (2.54, 0.1),
        (1.8, 0.02),
        (0.5, 0.05),
    ],
)
def test_a_factor_is_found_and_measured(factor: float, level: float) -> None:
    """All values times a factor are a change of unit, by about that factor, in nearly every window."""
    days = windows(80, level=level)
    found = [unit_change(seen(days[at] * factor), usual(days[at - 28 : at]), LEAST) for at in range(28, 80)]

    told = [change for change in found if change is not None]
    assert len(told) >= 0.9 * len(found)
    assert all(math.isclose(change.factor, factor, rel_tol=0.5) for change in told)


def test_a_factor_below_the_least_is_none() -> None:
    """Values 1.8 times the usual are a change of unit from 1.5 on, and none where 2.5 is asked for."""
    days = windows(40, level=0.02)
    moved, before = seen(days[-1] * 1.8), usual(days[:-1])

    assert unit_change(moved, before, 1.5) is not None
    assert unit_change(moved, before, 2.5) is None


def test_ordinary_windows_are_none() -> None:
    """In 3,000 ordinary windows, whose levels wander by a tenth or by half, no unit has changed."""
    for level in (0.1, 0.5):
        days = [seen(values) for values in windows(1528, rows=100, seed=3, level=level)]
        found = [unit_change(days[at], of_windows(days[at - 28 : at]), LEAST) for at in range(28, len(days))]
        assert not any(found)


@pytest.mark.parametrize("heavy", [1.0, 2.0])
def test_heavy_tails_and_few_windows_are_none(heavy: float) -> None:
    """Nor in 2,000 windows of 40 log-normal rows, with seven windows before them."""
    rng = np.random.default_rng(5)
    days = [seen(np.exp(heavy * rng.normal(size=40) + 0.3 * rng.normal())) for _ in range(2007)]

    assert not any(unit_change(days[at], of_windows(days[at - 7 : at]), LEAST) for at in range(7, 2007))


def test_a_drift_of_location_or_of_spread_is_none() -> None:
    """A number that only shifts, or only spreads, has drifted: its unit is what it was."""
    days = windows(40, level=0.02)
    before, last = usual(days[:-1]), days[-1]
    middle = float(np.median(last))

    for shift in (100.0, 200.0, 500.0, 2000.0):
        assert unit_change(seen(last + shift), before, LEAST) is None
    for spread in (1.5, 2.0, 3.0):
        assert unit_change(seen(middle + spread * (last - middle)), before, LEAST) is None


def test_a_slow_growth_is_none() -> None:
    """A number that grows by 5 % a window is a drift; each window is near those before it."""
    days = [seen(values * 1.05**at) for at, values in enumerate(windows(80, level=0.1))]

    assert not any(unit_change(days[at], of_windows(days[at - 28 : at]), LEAST) for at in range(28, 80))


@pytest.mark.parametrize(("factor", "expected"), [(1000.0, True), (0.01, True), (3.0, False)])
def test_around_zero_only_a_large_factor_is_sure(factor: float, expected: bool) -> None:
    """Returns that spread three times as much are a volatile day; a thousand times, another unit."""
    days = windows(60, around_zero=True)

    found = unit_change(seen(days[-1] * factor), usual(days[:-1]), LEAST)

    assert (found is not None) == expected


@pytest.mark.parametrize(
    ("factor", "offset", "known"),
    [(1.8, 32.0, "°C to °F"), (1.0, 273.15, "°C to K")],
)
def test_temperatures_are_known(factor: float, offset: float, known: str) -> None:
    """Degrees Celsius that become Fahrenheit or kelvins are told by name, winter's around zero too."""
    rng = np.random.default_rng(2)
    days = [rng.normal(2 + 1.5 * rng.normal(), 4, 300) for _ in range(30)]

    found = unit_change(seen(days[-1] * factor + offset), usual(days[:-1]), LEAST)

    assert found == UnitChange(factor, offset, known)
    assert str(found).startswith(f"× {factor:.3g} + ")


def test_what_is_no_temperature_is_not_converted_as_one() -> None:
    """An amount of 180 that becomes 32 + 1.8 times that is 1.98 times as much, and no degrees."""
    days = windows(40, level=0.02)

    found = unit_change(seen(days[-1] * 1.8 + 32), usual(days[:-1]), LEAST)

    assert found is None or not found.offset


def test_a_known_factor_is_named() -> None:
    """Kilometres where miles were are called so; an odd factor has no name."""
    days = windows(40, level=0.02)
    before = usual(days[:-1])

    kilometres, odd = (unit_change(seen(days[-1] * each), before, LEAST) for each in (1.609, 7.9))

    assert kilometres is not None
    assert kilometres.known == "miles and kilometres"
    assert odd is not None
    assert odd.known == ""


def test_codes_constants_and_few_rows_have_no_unit() -> None:
    """Quartiles are those of at least 30 values, ten of them different, half of them not the same."""
    assert quartiles(np.arange(29.0)) is None
    assert quartiles(np.tile(np.arange(9.0), 50)) is None
    assert quartiles(np.r_[np.zeros(80), np.arange(20.0)]) is None
    assert quartiles(np.full(100, np.nan)) is None
    assert quartiles(np.r_[np.arange(100.0), np.nan, np.inf]) == Quartiles(24.75, 49.5, 74.25, 100)


def test_quartiles_agree_with_simulation_of_their_errors() -> None:
    """The standard errors of median and log(IQR) are those of simulated normal windows, or larger."""
    rng = np.random.default_rng(4)
    found = [seen(rng.normal(size=200)) for _ in range(2000)]

    median, log_range = np.std([q.middle for q in found]), np.std([q.log_range for q in found])
    assert np.mean([q.median_error for q in found]) == pytest.approx(median, rel=0.1)
    assert log_range <= np.mean([q.log_range_error for q in found]) <= 1.6 * log_range


def whole(days: list[Rows]) -> Quartiles:
    """The quartiles of all of a reference."""
    return seen(np.concatenate(days))


def test_a_reference_whose_windows_are_alike_suffices() -> None:
    """Without earlier windows, a reference of independent rows tells miles from kilometres."""
    days = windows(60, level=0.0)
    known = Dependence({"x": Dispersion()}, blocks=(60,), block_rows=300)
    expected = of_reference(whole(days[:-1]), known, "x", 300)

    assert unit_change(seen(days[-1]), expected, LEAST) is None
    assert unit_change(seen(days[-1] * 1.609), expected, LEAST) is not None


def test_a_reference_whose_windows_differ_is_careful() -> None:
    """Where each day is another, as the weather is, only what no day showed is another unit."""
    days = windows(60, level=0.5)
    known = Dependence({"x": Dispersion(ordered=(150.0,))}, blocks=(60,), block_rows=300)
    for dependence in (known, Dependence()):
        expected = of_reference(whole(days[:-1]), dependence, "x", 300)
        assert not any(unit_change(seen(day), expected, LEAST) for day in days)
        assert unit_change(seen(days[-1] * 1.8), expected, LEAST) is None
        assert unit_change(seen(days[-1] * 1000), expected, LEAST) is not None


def test_identical_windows_leave_no_zero_to_divide_by() -> None:
    """Windows that are the same to the last digit have no spread; a factor is found all the same."""
    same = seen(np.arange(100.0) + 1)

    assert unit_change(same, of_windows([same] * 8), LEAST) is None
    found = unit_change(same.undone(0.01, 0.0), of_windows([same] * 8), LEAST)
    assert found is not None
    assert found.factor == pytest.approx(100)
