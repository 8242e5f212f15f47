from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from monitors import frames, reference_profile
from monitors.drift import drift, lookback
from monitors.profiles.tally import count
from monitors.reference_profile import ReferenceProfile
from monitors.window_profiles import Past
from monitors.windows import EPOCH, Window
from spec import ModelSpec, loads

SPEC = """
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y}}
features: {amount: numeric}
monitor: {window: 1d, data_drift: {over: 8}}
"""
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
MONDAY = datetime(2024, 5, 6, tzinfo=UTC)
SEASONAL = SPEC.replace("over: 8", "over: 2, reference: {seasonal: week}")
ROLLING = SPEC.replace("over: 8", "over: 2, reference: {rolling: 4d}")


def day(number: int) -> Window:
    """A day's window; 0 is a Monday."""
    return Window(MONDAY + number * DAY, MONDAY + (number + 1) * DAY)


def rows(number: int, mean: float = 0.0) -> pd.DataFrame:
    """So many rows."""
    random = np.random.default_rng(number)
    return pd.DataFrame({"amount": random.normal(mean, 1, number), "prediction": np.full(number, 0.5)})


def reference(spec: ModelSpec, weeks: int = 4) -> ReferenceProfile:
    """Training rows of some weeks before, ten a Monday, eleven a Tuesday, …, with the weekday as mean."""
    parts, times = [], []
    for number in range(-7 * weeks, 0):
        size = 10 + number % 7
        parts.append(rows(size, float(number % 7)))
        times += [(day(number).start - EPOCH) // TICK] * size
    return reference_profile.made(spec, frames.arrow(spec, pd.concat(parts)), np.array(times))


def past(spec: ModelSpec, counts: ReferenceProfile, sizes: dict[int, int]) -> Past:
    """So many rows on some days."""
    profiles = {}
    for number, size in sizes.items():
        table = frames.arrow(spec, rows(size))
        profiles[day(number).start] = count(counts.profile.plan, table.schema, table.to_batches())
    return Past(DAY, profiles)


def test_a_verdict_looks_at_one_two_four_and_eight_windows() -> None:
    """Each lookback holds the rows of its windows; longer ones wait for the half of their length."""
    spec = loads(SPEC)
    counts = reference(spec)
    history = past(spec, counts, {number: 100 + number for number in range(-20, 1)})

    for window in map(day, range(-4, 1)):
        found = {look.scale.length: look.span for look in lookback.looks(spec, window, history, counts)}

        assert [1, 2, 4, 8] == list(found)
        assert {window.end} == {found[1].end, found[2].end}
        assert all((span.end - EPOCH) // DAY % (length / 2) == 0 for length, span in found.items())
        assert all(
            timedelta(0) <= window.end - span.end < max(length / 2, 1) * DAY for length, span in found.items()
        )
        assert all(length * DAY == span.length for length, span in found.items())


def test_the_looks_of_a_window_spend_its_share_of_the_budget() -> None:
    """One false alarm a year over all looks of all columns: feature, prediction and correlation."""
    spec = loads(SPEC)

    spent = sum(scale.level / scale.every for scale in lookback.scales(spec)) * 3

    assert spent * 365.25 == pytest.approx(1.0)


def test_windows_are_added_up() -> None:
    """The rows of a lookback are those of its windows, and each lies in a window of 33 on average."""
    spec = loads(SPEC)
    counts = reference(spec)
    looks = lookback.looks(spec, day(1), past(spec, counts, {0: 40, 1: 20}), counts)
    two = next(look for look in looks if look.scale.length == 2)

    assert (60, 2000 / 60) == (two.current.profile.rows, two.current.rows_a_window)


def test_a_silent_window_is_no_look() -> None:
    """A lookback without rows is left out, one with some is judged by them."""
    spec = loads(SPEC)
    counts = reference(spec)

    found = lookback.looks(spec, day(1), past(spec, counts, {0: 40}), counts)

    assert 1 not in {look.scale.length for look in found}
    assert 40 == next(look for look in found if look.scale.length == 2).current.profile.rows
    assert () == lookback.looks(spec, day(1), past(spec, counts, {}), counts)


def test_the_training_rows_are_the_reference_by_default() -> None:
    """All of them, whatever the day."""
    spec = loads(SPEC)
    counts = reference(spec)

    (look, *_) = lookback.looks(spec, day(0), past(spec, counts, {0: 40}), counts)

    assert counts.profile is look.reference.profile


def test_a_seasonal_reference_is_the_same_day_of_the_week() -> None:
    """A Monday is compared with Mondays, Monday and Tuesday together with both."""
    spec = loads(SEASONAL)
    counts = reference(spec)

    one, two = lookback.looks(spec, day(1), past(spec, counts, {0: 40, 1: 40}), counts)
    monday, *_ = lookback.looks(spec, day(0), past(spec, counts, {0: 40}), counts)

    assert 4 * 11 == one.reference.profile.rows
    assert 4 * (10 + 11) == two.reference.profile.rows
    assert 4 * 10 == monday.reference.profile.rows


def test_a_silent_day_brings_no_season_into_the_reference() -> None:
    """Where of Monday and Tuesday only one has rows, they are compared with its own."""
    spec = loads(SEASONAL)
    counts = reference(spec)

    (look,) = lookback.looks(spec, day(1), past(spec, counts, {0: 40}), counts)

    assert (2, 4 * 10) == (look.scale.length, look.reference.profile.rows)


def test_a_day_without_training_rows_is_left_out_of_both_sides() -> None:
    """Monday and Tuesday against a reference without Tuesdays are a Monday against Mondays."""
    spec = loads(SEASONAL)
    whole = reference(spec)
    tuesday = reference_profile.slot(spec, np.array([(day(1).start - EPOCH) // TICK])).item()
    counts = replace(whole, seasons={n: own for n, own in whole.seasons.items() if n != tuesday})

    (look,) = lookback.looks(spec, day(1), past(spec, counts, {0: 40, 1: 30}), counts)

    assert (40, 4 * 10) == (look.current.profile.rows, look.reference.profile.rows)


def test_seasons_alike_in_every_week_hide_no_drift() -> None:
    """Weekdays that differ by deviations, and no more from week to week, leave a shift of one day sure."""
    spec = loads(SEASONAL)
    random = np.random.default_rng(3)
    days = [
        pd.DataFrame({"amount": random.normal(2 * (at % 7), 1, 300), "prediction": 0.5}) for at in range(56)
    ]
    times = np.repeat([(day(at - 56).start - EPOCH) // TICK for at in range(56)], 300)
    counts = reference_profile.made(spec, frames.arrow(spec, pd.concat(days)), times)
    table = frames.arrow(spec, pd.DataFrame({"amount": random.normal(1.5, 1, 300), "prediction": 0.5}))
    now = {day(0).start: count(counts.profile.plan, table.schema, table.to_batches())}

    looks = lookback.looks(spec, day(0), Past(DAY, now), counts)

    assert drift.compare(spec, looks, counts).features[0].drifted
    assert max(counts.dependence.columns["amount"].ordered) < 2


def test_a_season_that_was_not_counted_is_no_look() -> None:
    """A weekday without training rows has nothing to be compared with."""
    spec = loads(SEASONAL)
    counts = reference_profile.made(spec, frames.arrow(spec, rows(50)))

    assert () == lookback.looks(spec, day(0), past(spec, counts, {0: 40}), counts)


def test_a_rolling_reference_is_the_windows_before_those_that_are_judged() -> None:
    """The lookback itself is left out; until half of the span has rows the training rows stand in."""
    spec = loads(ROLLING)
    counts = reference(spec)
    full = past(spec, counts, {number: 100 + number for number in range(-5, 1)})
    young = past(spec, counts, {-1: 99, 0: 100})

    one, two = lookback.looks(spec, day(0), full, counts)
    early, *_ = lookback.looks(spec, day(0), young, counts)

    assert 99 + 98 + 97 + 96 == one.reference.profile.rows
    assert 98 + 97 + 96 + 95 == two.reference.profile.rows
    assert counts.profile is early.reference.profile
