from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retraining.metrics import upper_bound


def coverage(days: int, confidence: float, worlds: int = 400) -> float:
    """Return how often the bound lies above a true mean of 0, with days that differ among themselves."""
    rng = np.random.default_rng(days)
    hits = 0
    for world in range(worlds):
        sizes = rng.integers(5, 40, days)
        index = np.repeat(np.arange(days), sizes)
        values = np.repeat(rng.normal(0, 1, days), sizes) + rng.normal(0, 2, sizes.sum())
        hits += upper_bound(values, index, confidence, seed=world) >= 0
    return hits / worlds


@pytest.mark.parametrize("days", [5, 7, 14])
def test_the_bound_keeps_its_confidence(days: int) -> None:
    """With as few days as a holdout has, the 95 % bound covers the truth at least 92 times in 100."""
    assert 0.92 <= coverage(days, 0.95) <= 0.99


@given(st.floats(-100, 100), st.floats(0.01, 100), st.integers(2, 20), st.integers(0, 10**6))
def test_the_bound_follows_shift_and_scale(shift: float, scale: float, days: int, seed: int) -> None:
    """Adding a constant moves the bound by it; another unit scales it."""
    values = np.random.default_rng(seed).normal(size=days * 5)
    index = np.arange(days * 5) % days
    bound = upper_bound(values, index, 0.9)

    assert bound + shift == pytest.approx(upper_bound(values + shift, index, 0.9), abs=1e-9)
    assert bound * scale == pytest.approx(upper_bound(values * scale, index, 0.9), rel=1e-9, abs=1e-9)


@given(st.integers(0, 10**6))
def test_more_confidence_is_a_higher_bound(seed: int) -> None:
    """The bound rises with the confidence that is asked of it."""
    values = np.random.default_rng(seed).normal(size=60)
    index = np.arange(60) % 6

    bounds = [upper_bound(values, index, confidence) for confidence in (0.6, 0.9, 0.99)]

    assert bounds == sorted(bounds)
    assert values.mean() <= bounds[0]
