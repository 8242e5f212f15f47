from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import ndtr

from monitors.detectors.e_detector import EDetector, log_e_value
from monitors.detectors.scan import Alarm, Block, Budget, Compare, Evidence, Memory, Scale, judge, levels
from monitors.finding import NoData
from spec.errors import DataError

Sums = npt.NDArray[np.float64]
HOUR = timedelta(hours=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = 100.0


def window(index: int, total: float | None) -> Block[Sums]:
    """One hour of `ROWS` normal values with this sum, or an hour without rows."""
    content = None if total is None else np.array([ROWS, total])
    return Block(START + index * HOUR, START + (index + 1) * HOUR, content)


def two_sample(reference: Sums, column: str = "x") -> Compare[Sums]:
    """Compare means of unit normals; the reference is a sample like the windows."""

    def compare(content: Sums) -> dict[str, Evidence | NoData]:
        effect = abs(content[1] / content[0] - reference[1] / reference[0])
        z = effect / math.sqrt(1 / content[0] + 1 / reference[0])
        return {column: Evidence(float(effect), max(1e-300, 2 * float(ndtr(-z))))}

    return compare


def alarms(totals: Sums, reference: Sums, scales: tuple[Scale, ...]) -> Iterator[tuple[int, Alarm]]:
    """Yield the window and the alarm of a whole history."""
    memory: Memory[Sums] = Memory()
    compare = two_sample(reference)
    for index, total in enumerate(totals):
        memory, looks = memory.closed(window(index, float(total)), scales)
        for alarm in judge(looks, compare):
            yield index, alarm


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


def multiplied(shared: bool) -> float:  # noqa: FBT001 - the one thing that differs
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
            (i for i, _ in alarms(generator.normal(shift * ROWS, math.sqrt(ROWS), 400), reference, scales)),
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


def test_the_onset_is_told() -> None:
    """Of the lookbacks that alarm the one that starts at the change is told, with its column and level."""
    scales = levels(Budget(1.0, timedelta(days=365)), HOUR, columns=1, longest=32)
    generator = np.random.default_rng(15)
    totals = generator.normal(0, math.sqrt(ROWS), 64)
    totals[48:] += 0.3 * ROWS
    found = list(alarms(totals, np.array([1e6, 0.0]), scales))
    last = found[-1][1]

    assert "x" == last.column
    assert found[0][0] >= 48
    assert START + 48 * HOUR == last.since
    assert START + 64 * HOUR == last.until
    assert 16 == last.length
    assert last.p_value <= last.level


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


def test_lookbacks_hold_the_last_windows() -> None:
    """Every look at length L holds exactly the last L windows, and is taken every L/2 windows."""
    scales = levels(Budget(1.0, HOUR), HOUR, columns=1, longest=8)
    memory: Memory[Sums] = Memory()
    for index in range(40):
        memory, looks = memory.closed(window(index, float(index)), scales)
        due = [s.length for s in scales if (index + 1) % s.every == 0 and index + 1 >= s.length]
        assert due == [look.scale.length for look in looks]
        for look in looks:
            length = look.scale.length
            expected = [ROWS * length, sum(range(index + 1 - length, index + 1))]
            assert expected == list(look.block.content)
            assert START + (index + 1 - length) * HOUR == look.block.start

    assert 3 == len(memory.blocks)


def test_a_window_without_rows_keeps_its_time() -> None:
    """A window without rows adds nothing, takes its place in the lookback and never alarms."""
    scales = levels(Budget(1.0, HOUR), HOUR, columns=1, longest=2)
    memory, first = Memory[Sums]().closed(window(0, None), scales)
    memory, second = memory.closed(window(1, 50.0), scales)
    memory, third = memory.closed(window(2, None), scales)
    compare = two_sample(np.array([1e6, 0.0]))

    assert () == judge(first, compare)
    assert [[ROWS, 50.0], [ROWS, 50.0]] == [list(look.block.content) for look in second]
    assert third[0].block.content is None
    assert [ROWS, 50.0] == list(third[1].block.content)
    assert () == judge([third[0]], compare)


def test_effect_and_significance_are_both_needed() -> None:
    """An alarm needs the threshold and the level, and is raised at both limits; no data never alarms."""
    (look,) = Memory[Sums]().closed(window(0, 1.0), (scale := Scale(1, 1, 0.01),))[1]
    evidence = {
        "both": Evidence(0.1, scale.level),
        "small": Evidence(0.0999, 1e-9),
        "chance": Evidence(9.0, 0.0101),
        "none": NoData("all null"),
    }

    assert ["both"] == [alarm.column for alarm in judge([look], lambda _: evidence, threshold=0.1)]


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
