"""The detector contract, held against every distance that a spec may name, as the monitors take it."""

from __future__ import annotations

import pickle

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from monitors.comparing.column_pair import ColumnPair, Effect
from monitors.finding import NoData
from monitors.profiles.planning import make_plan
from monitors.profiles.tally import count
from spec.drift import DriftMethod

METHODS = list(DriftMethod)
Values = npt.NDArray[np.float64]


def normal(rows: int, seed: int, *, shift: float = 0.0) -> Values:
    """A numeric column with mean `shift` and deviation 1."""
    return np.random.default_rng(seed).normal(shift, 1, rows)


def pair(reference: Values, current: Values) -> ColumnPair:
    """Both sides of a column, counted by the plan of the reference."""
    sides = [pa.table({"x": side}) for side in (reference, current)]
    plan = make_plan(sides[0])
    before, now = (count(plan, side.schema, side.to_batches()).columns["x"] for side in sides)
    return ColumnPair(before, now)


def score(reference: Values, current: Values, method: DriftMethod) -> float:
    """The distance, which must exist."""
    found = pair(reference, current).effect(method.value)
    assert isinstance(found, Effect)
    return found.value


@pytest.mark.parametrize("method", METHODS)
def test_the_inputs_are_not_changed(method: DriftMethod) -> None:
    """A distance is pure: it neither sorts, drops nor fills what it is given."""
    reference, current = normal(100, 1), np.array([1.0, np.nan, np.inf, -2.0])
    kept = pickle.dumps((reference, current))

    score(reference, current, method)

    assert pickle.dumps((reference, current)) == kept


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_rows_is_irrelevant(method: DriftMethod) -> None:
    """Shuffled rows have the very same distance."""
    reference, current = normal(500, 1), normal(200, 2, shift=0.5)
    shuffled = np.random.default_rng(0).permutation(current)

    assert score(reference, shuffled, method) == score(reference, current, method)


@pytest.mark.parametrize("method", METHODS)
def test_identical_data_score_zero(method: DriftMethod) -> None:
    """A column compared with itself has not drifted."""
    column = normal(1000, 1)

    assert score(column, column, method) == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_a_change_of_unit_changes_nothing(method: DriftMethod) -> None:
    """Metres or feet, the distance is the same but for the rounding of a cell."""
    reference, current = normal(1000, 1, shift=5), normal(400, 2, shift=5.4)

    scaled = score(reference * 3.28, current * 3.28, method)

    assert scaled == pytest.approx(score(reference, current, method), rel=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_the_score_grows_with_the_shift(method: DriftMethod) -> None:
    """A larger shift has a larger distance."""
    reference = normal(5000, 1)
    scores = [score(reference, normal(2000, 2, shift=shift), method) for shift in (0.0, 0.5, 1.0, 2.0)]

    assert scores == sorted(scores)


@pytest.mark.parametrize("method", METHODS)
def test_one_extreme_row_does_not_lower_the_score(method: DriftMethod) -> None:
    """A drift of one deviation is still seen, all of it but that row's share, when one value is absurd."""
    reference, current = normal(2000, 1), normal(2000, 2, shift=1.0)
    with_one = np.append(current, 1e6)

    assert score(reference, with_one, method) >= score(reference, current, method) * (1 - 2 / len(with_one))


@pytest.mark.parametrize("method", METHODS)
def test_equal_distributions_are_rarely_surprising_and_a_shift_is(method: DriftMethod) -> None:
    """Of 60 equal pairs hardly one has p ≤ 0.001, whatever the method; one deviation has it in each of 10."""
    reference = normal(5000, 0)

    equal = [pair(reference, normal(400, seed)).p_value(method.value) for seed in range(1, 61)]
    moved = [pair(reference, normal(400, seed, shift=1.0)).p_value(method.value) for seed in range(1, 11)]

    assert sum(not isinstance(p, NoData) and p <= 0.001 for p in equal) <= 1
    assert all(not isinstance(p, NoData) and p <= 0.001 for p in moved)


def test_the_default_keeps_false_alarms_rare_at_the_demos_limit() -> None:
    """Windows of 1,600 rows from the reference's own distribution reach 0.3 deviations never in 200."""
    reference = normal(5000, 0)

    alarms = [score(reference, normal(1600, seed), DriftMethod.WASSERSTEIN) >= 0.3 for seed in range(1, 201)]

    assert not any(alarms)


def test_the_default_sees_half_a_deviation_at_the_demos_limit() -> None:
    """A shift of half a deviation reaches the limit of 0.3 in each of 50 windows of 1,600 rows."""
    reference = normal(5000, 0)

    seen = [
        score(reference, normal(1600, seed, shift=0.5), DriftMethod.WASSERSTEIN) >= 0.3
        for seed in range(1, 51)
    ]

    assert all(seen)
