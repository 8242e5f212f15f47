from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ks_2samp

from monitors.laws.kolmogorov import p_value
from spec.errors import DataError


def scipy_p(distance: float, n: int, m: int) -> float:
    """SciPy's exact p-value of two samples with this distance."""
    first = np.arange(n, dtype=float)
    shifted = round(distance * m)
    second = np.concatenate((np.full(shifted, -1.0), np.linspace(0.5, n - 0.5, m - shifted)))
    found = ks_2samp(first, second, method="exact")
    return float(found.statistic), float(found.pvalue)


@pytest.mark.parametrize(("n", "m"), [(20, 20), (30, 57), (100, 100), (7, 190), (1, 5), (99, 101)])
@pytest.mark.parametrize("share", [0.05, 0.2, 0.4, 0.7, 1.0])
def test_small_samples_are_exact(n: int, m: int, share: float) -> None:
    """Up to 200 rows the p-value is SciPy's exact one, to nine digits, down to 1e-50 and less."""
    distance, expected = scipy_p(share, n, m)

    assert p_value(distance, n, m) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(150, 150), (1_000, 50), (500, 499), (1_500, 700), (2_000, 20)])
@pytest.mark.parametrize("aim", [0.3, 0.05, 1e-3, 1e-5])
def test_larger_samples_are_close_to_exact(n: int, m: int, aim: float) -> None:
    """Beyond 200 rows the limit is within 20 % of the exact value; twice it with 20 rows on one side."""
    distance = math.sqrt(-math.log(aim / 2) / 2 * (n + m) / (n * m))
    distance, expected = scipy_p(min(1.0, distance), n, m)
    found = p_value(distance, n, m)

    assert found >= 0.95 * expected
    assert found <= 1.2 * expected or (m == 20 and found <= 2.2 * expected)


def test_one_row_a_side_has_no_evidence() -> None:
    """Two rows, however far apart, are told nothing of: p is 1."""
    assert 1.0 == p_value(1.0, 1, 1)


def test_distance_nothing_is_certain_and_far_ones_are_not_zero() -> None:
    """The p-value is 1 at distance 0, falls with the distance, and is never 0."""
    found = [p_value(distance, 1e7, 1e7) for distance in (0.0, 0.0005, 0.001, 0.01, 0.5, 1.0)]

    assert 1.0 == found[0]
    assert found == sorted(found, reverse=True)
    assert 0 < found[-1] <= 1e-300


def test_wrong_sizes_and_distances_are_told_together() -> None:
    """An empty side and an impossible distance come as one error."""
    with pytest.raises(DataError) as raised:
        p_value(1.5, 0, math.nan)

    assert ["n", "m", "distance"] == [problem.where for problem in raised.value.problems]
