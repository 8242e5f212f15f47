from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy.stats import binom

from monitors.concept.blocks import ODDS, BlockLoss
from monitors.concept.onset import MOST, Onset, onset
from monitors.finding import NoData

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
FLAT = (0.0,) * len(ODDS)


def series(
    random: np.random.Generator, days: int, at: int, *, rise: float, over: int = 1, weather: float = 0.15
) -> list[BlockLoss]:
    """Days of 50 to 600 rows, wrong or not; the share goes up by `rise` of itself from day `at` on."""
    found = []
    for day in range(days):
        risen = min(max((day - at + 1) / over, 0.0), 1.0)
        risk = 0.1 * (1 + rise * risen) * float(np.exp(random.normal(-(weather**2) / 2, weather)))
        rows = int(random.integers(50, 600))
        wrong = int(random.binomial(rows, min(risk, 0.99)))
        mean = wrong / rows
        found.append(BlockLoss(FIRST + timedelta(days=day), rows, mean, mean * (1 - mean), FLAT))
    return found


def exact(means: list[float]) -> list[BlockLoss]:
    """Days of 1,000 rows of hardly any variance."""
    return [BlockLoss(FIRST + timedelta(days=day), 1000, mean, 1e-6, FLAT) for day, mean in enumerate(means)]


def dated(blocks: list[BlockLoss]) -> Onset:
    """The onset, which must exist."""
    found = onset(blocks)
    assert isinstance(found, Onset)
    return found


@pytest.mark.parametrize(("rise", "over", "rate"), [(0.5, 1, 0.95), (1.0, 20, 0.9)])
def test_the_confidence_set_holds_the_onset(rise: float, over: int, rate: float) -> None:
    """A sudden onset is in its set 95 times in 100, that of a slow rise 90 times."""
    random = np.random.default_rng(0)
    runs, held, dates = 40, 0, 0
    for _ in range(runs):
        found = onset(series(random, 60, 30, rise=rise, over=over))
        if isinstance(found, Onset):
            dates += 1
            held += found.low <= FIRST + timedelta(days=30) <= found.high

    assert dates >= 0.9 * runs
    assert binom.cdf(held, dates, rate) > 1e-3


def test_a_change_that_is_not_there_is_seldom_dated() -> None:
    """Of series without a change at most one in ten is given a date."""
    random = np.random.default_rng(1)
    dated = sum(isinstance(onset(series(random, 60, 60, rise=0)), Onset) for _ in range(60))

    assert binom.sf(dated - 1, 60, 0.1) > 1e-3


def test_a_clear_jump_is_dated_to_the_day() -> None:
    """Levels, day and kind of an unmistakable jump are found as they are."""
    found = dated(exact([0.1, 0.101] * 10 + [0.2, 0.201] * 5))

    assert found.time == found.low == found.high == FIRST + timedelta(days=20)
    assert not found.gradual
    assert found.before == pytest.approx(0.1005, abs=1e-9)
    assert found.after == pytest.approx(0.2005, abs=1e-9)


def test_a_clear_ramp_is_dated_by_its_first_day() -> None:
    """A rise over 16 days is gradual, and begins with the first of them rather than in their middle."""
    wobble = np.tile([0.0, 0.001], 30)
    ramp = 0.1 + 0.1 * ((np.arange(60) - 30 + 1) / 16).clip(0, 1)

    found = dated(exact((ramp + wobble).tolist()))

    assert found.gradual
    assert abs(found.time - (FIRST + timedelta(days=30))) <= timedelta(days=1)
    assert found.after == pytest.approx(0.2, abs=0.002)


def test_one_bad_day_of_few_rows_dates_nothing() -> None:
    """A day that weighs nothing moves nothing, and one bad day is no level."""
    random = np.random.default_rng(2)
    days = series(random, 60, 60, rise=0)
    days[30] = BlockLoss(days[30].start, 4, 0.75, 0.19, FLAT)

    assert isinstance(onset(days), NoData)


def test_a_fall_is_no_onset() -> None:
    """A model that gets better has nothing to be dated."""
    assert isinstance(onset(exact([0.2, 0.201] * 10 + [0.1, 0.101] * 10)), NoData)


def test_a_constant_series_has_no_onset() -> None:
    """Days without any spread do not divide by it."""
    assert isinstance(onset(exact([0.1] * 20)), NoData)


def test_few_days_cannot_be_dated() -> None:
    """Five days say that they are too few."""
    found = onset(exact([0.1, 0.1, 0.1, 0.5, 0.5]))

    assert isinstance(found, NoData)
    assert "5 blocks" in found.reason


def test_an_old_change_is_forgotten() -> None:
    """Only the newest days are looked at, so a change before them is none."""
    assert isinstance(onset(exact([0.1] * 50 + [0.2, 0.201] * (MOST // 2))), NoData)


def test_the_answer_follows_from_the_series_alone() -> None:
    """Twice the same days, twice the same set."""
    days = series(np.random.default_rng(3), 60, 40, rise=0.5)

    assert onset(days) == onset(days)
