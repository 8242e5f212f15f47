"""Bands: rows of a day that go together, labels that come in later."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from monitors.estimators import bands, blocks
from monitors.estimators.bands import Excess, Expected, Pair
from spec import PerformanceMetric

M = PerformanceMetric
Array = npt.NDArray[np.float64]


def expected(value: float, half: float) -> Expected:
    """Return an estimate with a band."""
    return Expected(value, value - half, value + half, 1_000, "cbpe")


def days(count: int, rows: int) -> npt.NDArray[np.int64]:
    """Return times of as many rows a day."""
    return np.repeat(np.arange(count) * blocks.DAY, rows)


def test_days_that_share_nothing_add_nothing() -> None:
    """Independent residuals leave less variance of a day than a tenth of their own."""
    random = np.random.default_rng(0)
    excess = Excess.of(random.normal(0, 1, 20_000), days(100, 200))

    assert excess.variance(days(1, 200), 200) < 0.1 / 200 * 10


def test_what_days_share_is_measured() -> None:
    """A common part of 0.3 deviations a day is found, and averages out over the days of a window."""
    random = np.random.default_rng(1)
    shared = np.repeat(random.normal(0, 0.3, 200), 50)
    excess = Excess.of(shared + random.normal(0, 1, 10_000), days(200, 50))

    assert excess.variances[blocks.DAY] == pytest.approx(0.09, rel=0.3)
    assert excess.variance(days(1, 50), 50) == pytest.approx(0.09, rel=0.3)
    assert excess.variance(days(10, 50), 500) < 0.03
    assert excess.variance(None, 500) == pytest.approx(max(excess.variances.values()))


def test_slow_common_parts_do_not_average_out_over_days() -> None:
    """Where eight days in a row share a part, a window of eight days has all of it."""
    random = np.random.default_rng(2)
    shared = np.repeat(random.normal(0, 0.3, 40), 8 * 30)
    excess = Excess.of(shared + random.normal(0, 1, 9_600), days(320, 30))

    assert excess.variance(days(8, 30), 240) == pytest.approx(0.09, rel=0.4)


def test_unknown_times_share_nothing() -> None:
    """Without times rows are independent: there is nothing to measure."""
    assert Excess.of(np.ones(100), None).variance(None, 100) == 0


def test_band_stays_inside_the_range() -> None:
    """An AUC's band ends at 1, a log loss's at 0."""
    assert bands.band(M.ROC_AUC, 0.99, 0.01, 100, "cbpe").high == 1
    assert bands.band(M.LOG_LOSS, 0.01, 0.01, 100, "cbpe").low == 0
    assert bands.band(M.RMSE, 5.0, 1.0, 100, "loss_model").high == pytest.approx(5 + 1.959964)


def test_between_goes_from_one_answer_to_the_other() -> None:
    """No share of the way is the first answer; half of it is the mean, with the way gone in its variance."""
    one, other = expected(0.8, 1.96 * 0.01), expected(0.7, 1.96 * 0.03)

    start, middle = (bands.between(M.ACCURACY, one, other, share) for share in (0.0, 0.5))

    assert (start.value, start.low, start.high) == pytest.approx((0.8, one.low, one.high))
    assert middle.value == pytest.approx(0.75)
    half = 1.96 * (0.5 * 0.01**2 + 0.5 * 0.03**2 + 0.05**2) ** 0.5
    assert middle.high - middle.value == pytest.approx(half, rel=1e-3)


def test_nothing_is_corrected_before_labels() -> None:
    """No past window, no change."""
    assert bands.corrected(M.ACCURACY, expected(0.8, 0.02), []) == expected(0.8, 0.02)


def test_lasting_miss_is_followed() -> None:
    """Ten windows that missed by 0.1 move the estimate by nearly as much, and the method says so."""
    past = [Pair(expected(0.8, 0.02), 0.7) for _ in range(10)]

    moved = bands.corrected(M.ACCURACY, expected(0.8, 0.02), past)

    assert moved.value == pytest.approx(0.7, abs=0.015)
    assert moved.low < 0.7 < moved.high
    assert moved.method == "cbpe+labels"


def test_sudden_miss_widens_the_band() -> None:
    """One window far off after ten good ones makes the next band wider than the stated one."""
    good = [Pair(expected(0.8, 0.02), 0.8 + 0.005 * (-1) ** at) for at in range(10)]
    calm = bands.corrected(M.ACCURACY, expected(0.8, 0.02), good)

    alarmed = bands.corrected(M.ACCURACY, expected(0.8, 0.02), [*good, Pair(expected(0.8, 0.02), 0.6)])

    assert calm.value == pytest.approx(0.8, abs=0.003)
    assert alarmed.high - alarmed.low > 2 * (calm.high - calm.low)


def test_bands_too_narrow_by_half_are_mended() -> None:
    """Of 300 windows whose stated deviation is half the true one, corrected bands cover 90 % or more."""
    random = np.random.default_rng(3)
    truth = 0.7 + random.normal(0, 0.02, 300)
    past = [Pair(expected(0.7, 0.0196), float(each)) for each in truth]
    inside = 0
    for at in range(20, 300):
        found = bands.corrected(M.ACCURACY, expected(0.7, 0.0196), past[at - 20 : at])
        inside += found.low <= truth[at] <= found.high

    assert inside >= binom.ppf(0.001, 280, 0.92)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=12),
    st.floats(0, 1),
    st.floats(0, 0.3),
)
def test_corrected_bands_hold_their_value(past: list[tuple[float, float]], value: float, half: float) -> None:
    """Whatever has happened, low <= value <= high inside the metric's range, all finite."""
    pairs = [Pair(bands.band(M.ACCURACY, guess, 0.01, 50, "cbpe"), real) for guess, real in past]

    found = bands.corrected(M.ACCURACY, bands.band(M.ACCURACY, value, half, 50, "cbpe"), pairs)

    assert 0 <= found.low <= found.value <= found.high <= 1


def test_blocks_are_drawn_whole() -> None:
    """Rows of a day get one weight, and as many days are drawn as there are."""
    block = blocks.number(days(30, 4), 120)
    for weights in blocks.draws(block, 5, seed=0):
        assert np.ptp(weights.reshape(30, 4), axis=1).max() == 0
        assert weights.sum() == 120


def test_folds_keep_days_whole() -> None:
    """Every row is tested once, and no day is in two folds."""
    block = blocks.number(days(23, 7), 161)
    folds = list(blocks.folds(block, 5))

    assert np.sum(folds, axis=0).tolist() == [1] * 161
    assert sum(len(np.unique(block[tested])) for tested in folds) == 23


def test_few_days_are_cut_into_twentieths() -> None:
    """Two days of rows make twenty blocks in order of time."""
    times = np.arange(0, 2 * blocks.DAY, blocks.DAY // 100)

    assert blocks.number(times, len(times)).max() == 19
