from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.laws import METHODS, design_effect, p_value
from monitors.laws.two_proportions import p_value as two_proportions

EDGES = (-np.inf, -3.0, -3.0, 0.0, 1e-300, 7.0, 1e308, np.inf)
BINS = len(EDGES) - 1
rows = st.lists(st.integers(0, 10**9) | st.integers(0, 5), min_size=BINS, max_size=BINS).filter(any)


def law(method: str) -> dict[str, tuple[float, ...]]:
    """What the method needs besides counts."""
    return {"edges": EDGES} if method == "wasserstein" else {}


@pytest.mark.parametrize("method", sorted(METHODS))
@settings(max_examples=60, deadline=None)
@given(reference=rows, current=rows)
def test_every_pair_of_counts_has_a_p_value(method: str, reference: list[int], current: list[int]) -> None:
    """Whatever the counts and sizes, the p-value is in (0, 1], the same again, and 1 for equal sides."""
    found = p_value(method, reference, current, **law(method))

    assert 0 < found <= 1
    assert found == p_value(method, reference, current, **law(method))
    assert 1.0 == p_value(method, reference, reference, **law(method))


@pytest.mark.parametrize("method", ["chi_square", "ks", "l_infinity", "wasserstein"])
@settings(max_examples=60, deadline=None)
@given(reference=rows, current=rows)
def test_the_sides_can_be_exchanged(method: str, reference: list[int], current: list[int]) -> None:
    """Which side is called the reference does not matter where the distance is symmetric."""
    there = p_value(method, reference, current, **law(method))

    assert p_value(method, current, reference, **law(method)) == pytest.approx(there, rel=1e-3)


@pytest.mark.parametrize("method", ["chi_square", "l_infinity"])
@settings(max_examples=40, deadline=None)
@given(reference=rows, current=rows, order=st.permutations(range(BINS)))
def test_the_order_of_categories_does_not_matter(
    method: str, reference: list[int], current: list[int], order: list[int]
) -> None:
    """The closed forms do not look at the order of the cells."""
    moved = p_value(method, [reference[i] for i in order], [current[i] for i in order])

    assert p_value(method, reference, current) == pytest.approx(moved, rel=0.3)


@settings(max_examples=100, deadline=None)
@given(n=st.integers(1, 10**9), m=st.integers(1, 10**5), data=st.data())
def test_two_proportions_always_have_a_p_value(n: int, m: int, data: st.DataObject) -> None:
    """Any number of hits on either side has a p-value in (0, 1], and equal shares have 1."""
    a, b = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))

    assert 0 < two_proportions(a, n, b, m) <= 1
    assert two_proportions(b, m, b, m) == pytest.approx(1.0, abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(0, 1000), min_size=3, max_size=3), max_size=8).filter(len))
def test_the_design_effect_is_at_least_one(blocks: list[list[int]]) -> None:
    """φ is a finite number of at least 1 or typed no data, and no smaller for ordered cells."""
    found, ordered = design_effect(blocks), design_effect(blocks, ordered=True)

    if isinstance(found, float) and isinstance(ordered, float):
        assert 1 <= found <= ordered < np.inf
    else:
        assert found == ordered
