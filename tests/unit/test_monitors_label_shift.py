from __future__ import annotations

import math
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind

from monitors import label_shift
from monitors.held import Held
from monitors.label_shift import EFFECT, OF_WINDOW, P_VALUE, RATE
from monitors.performance import Truth
from monitors.results.records import Measurement
from monitors.windows import EPOCH
from spec import ModelSpec, loads

DAY = 86_400 * 10**6
ROWS = 100
Said = tuple[datetime, tuple[Measurement, ...]]


def spec(task: str = "binary", target: str = "{name: y}") -> ModelSpec:
    """A model that is judged over a week."""
    return loads(
        f"{{model: shop, task: {task}, features: {{x: numeric}}, "
        f"data: {{inference_log: a, labels: b, id: id, time: t, target: {target}}}}}"
    )


THREE = ("multiclass", "{name: y, classes: [a, b, c]}")


def held(labels: np.ndarray) -> Held:
    """Held-out rows; shape of the labels (days, rows)."""
    days, rows = labels.shape
    times = np.repeat(np.arange(days), rows) * DAY
    return Held(pd.DataFrame({"x": np.zeros(days * rows)}), np.zeros((days * rows, 1)), labels.ravel(), times)


def positives(shares: np.ndarray) -> np.ndarray:
    """Labels of days with these shares of positives."""
    return np.array([np.arange(ROWS) < round(share * ROWS) for share in shares], dtype=float)


def windows(model: ModelSpec, labels: np.ndarray, each: timedelta = timedelta(days=1)) -> list[Said]:
    """What is said of windows one after the other; shape of the labels (windows, rows)."""
    scores, times = np.zeros((labels.shape[1], 1)), np.zeros(labels.shape[1], dtype=np.int64)
    return [
        (EPOCH + at * each, label_shift.of_window(model, Truth(scores, part, times)))
        for at, part in enumerate(labels)
    ]


def told(numbers: tuple[Measurement, ...], name: str, method: str = "positive") -> Measurement:
    """The measurement of a name and a class, which must exist."""
    return next(n for n in numbers if (n.name, n.method) == (name, method))


def test_the_p_value_is_student_s_of_the_days() -> None:
    """With days of one size it is SciPy's, times the spans that were looked at."""
    random = np.random.default_rng(0)
    known, now = random.integers(10, 40, 30) / ROWS, random.integers(15, 45, 28) / ROWS
    numbers = label_shift.judge(spec(), held(positives(known)), windows(spec(), positives(now)))

    expected = min(ttest_ind(now, known).pvalue, ttest_ind(now[-7:], known).pvalue)
    assert told(numbers, P_VALUE).value == pytest.approx(2 * expected)


def test_the_effect_is_cohen_s_h() -> None:
    """A fifth that becomes two fifths is 2·asin√0.4 - 2·asin√0.2, and the rate has its interval."""
    known, now = np.tile([0.15, 0.25], 10), np.tile([0.35, 0.45], 4)
    numbers = label_shift.judge(spec(), held(positives(known)), windows(spec(), positives(now))[1:])
    rate = told(numbers, RATE)
    mean = np.mean(now[1:])

    assert rate.value == pytest.approx(mean)
    assert rate.low is not None
    assert rate.high is not None
    assert 0.3 < rate.low < mean < rate.high < 0.5
    h = 2 * math.asin(math.sqrt(mean)) - 2 * math.asin(math.sqrt(0.2))
    assert told(numbers, EFFECT).value == pytest.approx(h)
    moved = label_shift.shifted(numbers)
    assert moved is not None
    assert moved.text == f"{mean:.1%} of the labels of 7 days, 20.0% of the reference's"


def test_the_effect_of_values_is_cohen_s_d() -> None:
    """The mean moves by one standard deviation of the reference's labels."""
    random = np.random.default_rng(0)
    usual, moved = random.normal(0, 2, (20, ROWS)), random.normal(2, 2, (10, ROWS))
    model = spec("regression")
    numbers = label_shift.judge(model, held(usual), windows(model, moved))

    expected = (moved[-7:].mean() - usual.mean()) / usual.std()
    assert told(numbers, EFFECT, "mean").value == pytest.approx(expected)
    assert label_shift.shifted(numbers) is not None


def test_the_class_that_moved_is_named() -> None:
    """Of three classes the rarest one trebles: the largest effect is its."""
    random = np.random.default_rng(0)
    model = spec(*THREE)
    usual = random.choice(3, p=[0.5, 0.4, 0.1], size=(20, ROWS)).astype(float)
    now = random.choice(3, p=[0.4, 0.3, 0.3], size=(7, ROWS)).astype(float)
    moved = label_shift.shifted(label_shift.judge(model, held(usual), windows(model, now)))

    assert moved is not None
    assert moved.method == "c"


def test_a_small_shift_is_none_however_sure() -> None:
    """20 % that become 23 % for ever: the p-value is tiny, the effect is below its limit."""
    known, now = np.tile([0.19, 0.21], 20), np.tile([0.22, 0.24], 14)
    numbers = label_shift.judge(spec(), held(positives(known)), windows(spec(), positives(now)))

    assert told(numbers, P_VALUE).value < 1e-6
    assert label_shift.shifted(numbers) is None


def test_unlike_days_of_one_law_seldom_shift() -> None:
    """With days that differ by a weather of their own a look is wrong one time in fifty at most."""
    wrong = 0
    for seed in range(150):
        shares = np.random.default_rng(seed).beta(2, 8, 68)
        numbers = label_shift.judge(
            spec(), held(positives(shares[:40])), windows(spec(), positives(shares[40:]))
        )
        wrong += label_shift.shifted(numbers) is not None

    assert wrong <= 9  # 99.9 % quantile of the binomial law at 2 %


def test_hours_of_a_day_are_one_day() -> None:
    """Windows of twelve hours say what their days say."""
    random = np.random.default_rng(0)
    known, halves = positives(random.integers(10, 30, 20) / ROWS), positives(random.beta(2, 5, 14))
    by_hours = windows(spec(), halves, timedelta(hours=12))
    by_days = windows(spec(), halves.reshape(7, 2 * ROWS))

    first, second = (label_shift.judge(spec(), held(known), each) for each in (by_hours, by_days))
    for mine, expected in zip(first, second, strict=True):
        assert (mine.name, mine.n) == (expected.name, expected.n)
        assert mine.value == pytest.approx(expected.value)


def test_too_few_days_say_nothing() -> None:
    """One day on either side has no spread, and a window without rows has no labels."""
    many, one = positives(np.array([0.1, 0.2, 0.3])), positives(np.array([0.2]))

    assert label_shift.judge(spec(), held(many), windows(spec(), one)) == ()
    assert label_shift.judge(spec(), held(one), windows(spec(), many)) == ()
    assert label_shift.of_window(spec(), Truth(np.empty((0, 1)), np.empty(0), np.empty(0, np.int64))) == ()


def test_days_without_spread_are_sure() -> None:
    """The same share every day differs from another or does not; nothing is divided by zero."""
    known = held(positives(np.full(5, 0.2)))
    same, other = (
        label_shift.judge(spec(), known, windows(spec(), positives(np.full(7, share))))
        for share in (0.2, 0.9)
    )

    assert (told(same, P_VALUE).value, told(other, P_VALUE).value) == (1.0, 0.0)
    assert all(n.name != OF_WINDOW for n in same)
