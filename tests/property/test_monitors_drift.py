from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.drift import distance
from monitors.finding import NoData
from spec.model import DriftMethod

numbers = st.lists(st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, 1.0]), max_size=40)
words = st.lists(st.sampled_from(["a", "b", "c", "", "ü"]) | st.none() | st.text(max_size=3), max_size=40)
CATEGORICAL = [method for method in DriftMethod if method is not DriftMethod.WASSERSTEIN]


@pytest.mark.parametrize("method", list(DriftMethod))
@settings(max_examples=60, deadline=None)
@given(reference=numbers, current=numbers)
def test_numbers_have_a_finite_distance_or_a_reason(
    method: DriftMethod, reference: list[float], current: list[float]
) -> None:
    """Whatever the values of a numeric column, the score is finite and at least 0, or typed no data."""
    score = distance(pd.Series(reference, dtype=float), pd.Series(current, dtype=float), method, numeric=True)

    assert isinstance(score, NoData) or (math.isfinite(score) and score >= 0)


@pytest.mark.parametrize("method", CATEGORICAL)
@settings(max_examples=60, deadline=None)
@given(reference=words, current=words)
def test_categories_have_a_finite_distance_or_a_reason(
    method: DriftMethod, reference: list[str | None], current: list[str | None]
) -> None:
    """Whatever the values of a categorical column, the score is finite and at least 0, or typed no data."""
    score = distance(
        pd.Series(reference, dtype="str"), pd.Series(current, dtype="str"), method, numeric=False
    )

    assert isinstance(score, NoData) or (math.isfinite(score) and score >= 0)
