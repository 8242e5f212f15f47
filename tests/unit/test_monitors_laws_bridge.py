from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import binomtest, expon, norm

from monitors.laws import bridge
from monitors.laws.saddlepoint import tail
from monitors.laws.tables import Table

Array = npt.NDArray[np.float64]
LEVELS = np.arange(1, 40) / 40
GAPS = {
    "uniform": np.full(39, 1 / 40),
    "normal": np.diff(norm.ppf((np.arange(40) + 0.5) / 40)),
    "exponential": np.diff(expon.ppf((np.arange(40) + 0.5) / 40)),
    "one step": np.where(np.arange(39) == 11, 1.0, 0.0),
}


@cache
def brute(shape: str) -> Array:
    """200,000 independent draws of the norm of the bridge, sorted."""
    generator = np.random.default_rng(30)
    found = []
    for _ in range(10):
        walk = np.cumsum(generator.standard_normal((20_000, 40)) / math.sqrt(40), axis=1)
        found.append(np.abs(walk[:, :-1] - LEVELS * walk[:, -1:]) @ GAPS[shape])
    return np.sort(np.concatenate(found))


@pytest.mark.parametrize("shape", sorted(GAPS))
@pytest.mark.parametrize("p", [0.5, 0.1, 0.01, 1e-3, 1e-4])
def test_the_norm_of_the_bridge_agrees_with_brute_force(shape: str, p: float) -> None:
    """Down to 1e-4 the tail is that of 200,000 draws: 12 % and four standard errors of the draws."""
    size = float(brute(shape)[-int(p * 200_000)])
    found = bridge.norm_tail(size, LEVELS, GAPS[shape])

    assert abs(math.log(found / p)) < 0.12 + 4 / math.sqrt(p * 200_000)


def test_the_norm_of_the_uniform_bridge_is_that_of_the_table() -> None:
    """∫|B| of the uniform has the published 90, 95 and 99 % points 0.4994, 0.5821 and 0.7518."""
    levels = np.arange(1, 500) / 500
    for p, point in ((0.1, 0.4994), (0.05, 0.5821), (0.01, 0.7518)):
        assert bridge.norm_tail(point, levels, np.full(499, 1 / 500)) == pytest.approx(p, rel=0.12)


def test_a_column_of_two_values_has_the_normal_law() -> None:
    """One step is one normal deviate: the tail is exactly two-sided normal at 1e-12."""
    size = 7.0 * math.sqrt(0.3 * 0.7)

    found = bridge.norm_tail(size, np.array([0.3]), np.array([1.0]))
    assert found == pytest.approx(2 * norm.sf(7.0), rel=0.15)


def test_the_unit_and_an_extreme_border_do_not_matter() -> None:
    """Edges in millions, shifted, or next to the largest float give the same p-value, and a finite one."""
    reference, current = np.array([400.0, 500, 100]), np.array([350.0, 520, 130])
    edges = np.array([0.0, 1.0, 2.0, 3.0])
    expected = bridge.p_value(Table(reference, current), edges)

    assert bridge.p_value(Table(reference, current), 1e6 * edges - 7e5) == pytest.approx(expected)
    assert bridge.p_value(Table(reference, current), [0.0, 5e307, 1e308, 1.5e308]) == pytest.approx(expected)
    assert 0 < bridge.p_value(Table(reference, current), [-np.inf, -1.7e308, 1.7e308, np.inf]) <= 1


def test_open_bins_reach_to_the_extremes_or_to_a_neighbours_width() -> None:
    """Rows beyond the outer edges stand half a neighbour's width outside, or half way to the extreme."""
    edges = np.array([-np.inf, 0.0, 1.0, np.inf])
    near = bridge.positions(edges, 3)
    far = bridge.positions(edges, 3, low=-9.0, high=9.0)

    assert [-0.5, 0.5, 1.5] == list(near)
    assert [-4.5, 0.5, 5.0] == list(far * 9.0)
    assert [0.0] == list(bridge.positions(np.array([-np.inf, np.inf]), 1))


@pytest.mark.parametrize(
    ("hits", "share", "m"), [(1, 1e-3, 1), (3, 1e-4, 100), (12, 0.02, 200), (60, 0.1, 300)]
)
def test_the_saddlepoint_tail_is_the_binomial_one(hits: int, share: float, m: int) -> None:
    """For an indicator and a very large reference it is the exact binomial tail, of one row or of sixty."""
    n = 10_000_000.0
    counts = Table(np.array([n * (1 - share), n * share]), np.array([float(m - hits), float(hits)]))
    exact = binomtest(hits, m, share, alternative="greater").pvalue

    assert exact * 0.8 <= tail(np.array([0.0, 1.0]), counts) <= 1.5 * exact


def test_the_saddlepoint_tail_is_normal_for_many_small_rows() -> None:
    """With many rows of bounded values it is the one-sided normal tail of the difference of means."""
    counts = Table(np.full(10, 100_000.0), 100 * np.linspace(95, 105, 10))
    values = np.arange(10.0)
    pooled = counts.pooled
    deviation = math.sqrt(pooled @ (values - pooled @ values) ** 2)
    z = (values @ counts.current / counts.m - values @ counts.reference / counts.n) / deviation
    expected = norm.sf(z / math.sqrt(1 / counts.m + 1 / counts.n))

    assert tail(values, counts) == pytest.approx(expected, rel=0.03)
    assert 1.0 == tail(-values, counts) == tail(np.ones(10), counts)
