from __future__ import annotations

import itertools

import numpy as np
import pytest

from monitors.finding import NoData
from monitors.multivariate.mmd import MmdVerdict, mmd
from spec.errors import InputError

RANDOM = np.random.default_rng(0)
REFERENCE = RANDOM.normal(size=(40, 3))
CURRENT = RANDOM.normal(0.4, 1, size=(30, 3))


def verdict(reference: np.ndarray, current: np.ndarray, **settings: float) -> MmdVerdict:
    """Return a verdict, which must be one."""
    found = mmd(reference, current, **settings)  # type: ignore[arg-type]
    assert isinstance(found, MmdVerdict)
    return found


def direct(reference: np.ndarray, current: np.ndarray, bandwidth: float) -> float:
    """The unbiased MMD², every pair of rows by itself."""

    def kernel(one: np.ndarray, other: np.ndarray) -> float:
        return float(np.exp(-((one - other) ** 2).sum() / (2 * bandwidth**2)))

    within = [
        np.mean([kernel(one, other) for one, other in itertools.permutations(side, 2)])
        for side in (reference, current)
    ]
    across = np.mean([kernel(one, other) for one in reference for other in current])
    return float(sum(within) - 2 * across)


@pytest.mark.parametrize("bandwidth", [0.3, 1.3, 20.0])
def test_the_statistic_is_the_double_loops(bandwidth: float) -> None:
    """Blocks and products give the sum over all pairs."""
    found = verdict(REFERENCE, CURRENT, bandwidth=bandwidth)

    assert pytest.approx(direct(REFERENCE, CURRENT, bandwidth), abs=1e-12) == found.mmd2
    assert pytest.approx(max(0, found.mmd2) ** 0.5) == found.effect


def test_more_rows_than_a_block_change_nothing() -> None:
    """Over several blocks the statistic is still that of the full kernel matrix."""
    random = np.random.default_rng(1)
    x, y = random.normal(size=(700, 2)), random.normal(0.2, 1, size=(600, 2))
    rows = np.concatenate([x, y])
    kernel = np.exp(-((rows[:, None] - rows) ** 2).sum(axis=2) / 2)
    np.fill_diagonal(kernel, 0)
    within = kernel[:700, :700].sum() / (700 * 699) + kernel[700:, 700:].sum() / (600 * 599)
    expected = within - 2 * kernel[:700, 700:].mean()

    assert pytest.approx(expected, abs=1e-12) == verdict(x, y, bandwidth=1, permutations=9).mmd2


def test_the_bandwidth_is_the_median_distance_of_all_rows() -> None:
    """The heuristic knows no sides."""
    rows = np.concatenate([REFERENCE, CURRENT])
    distances = [np.linalg.norm(one - other) for one, other in itertools.combinations(rows, 2)]

    assert pytest.approx(np.median(distances)) == verdict(REFERENCE, CURRENT).bandwidth


def test_the_value_of_two_normals_is_the_closed_forms() -> None:
    """For N(0,1) and N(1,1) and h = 1, MMD² = 2(1 - exp(-1/6))/√3."""
    random = np.random.default_rng(4)
    found = verdict(
        random.normal(size=(2500, 1)), random.normal(1, 1, size=(2500, 1)), bandwidth=1, permutations=49
    )
    expected = (2 * (1 - np.exp(-1 / 6)) / 3**0.5) ** 0.5

    assert found.interval[0] < expected < found.interval[1]
    assert pytest.approx(expected, rel=0.05) == found.effect


@pytest.mark.parametrize("law", ["normal", "cauchy", "discrete"])
def test_the_level_holds(law: str) -> None:
    """On two samples of one law 5 % are significant, within three binomial deviations."""
    draw = {
        "normal": lambda random, rows: random.normal(size=(rows, 4)),
        "cauchy": lambda random, rows: random.standard_cauchy(size=(rows, 2)),
        "discrete": lambda random, rows: random.integers(0, 3, size=(rows, 2)).astype(float),
    }[law]
    rejected = []
    for seed in range(400):
        random = np.random.default_rng(seed)
        found = verdict(draw(random, 30), draw(random, 25), permutations=199)
        rejected.append(found.p_value <= 0.05)

    assert abs(np.mean(rejected) - 0.05) < 3 * (0.05 * 0.95 / 400) ** 0.5


def test_the_interval_covers() -> None:
    """At a true shift the 95 % interval of MMD² holds the closed form's value 95 % of the time or nearly."""
    truth = (2 * (1 - np.exp(-1 / 6)) / 3**0.5) ** 0.5
    covered = []
    for seed in range(200):
        random = np.random.default_rng(seed)
        found = verdict(
            random.normal(size=(80, 1)), random.normal(1, 1, size=(60, 1)), bandwidth=1, permutations=49
        )
        covered.append(found.interval[0] <= truth <= found.interval[1])

    assert np.mean(covered) > 0.91


def test_p_values_beyond_the_permutations_follow_their_tail() -> None:
    """Where 999 permutations see nothing as large, p is within a factor of 5 of 50,000 permutations'."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(60, 3)), random.normal(0.55, 1, size=(60, 3))
    many = verdict(x, y, permutations=50_000)
    few = [verdict(x, y, seed=seed) for seed in range(5)]

    assert many.counted
    assert many.p_value < 0.001
    assert not any(found.counted for found in few)
    assert all(many.p_value / 5 < found.p_value < many.p_value * 5 for found in few)


def test_any_resolution_can_be_had() -> None:
    """Samples far apart have a p far below one in the number of permutations, and never 0."""
    p_value = verdict(REFERENCE, REFERENCE[:30] + 10).p_value

    assert 1e-300 <= p_value < 1e-6


def test_rotation_shift_and_one_scale_for_all_change_nothing() -> None:
    """Distances alone count."""
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    expected = verdict(REFERENCE, CURRENT).mmd2

    assert (
        pytest.approx(expected) == verdict(*(5 * side @ rotation + 100 for side in (REFERENCE, CURRENT))).mmd2
    )


def test_the_order_of_rows_does_not_matter() -> None:
    """Shuffled rows give the identical verdict."""
    assert verdict(REFERENCE, CURRENT) == verdict(REFERENCE[::-1], np.roll(CURRENT, 7, axis=0))


def test_equal_rows_everywhere_are_no_drift() -> None:
    """Samples of one constant have effect 0 and p 1."""
    found = verdict(np.ones((30, 2)), np.ones((25, 2)))

    assert (0.0, 1.0) == (found.effect, found.p_value)


def test_mostly_equal_rows_still_have_a_bandwidth() -> None:
    """With a median distance of 0 the mean of the other distances stands in."""
    rows = np.zeros((40, 1))
    rows[:5] = 3

    assert verdict(rows, np.zeros((40, 1))).bandwidth == 3


def test_what_does_not_fit_is_one_error() -> None:
    """Shape, finiteness and settings are checked together."""
    with pytest.raises(InputError) as caught:
        mmd(np.full((30, 2), np.nan), np.ones((30, 3)), bandwidth=0, permutations=0)

    assert ["reference", "current", "bandwidth", "permutations"] == [
        problem.where for problem in caught.value.problems
    ]


def test_too_few_rows_are_no_data() -> None:
    """Below 20 rows a side there is a reason; at 20 a number."""
    assert mmd(REFERENCE, CURRENT[:19]) == NoData("20 rows a side are needed; reference has 40, current 19")
    assert isinstance(mmd(REFERENCE, CURRENT[:20]), MmdVerdict)
