"""Bounds that may be looked at all the time: their properties, and their promise by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import t as student

from rollout.autocorrelation import mean_bounds
from rollout.bounds import interval, log_excess
from rollout.counters import Span, increase

counts = st.integers(0, 2000)
shares = st.floats(0.005, 0.9)


@settings(deadline=None)
@given(counts, counts, shares)
def test_a_hit_is_evidence_for_and_a_miss_against(hits: int, misses: int, null: float) -> None:
    """One more hit never lowers the evidence of an excess, one more miss never raises it."""
    here = log_excess(hits, misses, null)

    assert log_excess(hits + 1, misses, null) >= here - 1e-9 or here == -math.inf
    assert log_excess(hits, misses + 1, null) <= here + 1e-9


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.02, 0.9))
def test_evidence_is_a_martingale_under_the_null(hits: int, misses: int, null: float) -> None:
    """Under the null the expected evidence after one more request is the evidence now."""
    here = math.exp(log_excess(hits, misses, null))
    after = null * math.exp(log_excess(hits + 1, misses, null))
    after += (1 - null) * math.exp(log_excess(hits, misses + 1, null))

    assert after == pytest.approx(here, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(("hits", "misses", "null"), [(0, 0, 0.3), (3, 5, 0.2), (12, 3, 0.5)])
def test_evidence_is_the_mixture_it_says(hits: int, misses: int, null: float) -> None:
    """The closed form is the mean likelihood ratio over the shares above the null."""

    def ratio(share: float) -> float:
        return float((share / null) ** hits * ((1 - share) / (1 - null)) ** misses / (1 - null))

    assert math.exp(log_excess(hits, misses, null)) == pytest.approx(quad(ratio, null, 1)[0], rel=1e-6)


@settings(deadline=None)
@given(st.integers(0, 500), st.integers(0, 5000), st.floats(0.001, 0.2), st.floats(0.001, 0.5))
def test_interval_holds_the_estimate(hits: int, misses: int, alpha: float, guess: float) -> None:
    """The interval lies in [0, 1], holds the observed share, and a smaller alpha never narrows it."""
    of = hits + misses
    low, high = interval(hits, of, alpha, guess)
    wider = interval(hits, of, alpha / 2, guess)

    assert 0 <= low <= high <= 1
    assert of == 0 or low - 1e-9 <= hits / of <= high + 1e-9
    assert wider[0] <= low + 1e-9
    assert wider[1] >= high - 1e-9


@settings(deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.data())
def test_increase_survives_restarts(steps: list[int], data: st.DataObject) -> None:
    """Whenever the process restarts between two scrapes, the counter's rise is what was counted."""
    restarts = data.draw(st.lists(st.booleans(), min_size=len(steps), max_size=len(steps)))
    value, counted, samples = 0, 0, [(0.0, 0.0)]
    for time, (step, restart) in enumerate(zip(steps, restarts, strict=True), start=1):
        # a restart that counts past the old value between two scrapes cannot be told from none
        restart_seen = restart and step < value
        value = step if restart_seen else value + step
        counted += step
        samples.append((float(time), float(value)))

    assert increase(samples, Span(0, len(steps))) == counted


def test_simulated_false_rollbacks_stay_below_alpha() -> None:
    """Looking 100 times at equal versions, one at 10 % of the traffic, rolls back at most alpha of them."""
    random, alpha, part = np.random.default_rng(7), 0.05, 0.1
    false = 0
    for _ in range(400):
        ours = random.binomial(20, 0.02, size=100).cumsum()
        theirs = random.binomial(180, 0.02, size=100).cumsum()
        looks = zip(ours.tolist(), theirs.tolist(), strict=True)
        false += any(log_excess(f_c, f_s, part) >= math.log(1 / alpha) for f_c, f_s in looks)

    assert false / 400 <= alpha


def test_simulated_false_rollbacks_with_shared_failures() -> None:
    """In shadow, requests that fail at both versions together do not raise the false rollbacks."""
    random, alpha = np.random.default_rng(8), 0.05
    false = 0
    for _ in range(400):
        both = random.binomial(20, 0.05, size=100)
        ours = (both + random.binomial(20, 0.01, size=100)).cumsum()
        theirs = (both + random.binomial(20, 0.01, size=100)).cumsum()
        looks = zip(ours.tolist(), theirs.tolist(), strict=True)
        false += any(log_excess(f_c, f_s, 0.5) >= math.log(1 / alpha) for f_c, f_s in looks)

    assert false / 400 <= alpha


def test_simulated_intervals_cover_at_all_looks() -> None:
    """The interval misses the true share at any of 50 looks in at most alpha of the rollouts."""
    random, alpha, truth = np.random.default_rng(9), 0.1, 0.01
    missed = 0
    for _ in range(200):
        hits = random.binomial(100, truth, size=50).cumsum().tolist()
        bounds = (interval(hit, 100 * (look + 1), alpha, truth) for look, hit in enumerate(hits))
        missed += any(not low <= truth <= high for low, high in bounds)

    assert missed / 200 <= alpha


@settings(max_examples=20, deadline=None)
@given(st.integers(7, 60), st.integers(0, 10**6), st.sampled_from([0.01, 0.1]))
def test_bounds_at_all_looks_are_wider_than_at_one(n: int, seed: int, alpha: float) -> None:
    """Of independent days they hold the mean and Student's interval of one look, whose price they pay."""
    values = np.random.default_rng(seed).normal(size=n)
    low, high = mean_bounds(values, np.ones(n), alpha, 0.0)
    radius = float(student.isf(alpha / 2, n - 1)) * values.std(ddof=1) / math.sqrt(n)

    assert low < values.mean() - radius
    assert high > values.mean() + radius


@settings(max_examples=30, deadline=None)
@given(st.floats(0.15, 0.9))
def test_broken_versions_are_found_soon(rate: float) -> None:
    """A version that fails at least 15 % in shadow is found within 200 requests."""
    hits = int(rate * 200 * 0.6)

    assert log_excess(hits, 0, 0.5) >= math.log(12 / 0.05)
