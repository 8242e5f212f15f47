"""Kolmogorov-Smirnov and Wasserstein out of bins, against SciPy on the values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import ks_2samp, wasserstein_distance

from monitors.distances import ks, ks_within, wasserstein, wasserstein_measured
from spec import DataError

Values = npt.NDArray[np.float64]
NORMAL = np.random.default_rng(0).normal(size=4000)
SHIFTED = np.random.default_rng(1).normal(0.1, 1.2, size=3000)


def quantile_edges(values: Values, bins: int) -> Values:
    """Edges of about equal mass, open at both ends."""
    inner = np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1])
    return np.concatenate([[-np.inf], inner, [np.inf]])


def counted(values: Values, edges: Values) -> npt.NDArray[np.int64]:
    """How many values each bin holds; a bin includes its left edge."""
    found = np.searchsorted(edges[1:-1], values, side="right")
    return np.bincount(found, minlength=len(edges) - 1)


def measured(reference: Values, current: Values, edges: Values, **more: object) -> tuple[float, float]:
    """The distance of two samples out of their bins, in units of 1, and its bound."""
    low, high = (reference.min(), current.min()), (reference.max(), current.max())
    return wasserstein_measured(
        counted(reference, edges), counted(current, edges), edges, 1.0, low, high, **more
    )  # type: ignore[arg-type]


def test_wasserstein_by_hand() -> None:
    """Everything moved by one bin of width 2: the distance is 2, and half of it in a unit twice as large."""
    edges = [0, 2, 4, 6]

    assert wasserstein([8, 8, 0], [0, 8, 8], edges, 1.0, (0, 2), (4, 6)) == pytest.approx(2)
    assert wasserstein([8, 8, 0], [0, 8, 8], edges, 2.0, (0, 2), (4, 6)) == pytest.approx(1)


def test_wasserstein_integrates_a_crossing_exactly() -> None:
    """From ½ before to ½ behind the other over a width of 2, the areas are two triangles of ¼ each."""
    distance = wasserstein([0, 100, 0], [50, 0, 50], [-1, 0, 2, 3], 1.0, -1, 3)

    assert distance == pytest.approx(0.25 + 0.5 + 0.25, abs=0.02)


@pytest.mark.parametrize("bins", [5, 20, 100, 512])
def test_wasserstein_is_scipys_within_its_bound(bins: int) -> None:
    """The more bins, the closer to the distance of the values; never farther than the bound says."""
    edges = quantile_edges(NORMAL, bins)

    distance, within = measured(NORMAL, SHIFTED, edges)

    assert distance == pytest.approx(wasserstein_distance(NORMAL, SHIFTED), abs=within)
    assert within < 20 / bins


def test_wasserstein_of_whole_numbers_is_exact() -> None:
    """Bins of one value each have no width to be wrong in."""
    random = np.random.default_rng(2)
    reference, current = random.poisson(3, 900).astype(float), random.poisson(3.3, 500).astype(float)
    edges = np.concatenate([[-np.inf], np.arange(-0.5, 20), [np.inf]])
    atoms = np.diff(edges) == 1

    distance, within = measured(reference, current, edges, atoms=atoms)

    assert distance == pytest.approx(wasserstein_distance(reference, current), rel=1e-12)
    assert within == 0


@pytest.mark.parametrize("extreme", [1e6, -1e6])
def test_wasserstein_knows_where_the_outermost_rows_are(extreme: float) -> None:
    """One absurd row counts with its whole distance, though its bin has no end."""
    edges = np.concatenate([[-np.inf], np.linspace(-8, 8, 400), [np.inf]])
    current = np.append(SHIFTED, extreme)

    distance, within = measured(NORMAL, current, edges)

    assert distance == pytest.approx(wasserstein_distance(NORMAL, current), rel=1e-4)
    assert within < 0.05


@pytest.mark.parametrize("values", [[3.0], [-20.0], [-3.0, 25.0]])
def test_wasserstein_of_one_or_two_rows(values: list[float]) -> None:
    """The smallest and the largest row are known exactly, so that a side of two rows is."""
    current = np.array(values)

    distance, within = measured(NORMAL, current, quantile_edges(NORMAL, 512))

    assert distance == pytest.approx(wasserstein_distance(NORMAL, current), abs=within)
    assert within < 0.02


def test_wasserstein_of_the_widest_floats_is_finite() -> None:
    """A range that is no float still gives a number."""
    edges = np.array([-np.inf, -1e308, 0, 1e308, np.inf])

    distance, within = wasserstein_measured([1, 1, 1, 1], [0, 0, 0, 9], edges, 1e-5, -1.7e308, 1.7e308)

    assert np.isfinite([distance, within]).all()
    assert distance > 1e200


@pytest.mark.parametrize("scale", [0.0, -1.0, np.inf, np.nan])
def test_a_scale_that_is_no_unit_is_refused(scale: float) -> None:
    """A constant reference has no deviation to measure in."""
    with pytest.raises(DataError, match="above 0 and finite"):
        wasserstein([1, 2], [2, 1], [0, 1, 2], scale, 0, 2)


def test_ks_by_hand() -> None:
    """Half of the rows lie in the first bin against a quarter: the largest difference is a quarter."""
    assert ks([2, 1, 1], [1, 2, 1]) == 0.25


def test_ks_of_whole_numbers_is_scipys() -> None:
    """Where every bin is one value the statistic is exact, and known to be."""
    random = np.random.default_rng(3)
    reference, current = random.poisson(4, 800), random.poisson(4.5, 300)
    sides = [np.bincount(side, minlength=30) for side in (reference, current)]

    assert ks(*sides) == pytest.approx(ks_2samp(reference, current).statistic, rel=1e-12)
    assert ks_within(*sides, np.ones(30, dtype=bool)) == 0


@pytest.mark.parametrize("bins", [5, 20, 100, 512])
def test_ks_is_scipys_within_its_bound(bins: int) -> None:
    """The bins' statistic is never larger than the values', and smaller by no more than the bound."""
    edges = quantile_edges(NORMAL, bins)
    sides = counted(NORMAL, edges), counted(SHIFTED, edges)
    exact = ks_2samp(NORMAL, SHIFTED).statistic

    assert ks(*sides) <= exact + 1e-12
    assert exact <= ks(*sides) + ks_within(*sides) + 1e-12
    assert ks_within(*sides) <= max((side / side.sum()).max() for side in sides)
