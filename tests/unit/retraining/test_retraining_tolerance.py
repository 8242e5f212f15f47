from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from retraining.passes.tolerance import Tolerance, rise
from spec import ModelSpec, Task

DAYS = np.repeat(np.arange(9), 20)


def test_days_alike_give_the_interval_of_students_test_of_their_means() -> None:
    """Beside a constant loss of 1 the rise is a mean over days, whose interval SciPy knows."""
    means = np.random.default_rng(0).normal(0.02, 0.1, 9)
    losses = 1 + means[DAYS]

    found = rise(Task.BINARY, losses, np.ones(len(DAYS)), DAYS, 0.01)

    known = stats.ttest_1samp(means, 0).confidence_interval(0.98)
    assert found.value == pytest.approx(means.mean())
    assert (found.low, found.high) == pytest.approx((known.low, known.high))


def test_rows_of_a_day_count_as_one() -> None:
    """A day repeated ten times over is no more evidence."""
    rng = np.random.default_rng(0)
    losses, reference = rng.gamma(2, 1, (2, 9))[:, DAYS]
    more, others, days = (np.repeat(part, 10) for part in (losses, reference, DAYS))

    once, often = (
        rise(Task.BINARY, losses, reference, DAYS, 0.05),
        rise(Task.BINARY, more, others, days, 0.05),
    )

    assert (once.value, once.low, once.high) == pytest.approx((often.value, often.low, often.high))


def test_the_interval_of_a_ratio_covers_as_often_as_it_says() -> None:
    """Of skewed losses on unequal days a bound at 5 % fails in some 5 % of many worlds: 3.5 to 6.5."""
    rng, worlds, days = np.random.default_rng(3), 2_000, np.repeat(np.arange(12), np.arange(20, 44, 2))
    above = below = 0
    for _ in range(worlds):
        day = rng.gamma(20, 1 / 20, 12)[days]
        reference = day * rng.exponential(0.4, len(days))
        losses = reference * rng.gamma(4, 1.03 / 4, len(days)) * rng.gamma(400, 1 / 400, 12)[days]
        found = rise(Task.BINARY, losses, reference, days, 0.05)
        above, below = above + (found.low > 0.03), below + (found.high < 0.03)

    least, most = stats.binom.ppf(0.001, worlds, 0.035), stats.binom.ppf(0.999, worlds, 0.065)
    assert least <= above <= most
    assert least <= below <= most


def skewed(rng: np.random.Generator, shape: str, size: tuple[int, ...]) -> np.ndarray:
    """Return noise of mean 0: one row of ten errs by far, or one of a thousand by very far."""
    if shape == "heavy":
        return (rng.exponential(1, size) * (rng.random(size) < 0.1) - 0.1) / 0.436
    return (rng.lognormal(0, 1.5, size) - math.exp(1.125)) / 8.97


@pytest.mark.parametrize("shape", ["heavy", "lognormal"])
def test_a_few_rows_that_err_by_far_do_not_break_a_small_risk(shape: str) -> None:
    """At the risk that 24 variants share, 0.22 %, at most that part of worlds is below: 12 days of 30 rows.

    Without the correction of skewness it is 0.7 %.
    """
    rng, worlds, days = np.random.default_rng(5), 4_000, np.repeat(np.arange(12), 30)
    below = 0
    for _ in range(worlds):
        common, own = skewed(rng, shape, (2, len(days)))
        reference = 0.5 + 0.2 * common
        losses = reference * 1.01 + 0.2 * own + rng.normal(0, 0.02, 12)[days]
        below += rise(Task.BINARY, losses, reference, days, 0.05 / 23).high < 0.01

    assert below <= stats.binom.ppf(0.999, worlds, 0.05 / 23)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_few_days_that_agree_by_luck_bound_nothing_tightly(count: int) -> None:
    """At a risk of 1 % at most that part of worlds is below, on few days of many rows with a long tail.

    The interval always holds the estimate. Were rows believed whatever the days say, it was up to 13 %.
    """
    rng, worlds, days = np.random.default_rng(7), 1_000, np.repeat(np.arange(count), 300)
    below = 0
    for _ in range(worlds):
        reference = rng.exponential(1, len(days))
        tail = 10 * rng.exponential(1, len(days)) * (rng.random(len(days)) < 0.02)
        found = rise(Task.BINARY, reference + tail, reference, days, 0.01)
        assert found.low <= found.value <= found.high
        below += found.high < 0.2

    assert below <= stats.binom.ppf(0.999, worlds, 0.01)


def test_the_correction_moves_both_ends_towards_the_long_tail() -> None:
    """Losses with a long tail above may rise by more, and not by as little, as Student's interval says."""
    losses = 1 + np.random.default_rng(0).exponential(0.1, len(DAYS))
    means = losses.reshape(9, 20).mean(axis=1) - 1

    found = rise(Task.BINARY, losses, np.ones(len(DAYS)), DAYS, 0.01)

    known = stats.ttest_1samp(means, 0).confidence_interval(0.98)
    assert found.low > known.low
    assert found.high > known.high


def test_equal_losses_rise_by_nothing_on_any_number_of_days() -> None:
    """What answers alike is known to lose nothing; what answers otherwise on one day is not known at all."""
    losses = np.random.default_rng(0).exponential(size=len(DAYS))
    one = np.zeros_like(DAYS)

    alike, other = (rise(Task.BINARY, each, losses, one, 0.05) for each in (losses, losses[::-1] * 1.1))

    assert (0, 0, 0) == (alike.value, alike.low, alike.high)
    assert (other.low, other.high) == (-math.inf, math.inf)


def test_values_are_compared_by_their_root() -> None:
    """Squared errors that are a fifth higher everywhere are a tenth higher as the search counts them."""
    losses = np.random.default_rng(0).exponential(size=len(DAYS))

    found = rise(Task.REGRESSION, losses * 1.21, losses, DAYS, 0.05)

    assert found.value == pytest.approx(0.1)
    assert found.high == pytest.approx(0.1)


@pytest.mark.parametrize("task", [Task.BINARY, Task.REGRESSION])
def test_beside_no_loss_at_all_any_loss_is_too_much(task: Task) -> None:
    """Nothing is divided by 0, and no bound is NaN."""
    none = np.zeros(len(DAYS))

    assert 0 == rise(task, none, none, DAYS, 0.05).high
    assert math.inf == rise(task, none + 1, none, DAYS, 0.05).high


def test_the_risk_is_shared_by_variants_and_looks(shop: Callable[..., ModelSpec]) -> None:
    """5 % for all chains and candidates but the best, at most `max_variants`; of each a part a look."""
    spec = shop()  # two passes, which make three chains
    losses, reference = np.random.default_rng(0).gamma(9, 1, (2, len(DAYS)))
    one, two, many = (Tolerance.of(spec, reference, DAYS, count) for count in (1, 2, 100))

    assert (0.05 / 3, 0.05 / 7, 0.05 / 23) == pytest.approx((one.risk, two.risk, many.risk))
    assert one.rise(losses, looks=4) == rise(Task.BINARY, losses, reference, DAYS, one.risk / 4)
