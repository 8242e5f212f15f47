from __future__ import annotations

import math

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.comparing.column_pair import ColumnPair, Effect
from monitors.finding import NoData
from monitors.profiles.plan import Kind
from monitors.profiles.planning import make_plan
from monitors.profiles.tally import count
from spec.drift import DriftMethod

numbers = st.lists(st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, 1.0]), max_size=40)
words = st.lists(st.sampled_from(["a", "b", "c", "", "ü"]) | st.none() | st.text(max_size=3), max_size=40)
CATEGORICAL = [method for method in DriftMethod if not method.is_ordered]


def pair(reference: list[object], current: list[object], kind: pa.DataType, name: Kind) -> ColumnPair:
    """Both sides of a column, counted by the plan of the reference."""
    sides = [pa.table({"x": pa.array(side, kind)}) for side in (reference, current)]
    plan = make_plan(sides[0], kinds={"x": name})
    before, now = (count(plan, side.schema, side.to_batches()).columns["x"] for side in sides)
    return ColumnPair(before, now)


def is_sound(sides: ColumnPair, method: DriftMethod) -> bool:
    """Whether the score is finite and at least 0 with a p-value in (0, 1], or both say why there is none."""
    name = sides.method(method.value)
    score, p_value = sides.effect(name), sides.p_value(name)
    if isinstance(score, NoData):
        return isinstance(p_value, NoData)
    assert isinstance(score, Effect)
    return math.isfinite(score.value) and score.value >= 0 and isinstance(p_value, float) and 0 < p_value <= 1


@pytest.mark.parametrize("method", list(DriftMethod))
@settings(max_examples=40, deadline=None)
@given(reference=numbers, current=numbers)
def test_numbers_have_a_finite_distance_or_a_reason(
    method: DriftMethod, reference: list[object], current: list[object]
) -> None:
    """Whatever the values of a numeric column, the score is finite and at least 0, or typed no data."""
    assert is_sound(pair(reference, current, pa.float64(), Kind.NUMERIC), method)


@pytest.mark.parametrize("method", CATEGORICAL)
@settings(max_examples=40, deadline=None)
@given(reference=words, current=words)
def test_categories_have_a_finite_distance_or_a_reason(
    method: DriftMethod, reference: list[object], current: list[object]
) -> None:
    """Whatever the values of a categorical column, the score is finite and at least 0, or typed no data."""
    assert is_sound(pair(reference, current, pa.string(), Kind.CATEGORICAL), method)
