from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import ndtr

from monitors.detectors.e_detector import EDetector, log_e_value
from monitors.detectors.scan import Budget, Scale, levels
from spec.errors import DataError

Sums = npt.NDArray[np.float64]
HOUR = timedelta(hours=1)
ROWS = 100.0


def alarms(totals: Sums, reference: Sums, scales: tuple[Scale, ...]) -> Iterator[int]:
    """Yield the windows of a history at which a look says that the mean of unit normals has moved.

    A window has `ROWS` values; of all it knows its total. The reference is a sample like the windows.
    """
    sums = np.concatenate([[0.0], np.cumsum(totals)])
    for closed in range(1, len(sums)):
        due = [scale for scale in scales if closed % scale.every == 0 and closed >= scale.length]
        if any(
            p_value(sums[closed] - sums[closed - scale.length], scale.length, reference) <= scale.level
            for scale in due
        ):
            yield closed - 1


def p_value(total: float, length: int, reference: Sums) -> float:
    """Compare the mean of so many windows with the reference's."""
    rows = ROWS * length
    z = abs(total / rows - reference[1] / reference[0]) / math.sqrt(1 / rows + 1 / reference[0])
    return 2 * float(ndtr(-z))


def false_alarms(longest: int, histories: int, windows: int, budget: float) -> tuple[float, float]:
    """Mean and standard error of the looks that alarm over histories with a finite reference each."""
    scales = levels(Budget(budget, windows * HOUR), HOUR, columns=1, longest=longest)
    generator = np.random.default_rng(11)
    counts = []
    for _ in range(histories):
        reference = np.array([2_000.0, generator.normal(0, math.sqrt(2_000))])
        totals = generator.normal(0, math.sqrt(ROWS), windows)
        counts.append(sum(1 for _ in alarms(totals, reference, scales)))
    return float(np.mean(counts)), float(np.std(counts) / math.sqrt(histories))


@pytest.mark.parametrize("longest", [1, 16])
def test_the_budget_holds_with_a_shared_finite_reference(longest: int) -> None:
    """Windows that all share one reference's error raise no more false alarms in expectation than allowed."""
    mean, error = false_alarms(longest, histories=250, windows=64, budget=2.0)

    assert mean <= 2.0 + 3 * error
    assert mean > 0.5


def multiplied(shared: bool) -> float:
    """Mean number of alarms in 500 windows of an e-detector whose promise is 500 · 1/500 = 1."""
    generator = np.random.default_rng(12)
    found = 0
    histories = 300
    for _ in range(histories):
        error = generator.normal(0, math.sqrt(1 / 500), 500)
        reference = np.full(500, error[0]) if shared else error
        z = (generator.normal(0, math.sqrt(1 / 2_000), 500) - reference) / math.sqrt(1 / 500 + 1 / 2_000)
        detector = EDetector(alpha=1 / 500)
        for p in 2 * ndtr(-np.abs(z)):
            detector = detector.update(log_e_value(float(p)))
            found += detector.alarm
    return found / histories


def test_multiplied_evidence_breaks_its_promise_with_a_shared_reference() -> None:
    """The same p-values, multiplied up, keep the promise with fresh references and break it with one."""
    assert multiplied(shared=False) <= 1.0
    assert multiplied(shared=True) > 1.5


def test_many_columns_share_one_budget() -> None:
    """With 20 columns that are all one and the same, alarms stay within the budget all the same."""
    scales = levels(Budget(2.0, 64 * HOUR), HOUR, columns=20, longest=8)
    generator = np.random.default_rng(13)
    found = []
    for _ in range(400):
        reference = np.array([2_000.0, generator.normal(0, math.sqrt(2_000))])
        totals = generator.normal(0, math.sqrt(ROWS), 64)
        found.append(20 * sum(1 for _ in alarms(totals, reference, scales)))

    assert np.mean(found) <= 2.0 + 3 * np.std(found) / 20


def delays(longest: int, shift: float) -> list[int]:
    """First alarms of 30 histories that are shifted from the start, in windows."""
    scales = levels(Budget(1.0, timedelta(days=365)), HOUR, columns=50, longest=longest)
    generator = np.random.default_rng(14)
    reference = np.array([100_000.0, generator.normal(0, math.sqrt(100_000))])
    return [
        next(
            alarms(generator.normal(shift * ROWS, math.sqrt(ROWS), 400), reference, scales),
            400,
        )
        for _ in range(30)
    ]


def test_a_small_shift_is_found_by_looking_back() -> None:
    """At one false alarm a year, a shift of a fifth is found several times sooner than window by window."""
    assert 5 * np.median(delays(64, 0.2)) < np.median(delays(1, 0.2))


def test_a_large_shift_costs_no_window_more() -> None:
    """A shift that one window shows is found in the first window, with the longer memory too."""
    assert 0 == np.median(delays(1, 0.9)) == np.median(delays(64, 0.9))


def test_levels_add_up_to_the_budget() -> None:
    """The levels of all looks at all columns in a year sum to the false alarms allowed."""
    scales = levels(Budget(3.0, timedelta(days=365)), HOUR, columns=25, longest=100)
    spent = sum(25 * scale.level * 365 * 24 / scale.every for scale in scales)

    assert spent == pytest.approx(3.0)
    assert [1, 2, 4, 8, 16, 32, 64] == [scale.length for scale in scales]
    assert [1, 1, 2, 4, 8, 16, 32] == [scale.every for scale in scales]


def test_a_single_scale_has_the_whole_budget() -> None:
    """Without a longer memory nothing is kept back for it, and a level is never above 1."""
    (scale,) = levels(Budget(1.0, HOUR), HOUR, columns=4, longest=1)

    assert Scale(1, 1, 0.25) == scale
    assert 1.0 == levels(Budget(9.0, HOUR), HOUR, columns=1, longest=1)[0].level


@pytest.mark.parametrize(("false_alarms", "per"), [(0.0, HOUR), (math.nan, HOUR), (1.0, timedelta(0))])
def test_a_budget_must_be_something(false_alarms: float, per: timedelta) -> None:
    """No false alarm at all, or in no time, is no budget."""
    with pytest.raises(DataError, match=r"false_alarms|per"):
        Budget(false_alarms, per)


def test_levels_tell_all_problems_at_once() -> None:
    """Columns, memory and window are checked together."""
    with pytest.raises(DataError) as raised:
        levels(Budget(1.0, HOUR), timedelta(0), columns=0, longest=0)

    assert ["columns", "longest", "window"] == [problem.where for problem in raised.value.problems]
