from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import binom, t

from monitors.laws import bridge
from monitors.laws.saddlepoint import tail, two_sided_tail
from monitors.laws.tables import Table
from monitors.laws.tilted_draws import wasserstein_tail

Array = npt.NDArray[np.float64]
CUTS = np.concatenate((-np.geomspace(0.1, 200, 25)[::-1], np.geomspace(0.1, 200, 25)))
EDGES = np.concatenate(([-400.0], CUTS, [400.0]))
SHARES = np.diff(np.concatenate(([0.0], t(2).cdf(CUTS), [1.0])))
"""Student's t with two degrees of freedom, which has no variance, in 51 bins."""
WHERE = (EDGES[1:] + EDGES[:-1]) / 2


def pairs(shares: Array, sizes: tuple[int, int], count: int, seed: int) -> tuple[Array, Array, Array]:
    """Both sides of `count` pairs of samples, shape (count, bins), and the distances of the pairs."""
    generator = np.random.default_rng(seed)
    sides = [generator.multinomial(size, shares, count).astype(float) for size in sizes]
    moved = np.cumsum(sides[0] / sizes[0] - sides[1] / sizes[1], axis=1)[:, :-1]
    return sides[0], sides[1], np.abs(moved) @ np.diff(WHERE)


def measured(counts: Table) -> tuple[float, Array]:
    """Return the distance of a pair and its optimal potential."""
    moved = (np.cumsum(counts.reference) / counts.n - np.cumsum(counts.current) / counts.m)[:-1]
    gaps = np.diff(WHERE)
    return float(np.abs(moved) @ gaps), np.concatenate(([0.0], np.cumsum(np.sign(moved) * gaps)))


@pytest.mark.parametrize("seed", range(6))
def test_the_tail_is_that_of_brute_force(seed: int) -> None:
    """Of heavy-tailed pairs at 1 in 100 it is what 20,000 drawn pairs count, within 50 %, draws and all."""
    reference, current, distances = pairs(SHARES, (2_000, 100), 500, seed)
    at = int(np.argsort(distances)[-5])
    counts = Table(reference[at], current[at])
    distance, potential = measured(counts)
    expected = float((pairs(counts.pooled, (2_000, 100), 20_000, 100 + seed)[2] >= distance).mean())
    found = wasserstein_tail(distance, WHERE, potential, counts)

    assert abs(math.log(found / expected)) < 0.4 + 3 / math.sqrt(20_000 * expected)


@pytest.mark.parametrize(("hits", "m"), [(12, 200), (16, 200), (9, 50)])
def test_two_values_have_the_binomial_tail(hits: int, m: int) -> None:
    """Beside a very large reference, out to 1e-6, it is the binomial probability of both directions.

    Half of that of the number that was seen: the reference's own chance puts it as often nearer as farther.
    """
    share = 0.02
    counts = Table(np.array([1e7 * (1 - share), 1e7 * share]), np.array([float(m - hits), float(hits)]))
    pooled = counts.pooled[1]
    distance = hits / m - counts.reference[1] / counts.n
    low = math.floor(m * (pooled - distance)) if pooled >= distance else -1
    exact = binom.sf(hits, m, pooled) + binom.pmf(hits, m, pooled) / 2 + binom.cdf(low, m, pooled)
    found = wasserstein_tail(distance, np.array([0.0, 1.0]), np.array([0.0, 1.0]), counts)

    assert 0.6 * exact <= found <= 1.6 * exact


def test_sides_can_be_exchanged_and_the_unit_does_not_matter() -> None:
    """The draws are the same whichever side is called the reference, and in any unit."""
    reference, current, _ = pairs(SHARES, (500, 500), 1, 7)
    counts = Table(reference[0] + 1, current[0] + 1)
    distance, potential = measured(counts)
    found = wasserstein_tail(distance, WHERE, potential, counts)

    assert found == wasserstein_tail(distance, WHERE, -potential, Table(counts.current, counts.reference))
    assert found == pytest.approx(wasserstein_tail(1024 * distance, 1024 * WHERE, 1024 * potential, counts))


def test_samples_without_a_row_in_common_are_left_to_other_bounds() -> None:
    """No pair can lie farther apart than all rows at one end and all at the other: nothing is drawn."""
    counts = Table(np.array([3.0, 0.0]), np.array([0.0, 3.0]))

    assert 0.0 == wasserstein_tail(1.0, np.array([0.0, 1.0]), np.array([0.0, 1.0]), counts)


def test_the_mirror_image_doubles_two_equal_tails_and_adds_nothing_to_one() -> None:
    """Of symmetric values both directions are as likely; of values with one long tail only one is."""
    values = np.array([-50.0, 0.0, 50.0])
    even = Table(np.array([10.0, 9_980.0, 10.0]), np.array([0.0, 98.0, 2.0]))
    skewed = Table(np.array([0.0, 9_990.0, 10.0]), np.array([0.0, 98.0, 2.0])).occupied()

    assert two_sided_tail(values, even) == pytest.approx(2 * tail(values, even), rel=0.5)
    assert two_sided_tail(values[1:], skewed) == pytest.approx(tail(values[1:], skewed), rel=0.01)
    assert 1.0 == two_sided_tail(-values, even)


def test_heavy_tails_hold_their_level_at_one_in_a_thousand() -> None:
    """Of 30,000 pairs no more have p ≤ 1e-3 than chance allows; without the draws twice as many had."""
    reference, current, distances = pairs(SHARES, (5_000, 200), 30_000, 11)
    suspects = np.argsort(distances)[-400:]
    found = sum(bridge.p_value(Table(reference[at], current[at]), EDGES) <= 1e-3 for at in suspects)

    assert found <= binom.ppf(0.999, 30_000, 1e-3)


@pytest.mark.parametrize("share", [0.9, 0.9999, 1 - 1e-9])
@pytest.mark.parametrize("rows", [50.0, 106.0, 122.0, 251.0])
def test_a_law_that_is_nearly_one_bin_is_drawn_from(rows: float, share: float) -> None:
    """As far as samples can be apart the tilted law has one bin, whose share no rounding lifts above 1."""
    counts = Table(np.array([rows, 1.0, 1.0]), np.array([0.0, 1.0, 7 * rows % 53 + 40]))
    where = np.array([0.0, 1.0, 50.0])

    assert 0 <= wasserstein_tail(50 * share, where, where, counts) <= 1
