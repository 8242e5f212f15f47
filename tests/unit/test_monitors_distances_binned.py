"""The statistics of unordered bins against numbers worked out by hand and against SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon as scipy_jensenshannon
from scipy.stats import chi2_contingency, entropy

from monitors.distances import (
    METHODS,
    chi_square,
    hellinger,
    jensenshannon,
    kl_div,
    l_infinity,
    of_name,
    psi,
    total_variation,
)
from spec import DataError, InputError

BINNED = [method for method in METHODS.values() if not method.ordered]
REFERENCE = np.array([400, 300, 200, 100, 0])
CURRENT = np.array([120, 180, 150, 40, 10])


def test_total_variation_is_the_share_of_rows_to_move() -> None:
    """Of (½, ½) and (¾, ¼), a quarter of the rows has to move."""
    assert total_variation([2, 2], [3, 1]) == 0.25


def test_l_infinity_is_the_largest_change_of_a_share() -> None:
    """Of (0.5, 0.3, 0.2) and (0.2, 0.4, 0.4) the first share changed most, by 0.3."""
    assert l_infinity([5, 3, 2], [2, 4, 4]) == pytest.approx(0.3, abs=1e-15)


def test_hellinger_by_hand() -> None:
    """Of (½, ½) and (1, 0) it is √(1 - √½)."""
    assert hellinger([1, 1], [1, 0]) == pytest.approx(math.sqrt(1 - math.sqrt(0.5)), rel=1e-14)


def test_jensenshannon_by_hand() -> None:
    """Of (½, ½) and (1, 0) the divergence is ¾ ln(4/3)."""
    assert jensenshannon([1, 1], [1, 0]) ** 2 == pytest.approx(0.75 * math.log(4 / 3), rel=1e-14)


def test_chi_square_by_hand() -> None:
    """Of (½, ½) and (1, 0) it is √⅓."""
    assert chi_square([1, 1], [1, 0]) == pytest.approx(math.sqrt(1 / 3), rel=1e-14)


def test_psi_by_hand() -> None:
    """Of 10 rows each, (10, 0) and (5, 5) are smoothed to (21, 1) / 22 and (11, 11) / 22."""
    expected = (10 / 22) * math.log(21 / 11) + (-10 / 22) * math.log(1 / 11)

    assert psi([10, 0], [5, 5]) == pytest.approx(expected, rel=1e-14)


def test_kl_div_by_hand() -> None:
    """Of 10 rows each, (10, 0) and (5, 5) are smoothed to (21, 1) / 22 and (11, 11) / 22."""
    expected = (21 / 22) * math.log(21 / 11) + (1 / 22) * math.log(1 / 11)

    assert kl_div([10, 0], [5, 5]) == pytest.approx(expected, rel=1e-14)


def test_jensenshannon_is_scipys() -> None:
    """The root of the divergence in nats, zeros included."""
    assert jensenshannon(REFERENCE, CURRENT) == pytest.approx(
        scipy_jensenshannon(REFERENCE, CURRENT), rel=1e-12
    )


def test_kl_div_tends_to_scipys_entropy() -> None:
    """What the smoothing adds vanishes as one over the rows."""
    p, q = np.array([5, 3, 2]), np.array([3, 3, 4])
    gaps = [abs(kl_div(p * size, q * size) - entropy(p, q)) for size in (10**2, 10**4, 10**6)]

    assert gaps[2] < 1e-6
    assert gaps[0] > 50 * gaps[1] > 2500 * gaps[2]


def test_psi_tends_to_the_unsmoothed_index() -> None:
    """What the smoothing takes away vanishes as one over the rows; the index is both entropies together."""
    p, q = np.array([5, 3, 2]), np.array([3, 3, 4])
    unsmoothed = entropy(p, q) + entropy(q, p)
    gaps = [abs(psi(p * size, q * size) - unsmoothed) for size in (10**2, 10**4, 10**6)]

    assert gaps[2] < 1e-6
    assert gaps[0] > 50 * gaps[1] > 2500 * gaps[2]


def test_the_smoothing_of_equal_sizes_is_half_a_row_a_bin() -> None:
    """With as many rows on both sides it is the rule of Krichevsky and Trofimov."""
    p, q = np.array([50, 40, 10, 0]), np.array([20, 30, 30, 20])
    smooth_p, smooth_q = (p + 0.5) / (p + 0.5).sum(), (q + 0.5) / (q + 0.5).sum()

    assert kl_div(p, q) == pytest.approx(entropy(smooth_p, smooth_q), rel=1e-12)


@pytest.mark.parametrize("method", ["psi", "kl_div"])
def test_smoothing_makes_no_difference_out_of_unequal_sizes(method: str) -> None:
    """A hundred rows and a million with the same shares, and bins that are empty on both sides, score 0."""
    shares = np.array([50, 30, 20] + [0] * 20)

    assert METHODS[method].function(shares, shares * 10_000) == pytest.approx(0, abs=1e-15)


def test_chi_square_is_cramers_v_for_equal_sizes() -> None:
    """For as many rows on both sides it is the root of χ² over all rows."""
    halved = CURRENT * 2
    table = np.array([REFERENCE, halved])
    expected = math.sqrt(chi2_contingency(table, correction=False).statistic / table.sum())

    assert chi_square(REFERENCE, halved) == pytest.approx(expected, rel=1e-12)


def test_chi_square_does_not_change_with_the_ratio_of_the_sizes() -> None:
    """A hundred times the reference is the same effect, where V of the counts would fall to a fraction."""
    assert chi_square(REFERENCE * 100, CURRENT) == pytest.approx(chi_square(REFERENCE, CURRENT), rel=1e-12)


@pytest.mark.parametrize("method", BINNED, ids=lambda method: method.name)
def test_many_pairs_at_once_are_the_pairs_one_by_one(method: object) -> None:
    """A simulation may hand over thousands of tables in one array."""
    drawn = np.random.default_rng(0).multinomial(50, [0.1, 0.2, 0.3, 0.4, 0], size=(2, 3, 4)).astype(float)

    many = method.of_many(drawn[0], drawn[1])  # type: ignore[attr-defined]

    assert many.shape == (3, 4)
    assert many[2, 1] == pytest.approx(method.function(drawn[0, 2, 1], drawn[1, 2, 1]), rel=1e-14)  # type: ignore[attr-defined]


def test_bad_counts_are_refused_with_everything_that_is_wrong() -> None:
    """Both sides are named at once, with what was found."""
    with pytest.raises(DataError) as raised:
        psi([0, 0], [-1, 3])

    assert [problem.where for problem in raised.value.problems] == ["reference counts", "current counts"]
    assert "a minimum of -1" in str(raised.value)


@pytest.mark.parametrize("counts", [[], [np.nan, 1], [np.inf, 1], [0.0]])
def test_counts_that_count_nothing_are_refused(counts: list[float]) -> None:
    """No bins, no rows and what is no number have no distance."""
    with pytest.raises(DataError):
        hellinger(counts, counts)


def test_counts_of_other_bins_are_refused() -> None:
    """Three bins cannot be compared with two."""
    with pytest.raises(DataError, match=r"the same bins.*\(3,\) and \(2,\)"):
        jensenshannon([1, 2, 3], [1, 2])


def test_an_unknown_statistic_is_refused_with_the_closest_name() -> None:
    """The error says what to write instead."""
    with pytest.raises(InputError, match=r"Did you mean 'hellinger'"):
        of_name("helinger")
