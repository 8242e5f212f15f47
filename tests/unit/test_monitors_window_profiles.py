from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from monitors import reference_profile
from monitors.profiles.plan import Plan
from monitors.profiles.profile import merged
from monitors.profiles.tally import count
from monitors.results.store import Store
from monitors.window_profiles import WindowProfiles, needed
from monitors.windows import Window
from spec import ModelSpec, loads

SPEC: ModelSpec = loads("""
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y}}
features: {amount: numeric, country: categorical}
monitor: {window: 1d, data_drift: {over: 4}}
""")
DAY = timedelta(days=1)
START = datetime(2024, 5, 1, tzinfo=UTC)


def day(number: int) -> Window:
    """A day's window."""
    return Window(START + number * DAY, START + (number + 1) * DAY)


def rows(seed: int, size: int = 50) -> pa.Table:
    """Rows of a window."""
    random = np.random.default_rng(seed)
    country = pa.array(random.choice(["de", "fr"], size))
    return pa.table(
        {"amount": random.normal(size=size), "country": country, "prediction": random.random(size)}
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    with Store(f"sqlite:///{tmp_path}/results.db") as store:
        yield store


@pytest.fixture
def plan() -> Plan:
    """The plan of version 1."""
    return reference_profile.made(SPEC, rows(0, 500)).profile.plan


def test_a_verdict_needs_its_longest_lookback_and_what_it_waits_for() -> None:
    """Four windows, judged every second day; with a rolling reference as much again as that is long."""
    rolling = loads(
        "model: shop\ntask: binary\n"
        "data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y}}\n"
        "features: {amount: numeric}\nmonitor: {data_drift: {over: 4, reference: {rolling: 28d}}}"
    )

    assert Window(day(-4).start, day(0).end) == needed(SPEC, day(0))
    assert Window(day(-4).start - 28 * DAY, day(0).end) == needed(rolling, day(0))


def test_stored_windows_add_up_to_the_profile_of_all_their_rows(store: Store, plan: Plan) -> None:
    """A lookback is the same as if its rows had been read again, after a restart too."""
    parts = [rows(number) for number in range(3)]
    profiles = WindowProfiles(SPEC, store)
    for number, part in enumerate(parts):
        profiles.count(day(number), "1", plan, part)

    past = WindowProfiles(SPEC, store).past(day(2), "1", plan)

    table = pa.concat_tables(parts)
    assert count(plan, table.schema, table.to_batches()) == merged(past.within(Window(START, day(2).end)))


def test_versions_and_plans_are_kept_apart(store: Store, plan: Plan) -> None:
    """What was counted for another version, or by another plan, is no past."""
    profiles = WindowProfiles(SPEC, store)
    other = reference_profile.made(SPEC, rows(9, 400)).profile.plan
    profiles.count(day(0), "2", plan, rows(1))
    profiles.count(day(0), "1", other, rows(2))

    assert {} == dict(profiles.past(day(0), "1", plan).profiles)


def test_a_window_is_counted_once(store: Store, plan: Plan) -> None:
    """Only windows with rows and without a profile must be read, after a restart too."""
    profiles = WindowProfiles(SPEC, store)
    profiles.touched([day(0).start, day(1).start, day(-9).start], is_late=False)

    before = profiles.uncounted([day(1)])
    profiles.count(day(0), "1", plan, rows(1))
    again = WindowProfiles(SPEC, store)
    again.touched([day(0).start, day(1).start], is_late=False)

    assert (day(0), day(1)) == before
    assert (day(1),) == profiles.uncounted([day(1)]) == again.uncounted([day(1)])
    assert () == profiles.uncounted([])


def test_late_rows_are_counted_in_whichever_verdict_comes_next(store: Store, plan: Plan) -> None:
    """A profile is old from the moment its window got rows until it was counted again."""
    profiles = WindowProfiles(SPEC, store)
    profiles.touched([day(0).start], is_late=False)
    profiles.count(day(0), "1", plan, rows(1))
    profiles.counted(day(0))
    assert () == profiles.uncounted([day(0), day(1)])

    profiles.touched([day(0).start], is_late=True)
    late = profiles.uncounted([day(1)])
    profiles.count(day(0), "1", plan, rows(1, 60))
    profiles.counted(day(0))

    assert (day(0),) == late
    assert () == profiles.uncounted([day(1)])
    assert 60 == profiles.past(day(1), "1", plan).profiles[day(0).start].rows


def test_windows_that_nothing_looks_at_any_more_are_dropped(store: Store, plan: Plan) -> None:
    """The store keeps the horizon of late data and what its oldest window looks back upon."""
    profiles = WindowProfiles(SPEC, store)
    for number in (0, 1, 65, 66):
        profiles.count(day(number), "1", plan, rows(number))

    kept = {(start - START) // DAY for start, _ in store.profiled("shop", START, day(99).start)}

    assert {65, 66} == kept - {1}
    assert 0 not in kept
