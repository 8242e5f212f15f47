"""The interval of the difference of two shares: its evidence is a martingale, and it misses nothing."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy.stats import binom, multinomial

from rollout import bounds
from rollout.contrast import NOTHING, Arm, PairEvidence, interval

ALPHA = 0.05


def bounds_against_bounds(first: Arm, second: Arm, guess: float) -> tuple[float, float]:
    """What two intervals of half the level say of the difference."""
    low, high = bounds.interval(first.hits, first.of, ALPHA / 2, guess)
    least, most = bounds.interval(second.hits, second.of, ALPHA / 2, guess)
    return low - most, high - least


@pytest.mark.parametrize(("first", "second"), [(0.3, 0.3), (0.02, 0.4), (0.9, 0.1)])
@pytest.mark.parametrize(("of", "among"), [(6, 6), (2, 12)])
def test_the_evidence_against_the_truth_is_one_on_average(
    first: float, second: float, of: int, among: int
) -> None:
    """Over all that can be counted: so it ever reaches 1/alpha with probability alpha at most (Ville)."""
    mean = 0.0
    for ours, theirs in product(range(of + 1), range(among + 1)):
        evidence = PairEvidence(Arm(ours, of), Arm(theirs, among), NOTHING, 0.3, 0.01)
        chance = binom.pmf(ours, of, first) * binom.pmf(theirs, among, second)
        mean += float(chance) * math.exp(evidence.against(first, second))

    assert pytest.approx(1.0, abs=1e-9) == mean


@pytest.mark.parametrize("both_hit", [0.0, 0.06, 0.2], ids=["never", "independent", "together"])
def test_copies_may_hang_together_with_their_requests_in_any_way(both_hit: float) -> None:
    """Of pairs the evidence is one at most on average, for the same two shares whatever the dependence."""
    first, second, of = 0.3, 0.2, 7
    chances = [both_hit, first - both_hit, second - both_hit, 1 - first - second + both_hit]
    mean = 0.0
    for seen in product(range(of + 1), repeat=3):
        if sum(seen) > of:
            continue
        copies, champion = Arm(seen[0] + seen[1], of), Arm(seen[0] + seen[2], of)
        evidence = PairEvidence(NOTHING, champion, copies, 0.5, 0.01)
        chance = multinomial.pmf([*seen, of - sum(seen)], of, chances)
        mean += float(chance) * math.exp(evidence.against(first, second))

    assert mean <= 1 + 1e-9


@pytest.mark.parametrize(("hits", "of"), [(3, 40), (60, 500), (0, 100)])
@pytest.mark.parametrize("difference", [-0.2, 0.0, 0.01, 0.6])
def test_the_least_evidence_is_found(hits: int, of: int, difference: float) -> None:
    """As by a fine grid of pairs that lie so far apart."""
    evidence = PairEvidence(Arm(hits, of), Arm(50, 700), NOTHING, 0.3, 0.01)
    low, high = max(0.0, -difference), min(1.0, 1.0 - difference)
    shares = [low + (high - low) * float(part) for part in np.geomspace(1e-6, 1 - 1e-6, 2_000)]
    grid = min(evidence.against(share + difference, share) for share in shares)

    assert evidence.least(difference) <= grid + 1e-6
    assert pytest.approx(grid, rel=1e-2, abs=1e-2) == evidence.least(difference)


def test_the_ends_are_where_the_evidence_is_enough() -> None:
    """Just within them some pair of shares is credible, just beyond them none."""
    first, second = Arm(30, 1_000), Arm(200, 9_000)
    evidence = PairEvidence(first, second, NOTHING, 0.1, 0.01)
    low, high = interval(first, second, ALPHA, 0.1, 0.01)

    assert low < evidence.middle < high
    assert all(evidence.least(inside) < -math.log(ALPHA) for inside in (low + 1e-5, high - 1e-5))
    assert all(evidence.least(outside) > -math.log(ALPHA) for outside in (low - 1e-5, high + 1e-5))


def test_the_arms_may_change_places() -> None:
    """The second share minus the first has the same interval with the other sign."""
    first, second = Arm(12, 300), Arm(90, 2_700)
    low, high = interval(first, second, ALPHA, 0.1, 0.01)

    assert pytest.approx((-high, -low), abs=1e-6) == interval(second, first, ALPHA, 0.9, 0.01)


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.1, 0.5])
@pytest.mark.parametrize("part", [0.5, 0.1])
@pytest.mark.parametrize("requests", [20_000, 200_000])
def test_it_is_narrower_than_bounds_against_bounds(rate: float, part: float, requests: int) -> None:
    """At any rate and split; copies of the champion's requests narrow it further where hits are rare."""
    of, among = part * requests, (1 - part) * requests
    first, second, guess = Arm(rate * of, of), Arm(rate * among, among), max(rate, 0.01)
    low, high = interval(first, second, ALPHA, part, guess)
    least, most = bounds_against_bounds(first, second, guess)
    closer = interval(first, second, ALPHA, 1 / (2 - part), guess, Arm(rate * among, among))

    assert high - low < 0.92 * (most - least)
    assert closer[1] - closer[0] < high - low or rate == 0.5  # where pairs tell less


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        (NOTHING, NOTHING, (-1.0, 1.0)),
        (Arm(0, 100_000), Arm(100_000, 100_000), (-1.0, -0.99)),
        (Arm(100_000, 100_000), Arm(0, 100_000), (0.99, 1.0)),
        (Arm(0, 100_000_000), NOTHING, (-1.0, 0.0)),
        (Arm(30_000_000, 30_000_000), Arm(1_000_000, 3_000_000), (0.667, 0.667)),
    ],
)
def test_at_the_edges_it_stays_in_reach(first: Arm, second: Arm, found: tuple[float, float]) -> None:
    """Of nothing everything is credible; of all against none little is, never more than 1; so of millions."""
    assert pytest.approx(found, abs=0.01) == interval(first, second, ALPHA, 0.5, 0.5)
    assert all(-1 <= end <= 1 for end in interval(first, second, ALPHA, 0.5, 0.5))


@pytest.mark.parametrize("copies", [NOTHING, Arm(500_000_000, 1_000_000_000)], ids=["none", "copies"])
def test_a_difference_as_large_as_can_be_is_told_of_any_counts(copies: Arm) -> None:
    """Of a thousand million requests that failed, and as many that did not, the interval ends at 1."""
    all_, none = Arm(1_000_000_000, 1_000_000_000), Arm(0, 1_000_000_000)

    low, high = interval(all_, none, ALPHA, 0.5, 0.01)
    least, most = interval(none, all_, ALPHA, 0.5, 0.01)
    beside = interval(all_, none, ALPHA, 0.5, 0.01, copies)

    assert (high, least) == (1.0, -1.0)
    assert low > 1 - 1e-6
    assert most < 1e-6 - 1
    rate = (all_.hits + copies.hits) / (all_.of + copies.of)
    assert beside[0] <= rate <= beside[1]
