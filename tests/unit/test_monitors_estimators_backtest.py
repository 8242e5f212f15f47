"""The backtest inside the reference: what wanders there widens bands, what stays does not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import t as student

from monitors.estimators import backtest, bands, blocks, cbpe
from monitors.estimators.bands import Expected
from spec import PerformanceMetric

Array = npt.NDArray[np.float64]
Rows = tuple[Array, Array, npt.NDArray[np.int64]]
M = PerformanceMetric
BEYOND_NORMAL = (student.ppf(0.975, 13) / 1.959964) ** 2
"""Of the square of Student's quantile with ten stretches and the stated variance for three."""


def drawn(days: int, seed: int, wander: float = 0.0, rows: int = 40) -> Rows:
    """Return scores, labels and times; how far scores are to be trusted walks by `wander` a day."""
    random = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), rows)
    logit = random.normal(0, 1.5, len(day))
    trust = np.exp(np.cumsum(random.normal(0, wander, days)))[day]
    labels = (random.random(len(day)) < 1 / (1 + np.exp(-logit * trust))).astype(float)
    return (1 / (1 + np.exp(-logit)))[:, None], labels, day * blocks.DAY


def test_misses_as_stated_widen_by_students_quantile_alone() -> None:
    """Ten misses of one stated deviation, or of none, leave the variance as it is; twice that widens it."""
    assert bands.widening(np.ones(10)) == pytest.approx(BEYOND_NORMAL)
    assert bands.widening(np.zeros(10)) == pytest.approx(BEYOND_NORMAL)
    assert bands.widening(np.full(10, 4.0)) == pytest.approx(BEYOND_NORMAL * 43 / 13)


def test_a_relation_that_stays_widens_little() -> None:
    """The median factor of eight references without any change is under 1.7, a third of a band's width."""
    found = [backtest.widening(*drawn(60, seed))[M.ACCURACY] for seed in range(8)]

    assert min(found) > 1
    assert np.median(found) < 1.7


def test_bands_cover_what_wanders_as_it_did_before() -> None:
    """Where trust walks on, bands that know it from the reference cover more of later windows than others."""
    covered = {"plain": 0, "wider": 0}
    for seed in range(12):
        scores, labels, times = drawn(72, seed, wander=0.15, rows=30)
        before, later = times < 60 * blocks.DAY, times >= 60 * blocks.DAY
        fitted = cbpe.fit(scores[before], labels[before], times[before], draws=20)
        factor = backtest.widening(scores[before], labels[before], times[before])[M.ACCURACY]
        one = fitted.expect([M.ACCURACY], scores[later], times[later])[M.ACCURACY]
        assert isinstance(one, Expected)
        miss = abs(float(((scores[later, 0] >= 0.5) == labels[later]).mean()) - one.value)
        covered["plain"] += bool(miss <= one.high - one.value)
        covered["wider"] += bool(miss <= (one.high - one.value) * factor**0.5)

    assert covered["wider"] >= 11
    assert covered["wider"] >= covered["plain"] + 3


def test_time_orders_the_stretches() -> None:
    """Days in any order of rows give one answer."""
    scores, labels, times = drawn(40, 1, wander=0.1)
    order = np.argsort(np.random.default_rng(0).permutation(40)[np.arange(len(times)) // 40], kind="stable")

    shuffled = backtest.widening(scores[order], labels[order], times[order])

    assert shuffled == pytest.approx(backtest.widening(scores, labels, times))


def test_nothing_is_told_without_times_or_rows() -> None:
    """Without times there are no later stretches; 300 rows have too few of them."""
    scores, labels, times = drawn(30, 2, rows=10)

    assert backtest.widening(scores, labels, None) == {}
    assert backtest.widening(scores, labels, times) == {}


def test_stretches_of_one_class_are_passed_over() -> None:
    """A reference whose first half has no positive label is estimated from its second half on."""
    scores, labels, times = drawn(60, 3)
    labels[: len(labels) // 2] = 0

    assert backtest.widening(scores, labels, times) == {}


def test_the_factor_is_in_the_band() -> None:
    """A variance four times as large is a band twice as wide."""
    scores, labels, times = drawn(30, 4)
    fitted = cbpe.fit(scores, labels, times, draws=10)
    wide = cbpe.Cbpe(fitted.sample, fitted.block, fitted.ensemble, fitted.excess, {M.ACCURACY: 4.0})

    one, other = (each.expect([M.ACCURACY], scores[:400])[M.ACCURACY] for each in (fitted, wide))

    assert isinstance(one, Expected)
    assert isinstance(other, Expected)
    assert other.high - other.value == pytest.approx(2 * (one.high - one.value))
