from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from scipy.stats import ttest_ind

from monitors.concept.blocks import ODDS, BlockLoss, mean_error
from monitors.concept.recent import SINCE_DRIFT, recent
from monitors.concept.source import Source
from monitors.results.records import Measurement
from monitors.windows import EPOCH
from spec import ModelSpec, loads

ROWS = 100
INSIDE = 0.04


def spec(tolerance: str = "10%") -> ModelSpec:
    """A model that is judged over a week."""
    return loads(
        "{model: shop, task: binary, features: {x: numeric}, "
        f"monitor: {{concept_drift: {{tolerance: {tolerance}}}}}, "
        "data: {inference_log: a, labels: b, id: id, time: t, target: {name: y}}}"
    )


def blocks(means: np.ndarray, rows: int = ROWS) -> list[BlockLoss]:
    """Days of a row count with these mean losses."""
    growth = (0.0,) * len(ODDS)
    return [
        BlockLoss(EPOCH + timedelta(days=at), rows, float(mean), INSIDE, growth)
        for at, mean in enumerate(means)
    ]


def source(days: list[BlockLoss]) -> Source:
    """What the reference's days showed, each as if it knew nothing of the last."""
    rows = sum(day.rows for day in days)
    mean = float(np.mean([day.mean for day in days]))
    return Source(1.0, rows, len(days), mean, (0.0,) * len(ODDS), mean_error(days), 0.1)


def drawn(days: int, mean: float, rows: int, seed: list[int]) -> list[BlockLoss]:
    """Days that differ by a weather of their own, and by the luck of their rows."""
    random = np.random.default_rng(seed)
    weather = random.normal(mean, 0.03, days)
    return blocks(np.clip(weather + random.normal(0, np.sqrt(INSIDE / rows), days), 0, 1), rows)


def by_method(numbers: tuple[Measurement, ...]) -> dict[str, Measurement]:
    """The mean losses by their spans."""
    return {number.method or "": number for number in numbers if number.name == "recent_risk"}


def test_with_no_tolerance_the_limit_is_student_s() -> None:
    """A span lies beyond its limit exactly where SciPy's one-sided test of the days rejects at its level."""
    random = np.random.default_rng(0)
    reference, production = random.normal(0.2, 0.02, 20), random.normal(0.2, 0.02, 28)
    exact = spec("0%")

    for rise in np.linspace(0, 0.06, 30):
        days = blocks(production + rise)
        told = by_method(recent(exact, source(blocks(reference)), days, EPOCH))

        for method, level in (("28d", 0.001), (SINCE_DRIFT, 0.025)):
            p = ttest_ind(production + rise, reference, alternative="greater").pvalue
            number = told[method]
            assert number.limit is not None
            # the reference's error is its own days', not the pooled ones'
            assert (number.value > number.limit) == (p < level) or abs(p / level - 1) < 0.35


@pytest.mark.parametrize(("rows", "reference_rows"), [(300, 120), (30, 300)])
def test_a_rise_that_is_just_tolerated_is_seldom_called_harm(rows: int, reference_rows: int) -> None:
    """At the tolerance itself looks since a drift are wrong 1 time in 40, others 1 in 1,000."""
    wrong, looks = {"7d": 0, "28d": 0, SINCE_DRIFT: 0}, 200
    for at in range(looks):
        known = source(drawn(40, 0.2, reference_rows, [at, 0]))
        told = by_method(recent(spec(), known, drawn(35, 0.22, rows, [at, 1]), EPOCH))
        for method in wrong:
            wrong[method] += told[method].value > (told[method].limit or 0)

    assert wrong[SINCE_DRIFT] <= 13  # 99.9 % quantile of the binomial law at 2.5 %
    assert max(wrong["7d"], wrong["28d"]) <= 3


def test_evidence_since_the_drift_adds_up() -> None:
    """A rise that eight days do not prove is proved by five weeks since the inputs drifted."""
    reference = source(blocks(np.tile([0.17, 0.23], 30)))
    production = blocks(np.tile([0.21, 0.27], 18))

    def proved(days: int) -> set[str]:
        numbers = recent(spec(), reference, production[:days], EPOCH)
        return {n.method or "" for n in numbers if n.limit is not None and n.value > n.limit}

    assert proved(8) == set()
    assert proved(36) == {SINCE_DRIFT}


def test_spans_begin_where_they_say() -> None:
    """Spans of the calendar are there once they are full, the first at once, the drift's after a week."""
    reference = source(drawn(20, 0.2, ROWS, [0]))
    days = blocks(np.linspace(0.1, 0.3, 30))

    assert set(by_method(recent(spec(), reference, days[:3], None))) == {"7d"}
    assert set(by_method(recent(spec(), reference, days, None))) == {"7d", "14d", "28d"}
    assert SINCE_DRIFT not in by_method(recent(spec(), reference, days, days[24].start))
    since = by_method(recent(spec(), reference, days, days[20].start))[SINCE_DRIFT]
    assert since.n == 10 * ROWS
    assert since.value == pytest.approx(np.linspace(0.1, 0.3, 30)[20:].mean())


def test_one_day_says_nothing() -> None:
    """Neither a reference of one day nor one day of production has a spread."""
    many, one = blocks(np.linspace(0.1, 0.3, 10)), blocks(np.array([0.2]))

    assert recent(spec(), source(one), many, None) == ()
    assert recent(spec(), source(many), one, None) == ()
