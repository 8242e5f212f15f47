"""Volume against the same time of the week, and silence at the end of a window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from monitors.quality.traffic import Traffic, freshness, volume
from monitors.windows import Window, window_at
from spec.quality import Quality

MONDAY = datetime(2024, 3, 4, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
WEEKDAY, SUNDAY = 1000.0, 200.0


def expected(start: datetime) -> float:
    """A business that hardly works on weekends."""
    return SUNDAY if start.weekday() >= 5 else WEEKDAY


def history(
    start: datetime, length: timedelta = DAY, weeks: int = 8, noise: float = 0.1, seed: int = 1
) -> dict[datetime, int]:
    """Rows of the windows before one."""
    rng = np.random.default_rng(seed)
    starts = [start - step * length for step in range(1, int(weeks * timedelta(weeks=1) / length) + 1)]
    return {at: int(rng.poisson(expected(at) * np.exp(noise * rng.normal()))) for at in starts}


def fell(rows: int, start: datetime, past: dict[datetime, int], drop: float | None = 0.5) -> bool:
    """Whether a window's volume is a violation."""
    window = Window(start, start + DAY)
    return bool(list(volume(Traffic(rows, window), past, Quality(volume_drop=drop))))


def test_a_weekend_is_held_against_weekends() -> None:
    """200 rows are usual on a Saturday and a fall on a Monday, whose usual is 1,000."""
    saturday = MONDAY + 5 * DAY

    assert not fell(200, saturday, history(saturday))
    assert fell(200, MONDAY, history(MONDAY))


def test_the_allowed_fall_is_kept_on_both_sides() -> None:
    """Half of the usual is allowed: well above it passes, well below does not; null allows any."""
    past = history(MONDAY, noise=0.02)

    assert not fell(530, MONDAY, past)
    assert fell(450, MONDAY, past)
    assert not fell(1, MONDAY, past, drop=None)


def test_a_noisy_volume_must_fall_further() -> None:
    """Where weeks differ by half themselves, a third of the usual may be chance."""
    assert fell(330, MONDAY, history(MONDAY, noise=0.05))
    assert not fell(330, MONDAY, history(MONDAY, noise=0.5))


def test_few_weeks_say_nothing_of_what_is_usual() -> None:
    """With three weeks nothing is usual yet; from the fourth on it is."""
    assert not fell(10, MONDAY, history(MONDAY, weeks=3))
    assert fell(10, MONDAY, history(MONDAY, weeks=4))


def test_usual_volumes_do_not_alarm() -> None:
    """In two simulated years of days no ordinary day is a fall, with rows 30 % up and down between weeks."""
    start = MONDAY + 800 * DAY
    rows = history(start, weeks=114, noise=0.3, seed=7)
    days = [start - step * DAY for step in range(1, 730)]

    alarms = sum(
        fell(rows[day], day, {at: n for at, n in rows.items() if day - 60 * DAY < at < day}) for day in days
    )

    assert alarms == 0


@pytest.mark.parametrize("length", [HOUR, 5 * HOUR, timedelta(weeks=2)], ids=str)
def test_windows_of_any_length_have_their_like(length: timedelta) -> None:
    """Hours meet the same hour, odd lengths the nearest time of the week, fortnights the last ones."""
    window = window_at(MONDAY, length)
    back = int(20 * timedelta(weeks=1) / length)
    past = {window.shifted(-step).start: 1000 for step in range(1, back)}

    assert list(volume(Traffic(100, window), past, Quality()))
    assert not list(volume(Traffic(900, window), past, Quality()))


def test_the_sentence_says_what_is_usual() -> None:
    """A person reads how many rows came, and how many are usual at this time of the week."""
    past = dict.fromkeys(history(MONDAY), 1000)
    (wrong,) = volume(Traffic(100, Window(MONDAY, MONDAY + DAY)), past, Quality())

    assert wrong.detail == (
        "100 rows; 1,000 are usual at this time of the week, and a fall of 50% is allowed"
    )
    assert (wrong.rows, wrong.limit) == (900, 0.5)


@pytest.mark.parametrize(("minutes", "silent"), [(60, False), (61, True)])
def test_silence_is_measured_to_the_end_of_the_window(minutes: int, silent: bool) -> None:
    """The newest row may be an hour old when the window ends, and no older."""
    window = Window(MONDAY, MONDAY + DAY)
    traffic = Traffic(5, window, window.end - timedelta(minutes=minutes))

    wrong = list(freshness(traffic, Quality.model_validate({"freshness": "1h"})))

    assert bool(wrong) == silent
    assert all(v.detail == "no row in the last 61m; at most 1h of silence is allowed" for v in wrong)


def test_a_window_without_rows_was_silent_all_along() -> None:
    """An empty day is a day of silence; without `freshness` any silence is right."""
    traffic = Traffic(0, Window(MONDAY, MONDAY + DAY))

    assert [v.detail for v in freshness(traffic, Quality.model_validate({"freshness": "1h"}))] == [
        "no row in the last 1d; at most 1h of silence is allowed"
    ]
    assert not list(freshness(traffic, Quality()))


def test_a_fall_that_lasts_is_told_for_five_weeks() -> None:
    """Days that had too few rows are no example of what is usual, until there are not enough others."""
    start = MONDAY - 8 * 7 * DAY
    rows = {start + day * DAY: 1000 for day in range(56)}
    few: set[datetime] = set()
    for day in range(49):
        at = MONDAY + day * DAY
        recent = {then: count for then, count in rows.items() if at - 56.5 * DAY <= then < at}
        if list(volume(Traffic(200, Window(at, at + DAY)), recent, Quality(), few)):
            few.add(at)
        rows[at] = 200

    assert sorted(few) == [MONDAY + day * DAY for day in range(35)]


def test_a_fall_is_over_when_the_rows_are_back() -> None:
    """Rows as before are no fall, and fewer ones are judged by what was usual before it."""
    past = history(MONDAY, noise=0.02)
    few = {at for at in past if at >= MONDAY - 14 * DAY}
    past |= dict.fromkeys(few, 50)

    assert not list(volume(Traffic(1000, Window(MONDAY, MONDAY + DAY)), past, Quality(), few))
    assert list(volume(Traffic(400, Window(MONDAY, MONDAY + DAY)), past, Quality(), few))
