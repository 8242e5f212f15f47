from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtr

from monitors.detectors.betting import MeanBet
from monitors.detectors.conformal import ConformalMartingale
from monitors.detectors.e_detector import EDetector, Recursion, log_e_value
from monitors.detectors.persistence import Persistence
from monitors.finding import NoData
from spec.errors import DataError


@pytest.mark.parametrize("decisive", [None, 0.05, 1e-3])
def test_the_calibrator_is_a_fair_bet(decisive: float | None) -> None:
    """∫ e(p) dp = 1, and e falls in p."""
    # With p = exp(−s) the integral is over all s > 0 and has no singularity.
    cut = -math.log(decisive or 1.0)
    total = sum(
        quad(lambda s: math.exp(log_e_value(math.exp(-s), decisive) - s), low, high, limit=500)[0]
        for low, high in ((0, cut), (cut, 50), (50, 700))
    )
    values = [log_e_value(p, decisive) for p in (1e-300, 1e-9, 1e-3, 0.04, 0.06, 0.5, 0.9999, 1.0)]

    assert total == pytest.approx(1.0, abs=2 / 700)
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("recursion", list(Recursion))
def test_the_time_between_false_alarms_is_as_promised(recursion: Recursion) -> None:
    """Over 60,000 windows in which nothing happens there are at most one alarm in 1/alpha = 200 windows."""
    generator = np.random.default_rng(60)
    detector, alarms = EDetector(alpha=1 / 200, recursion=recursion), 0
    for p in generator.uniform(size=40_000):
        detector = detector.update(log_e_value(float(p), decisive=1 / 400))
        alarms += detector.alarm

    assert 0 < alarms <= 40_000 / 200


def test_a_decisive_window_alarms_at_once_and_a_small_change_soon() -> None:
    """A p-value of alpha/2 alarms in its own window; a shift of 1.5 deviations within some tens."""
    detector = EDetector(alpha=1e-3)

    assert detector.update(log_e_value(5e-4, decisive=5e-4)).alarm
    assert not detector.update(log_e_value(5e-4)).alarm
    shifted = ndtr(-np.random.default_rng(61).normal(1.5, 1, 100))
    delay = 0
    while not detector.alarm:
        detector = detector.update(log_e_value(float(shifted[delay]), decisive=5e-4))
        delay += 1
    assert delay < 40


def test_an_alarm_starts_anew_and_no_data_stands_still() -> None:
    """After an alarm the next window starts from nothing; without data nothing changes and nothing alarms."""
    alarmed = EDetector(alpha=0.1).update(math.log(20))
    waiting = alarmed.update(NoData("no rows"))

    assert alarmed.alarm
    assert not waiting.alarm
    assert waiting.log_m == alarmed.log_m
    assert alarmed.update(math.log(2)).log_m == pytest.approx(math.log(2))
    assert math.log(3 * 2) == pytest.approx(EDetector(0.1).update(math.log(2)).update(math.log(2)).log_m)
    cusum = EDetector(0.1, Recursion.CUSUM).update(math.log(0.5)).update(math.log(2))
    assert math.log(2) == pytest.approx(cusum.log_m)


def test_a_bet_on_a_mean_is_fair_and_wins_when_it_is_exceeded() -> None:
    """At the mean the product of L has mean 1 at most; above it the capital grows and the detector alarms."""
    generator = np.random.default_rng(62)
    final, delays = [], []
    for _ in range(200):
        bet, wealth = MeanBet(0.1), 0.0
        for x in generator.binomial(1, 0.1, 60):
            bet, log_e = bet.update(float(x))
            wealth += log_e
        final.append(math.exp(wealth))
        bet, detector = MeanBet(0.1, forget=0.95), EDetector(1 / 500)
        for t, x in enumerate(generator.binomial(1, 0.4, 200)):
            bet, log_e = bet.update(float(x))
            detector = detector.update(log_e)
            if detector.alarm:
                delays.append(t)
                break

    assert np.mean(final) <= 1 + 3 * np.std(final) / math.sqrt(200)
    assert 200 == len(delays)
    assert np.median(delays) < 40


def test_a_conformal_martingale_rarely_reaches_its_limit() -> None:
    """Of 300 exchangeable histories with ties at most one in ten ever reaches 10."""
    generator = np.random.default_rng(63)
    reached = 0
    for seed in range(300):
        martingale = ConformalMartingale(tuple(generator.integers(0, 5, 20)), limit=10, jump=0.05, seed=seed)
        for score in generator.integers(0, 5, 80):
            martingale = martingale.update(float(score))
            if martingale.alarm:
                reached += 1
                break

    assert reached <= 44


@pytest.mark.parametrize("shift", [1.5, -1.5])
def test_a_conformal_martingale_finds_stranger_and_more_ordinary_scores(shift: float) -> None:
    """A shift of the scores to either side is found within a hundred windows."""
    generator = np.random.default_rng(64)
    martingale = ConformalMartingale(tuple(generator.normal(size=200)), limit=1_000)
    windows = 0
    while not martingale.alarm and windows < 100:
        martingale = martingale.update(float(generator.normal(shift)))
        windows += 1

    assert martingale.alarm


def test_conformal_p_values_are_uniform_with_ties() -> None:
    """With five values of the score only, the smoothed p-values are uniform all the same."""
    generator = np.random.default_rng(65)
    martingale, found = ConformalMartingale(tuple(generator.integers(0, 5, 30))), []
    for score in generator.integers(0, 5, 1_500):
        found.append(martingale.p_value(float(score)))
        martingale = martingale.update(float(score))

    assert list(np.histogram(found, 5, (0, 1))[0]) == pytest.approx([300] * 5, abs=50)


def test_wrong_parameters_are_told_all_at_once() -> None:
    """Each detector says what must hold of each of its parameters."""
    with pytest.raises(DataError) as raised:
        ConformalMartingale((math.nan,), limit=1, jump=2)
    assert ["scores", "limit", "jump"] == [problem.where for problem in raised.value.problems]
    with pytest.raises(DataError, match="score: must be finite"):
        ConformalMartingale((1.0,)).update(math.nan)
    with pytest.raises(DataError, match="alpha: must be between 0 and 1"):
        EDetector(alpha=500)
    with pytest.raises(DataError, match="log_e: must be a number"):
        EDetector(alpha=0.1).update(math.nan)
    with pytest.raises(DataError, match=r"p_value: [^\n]*\ndecisive: "):
        log_e_value(0.0, decisive=1.0)
    with pytest.raises(DataError, match=r"mean: [^\n]*\nforget: "):
        MeanBet(mean=1.0, forget=0.0)
    with pytest.raises(DataError, match=r"value: must be in \[0, 1\]"):
        MeanBet(mean=0.5).update(math.nan)
    with pytest.raises(DataError, match="Did you mean k=2 of n=3"):
        Persistence(k=3, n=2)
    with pytest.raises(DataError, match="seen: must hold at most n=1"):
        Persistence(k=1, n=1, seen=(True, True))


def test_persistence_needs_k_of_n_and_the_latest() -> None:
    """2 of 3: not one, not two of which the latest is good, not two four apart; no data is not bad."""

    def verdicts(windows: str) -> str:
        detector, alarms = Persistence(k=2, n=3), ""
        for window in windows:
            detector = detector.update(NoData("no rows") if window == "-" else window == "b")
            alarms += "A" if detector.alarm else "."
        return alarms

    assert ".A.A" == verdicts("bbgb")
    assert "...." == verdicts("bggb")
    assert "..A." == verdicts("b-b-")
