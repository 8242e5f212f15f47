"""What holds for every statistic and any counts."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import ecdf, wasserstein_distance

from monitors.distances import METHODS, Method, ks, ks_within, wasserstein, wasserstein_measured

Pair = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
DIVERGENCES = ["jensenshannon", "hellinger", "total_variation", "chi_square"]
ALL = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
numbers = st.integers(0, 5) | st.integers(0, 10**6) | st.integers(0, 2**50)
reals = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))


@st.composite
def pairs(draw: st.DrawFn) -> Pair:
    """Counts of two sides by the same one to twelve bins, at least a row on each side."""
    bins = draw(st.integers(1, 12))
    sides = [np.array(draw(st.lists(numbers, min_size=bins, max_size=bins))) for _ in range(2)]
    assume(all(side.sum() for side in sides))
    return sides[0], sides[1]


def distance(method: Method, reference: npt.ArrayLike, current: npt.ArrayLike, unit: float = 1.0) -> float:
    """Any statistic of counts; for Wasserstein the bins are 2 units wide, scale and ends in the same unit."""
    if method.name != "wasserstein":
        return method.function(reference, current)
    edges = np.arange(len(np.asarray(reference)) + 1) * 2 * unit
    return wasserstein(reference, current, edges, 3 * unit, 0.0, edges[-1])


@ALL
@settings(max_examples=30, deadline=None)
@given(pair=pairs())
def test_a_distance_is_finite_and_in_its_range(method: Method, pair: Pair) -> None:
    """Whatever the counts, there is a number, from 0 to the end of the documented range."""
    found = distance(method, *pair)

    assert math.isfinite(found)
    assert 0 <= found <= method.most + 1e-15


@ALL
@settings(max_examples=30, deadline=None)
@given(pair=pairs(), factor=st.integers(1, 1000))
def test_equal_shares_score_zero(method: Method, pair: Pair, factor: int) -> None:
    """A side has no distance from itself, nor from itself so many times."""
    assert distance(method, pair[0], pair[0]) == 0
    assert distance(method, pair[0], pair[0] * factor) == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize(
    "method", [method for method in METHODS.values() if method.symmetric], ids=lambda method: method.name
)
@settings(max_examples=30, deadline=None)
@given(pair=pairs())
def test_sides_may_be_swapped(method: Method, pair: Pair) -> None:
    """A statistic that is said to be symmetric is."""
    assert distance(method, *pair) == pytest.approx(distance(method, *pair[::-1]), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", DIVERGENCES)
@settings(max_examples=30, deadline=None)
@given(pair=pairs(), data=st.data())
def test_merging_bins_never_raises_a_divergence(name: str, pair: Pair, data: st.DataObject) -> None:
    """What coarser bins cannot see is not counted twice (the data processing inequality)."""
    bins = len(pair[0])
    group = data.draw(st.lists(st.integers(0, 3), min_size=bins, max_size=bins))
    merged = [np.bincount(group, weights=side) for side in pair]
    method = METHODS[name]

    assert distance(method, *merged) <= distance(method, *pair) + 1e-7


@pytest.mark.parametrize("name", ["psi", "kl_div"])
@settings(max_examples=30, deadline=None)
@given(pair=pairs(), data=st.data())
def test_merging_bins_raises_a_smoothed_divergence_by_the_smoothing_only(
    name: str, pair: Pair, data: st.DataObject
) -> None:
    """Where no bin is empty, neither index grows by more than half a row of the smaller side is to a bin."""
    bins = len(pair[0])
    group = data.draw(st.lists(st.integers(0, 3), min_size=bins, max_size=bins))
    filled = [(side.astype(float) + 1) * 1e9 for side in pair]
    merged = [np.bincount(group, weights=side) for side in filled]
    method = METHODS[name]
    half_a_row = 0.5 / min(side.sum() for side in filled)
    smoothing = 2 * bins * half_a_row / min((side / side.sum()).min() for side in filled)

    assert distance(method, *merged) <= distance(method, *filled) + smoothing + 1e-7


@pytest.mark.parametrize(
    "method", [m for m in METHODS.values() if not m.ordered], ids=lambda method: method.name
)
@settings(max_examples=30, deadline=None)
@given(pair=pairs(), data=st.data())
def test_the_order_of_unordered_bins_is_irrelevant(method: Method, pair: Pair, data: st.DataObject) -> None:
    """Categories have no order."""
    order = data.draw(st.permutations(range(len(pair[0]))))
    shuffled = [side[np.array(order)] for side in pair]

    assert distance(method, *shuffled) == pytest.approx(distance(method, *pair), rel=1e-9, abs=1e-7)


@ALL
@settings(max_examples=30, deadline=None)
@given(pair=pairs())
def test_a_row_where_the_reference_has_none_lowers_nothing_but_by_its_dilution(
    method: Method, pair: Pair
) -> None:
    """One more row, in a bin beyond all others, takes at most one row in m from any statistic."""
    reference, current = (np.append(side, 0) for side in pair)
    more = current.copy()
    more[-1] += 1
    before, after = distance(method, reference, current), distance(method, reference, more)
    most_lost = {"wasserstein": 2 * len(more) / 3, "ks": 1.0, "l_infinity": 1.0}.get(method.name, 2 * before)

    assert after >= before - most_lost / min(current.sum(), reference.sum()) - 1e-9


@pytest.mark.parametrize("name", DIVERGENCES)
@settings(max_examples=30, deadline=None)
@given(pair=pairs())
def test_a_row_where_the_reference_has_none_never_lowers_a_divergence(name: str, pair: Pair) -> None:
    """Jensen-Shannon, Hellinger, total variation and V do not even lose the dilution of one row."""
    reference, current = (np.append(side, 0) for side in pair)
    more = current.copy()
    more[-1] += 1
    method = METHODS[name]

    assert distance(method, reference, more) >= distance(method, reference, current) - 1e-9


@settings(max_examples=30, deadline=None)
@given(pair=pairs(), unit=st.floats(1e-9, 1e9))
def test_a_change_of_unit_changes_nothing(pair: Pair, unit: float) -> None:
    """Metres or feet, the normed Wasserstein distance is the same."""
    method = METHODS["wasserstein"]

    assert distance(method, *pair, unit=unit) == pytest.approx(distance(method, *pair), rel=1e-9, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(
    reference=st.lists(reals, min_size=1, max_size=30),
    current=st.lists(reals, min_size=1, max_size=30),
    inner=st.lists(reals, min_size=1, max_size=10, unique=True),
)
def test_ordered_statistics_are_scipys_within_their_bounds(
    reference: list[float], current: list[float], inner: list[float]
) -> None:
    """Any values in any bins: the bounds hold."""
    edges = np.array([-np.inf, *sorted(inner), np.inf])
    low, high = (min(reference), min(current)), (max(reference), max(current))
    sides = [
        np.bincount(np.searchsorted(edges[1:-1], side, side="right"), minlength=len(edges) - 1)
        for side in (reference, current)
    ]

    area, area_within = wasserstein_measured(*sides, edges, 1.0, low, high)
    places = [*reference, *current]
    below, below_current = (ecdf(side).cdf.evaluate(places) for side in (reference, current))
    exact = np.abs(below - below_current).max()

    assert area == pytest.approx(wasserstein_distance(reference, current), abs=area_within + 1e-6)
    assert ks(*sides) - 1e-9 <= exact <= ks(*sides) + ks_within(*sides) + 1e-9
