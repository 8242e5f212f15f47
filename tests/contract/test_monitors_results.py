from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from subprocess import run
from threading import Barrier

import numpy as np
import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from monitors.results.database import UtcDateTime
from monitors.results.store import Event, Measurement, Store, WindowLosses, WindowProfile, WindowResult
from monitors.results.tables import METADATA
from spec import SettingsError, Unavailable

DAY = timedelta(days=1)
T0 = datetime(2024, 3, 10, tzinfo=UTC)
NUMBERS = (
    Measurement("feature_drift_score", 0.25, "amount", "wasserstein", limit=0.1, n=90),
    Measurement("performance", 0.8, method="roc_auc", low=0.75, high=0.85, text="of 90 labels"),
)
RESULT = WindowResult(
    model="shop",
    version="1",
    monitor="drift",
    start=T0,
    end=T0 + DAY,
    rows=90,
    status="alarm",
    measurements=NUMBERS,
    computed_at=T0 + DAY,
    duration_s=0.5,
    reference="shop/1@2024",
    code_revision="abc",
)
WRITER = """
import sys
from datetime import UTC, datetime, timedelta
from monitors.results.store import Measurement, Store, WindowResult
t0 = datetime(2024, 3, 10, tzinfo=UTC)
with Store(sys.argv[1]) as store:
    for n in range(5):
        store.record_event("shop", "retrain", "x", t0, {"outcome": "started"}, key=f"k{n}")
        numbers = (Measurement("a", 1),)
        store.save(WindowResult("shop", "1", "drift", t0, t0, 1, "ok", numbers, t0, 0, None, "c", "late"))
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    """An SQLite file in a folder that is not there yet."""
    return f"sqlite:///{tmp_path}/state/results.db"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A store that nobody has used."""
    with Store(url) as new:
        yield new


def test_a_result_is_read_as_it_was_saved(store: Store) -> None:
    """Every field and every number, in order, with times in UTC."""
    store.save(RESULT)

    assert (RESULT,) == store.latest() == store.history("shop")


def test_times_of_other_zones_are_stored_in_utc(store: Store) -> None:
    """The same moment is the same window, however it is written."""
    stockholm = timezone(timedelta(hours=1))
    store.save(RESULT)

    assert 2 == store.save(replace(RESULT, start=T0.astimezone(stockholm)))
    assert T0 == store.latest()[0].start


def test_a_time_without_a_zone_is_a_mistake(store: Store) -> None:
    """It could be anything."""
    with pytest.raises(Exception, match="must be timezone-aware"):
        store.save(replace(RESULT, computed_at=datetime(2024, 3, 10)))  # noqa: DTZ001 - the mistake


def test_numbers_of_numpy_are_numbers(store: Store) -> None:
    """Monitors compute with NumPy; the store keeps plain numbers."""
    numbers = (Measurement("a", np.float32(0.5), low=np.int64(0), n=np.int64(3)),)

    store.save(replace(RESULT, measurements=numbers, rows=np.int64(3)))  # type: ignore[arg-type]

    (saved,) = store.latest()
    assert (Measurement("a", 0.5, low=0.0, n=3), 3) == (saved.measurements[0], saved.rows)


def test_a_measurement_is_finite() -> None:
    """NaN is no measurement; it would be neither above nor below a limit."""
    with pytest.raises(ValueError, match="holds finite numbers; share holds"):
        Measurement("share", float("nan"))


def test_a_recomputation_replaces_and_the_replaced_can_be_asked_for(store: Store) -> None:
    """What was known at a time stays answerable: before, between and after two computations."""
    late = replace(RESULT, rows=95, status="ok", computed_at=T0 + 3 * DAY, reason="late rows")
    assert (1, 2) == (store.save(RESULT), store.save(late))

    now = replace(late, revision=2)
    assert (now,) == store.latest() == store.history("shop")
    assert () == store.history("shop", as_of=T0)
    assert (RESULT,) == store.history("shop", as_of=T0 + 2 * DAY)
    assert (now,) == store.history("shop", as_of=T0 + 3 * DAY)


def test_a_recomputation_says_that_it_is_one(store: Store) -> None:
    """Nothing but the first computation of a window is called first."""
    store.save(RESULT)
    store.save(RESULT)

    assert ("again", 2) == (store.latest()[0].reason, store.latest()[0].revision)


def test_latest_is_the_newest_window_not_the_last_saved(store: Store) -> None:
    """An old window that is computed again does not become the newest."""
    newer = replace(RESULT, start=T0 + DAY, end=T0 + 2 * DAY)
    for result in (RESULT, newer, replace(RESULT, reason="late rows")):
        store.save(result)

    assert (newer,) == store.latest("shop", "drift", "1")


def test_latest_and_history_are_narrowed_by_what_is_asked_for(store: Store) -> None:
    """Model, monitor, version and the span of window starts."""
    others = [
        replace(RESULT, version="2", measurements=()),
        replace(RESULT, monitor="latency", measurements=()),
        replace(RESULT, model="other", measurements=()),
        replace(RESULT, start=T0 + DAY, measurements=()),
    ]
    for result in (RESULT, *others):
        store.save(result)

    assert {"1", "2"} == {result.version for result in store.latest("shop", "drift")}
    assert [others[1]] == list(store.latest("shop", "latency"))
    assert [others[0]] == list(store.history("shop", "drift", "2"))
    assert [others[3]] == list(store.history("shop", "drift", start=T0 + DAY))
    assert 3 == len(store.history("shop", end=T0 + DAY))


def test_newest_names_what_load_reads(store: Store) -> None:
    """A cheap look at all that there is, then only what is wanted."""
    store.save(RESULT)
    store.save(replace(RESULT, version="2"))
    named = {entry.version: entry for entry in store.newest()}

    assert (RESULT,) == store.load([named["1"].id])
    assert T0 == named["2"].start
    assert () == store.load([])


PROFILE = WindowProfile("shop", "1", "abc", T0, T0 + DAY, 90, b"\x00counts\xff")


def test_a_windows_profile_is_read_as_it_was_saved(store: Store) -> None:
    """By model, version and plan, of a span of starts, oldest first; bytes are bytes."""
    later = replace(PROFILE, start=T0 + DAY, end=T0 + 2 * DAY, rows=0)
    others = [replace(PROFILE, **{name: "other"}) for name in ("model", "version", "plan")]
    for profile in (later, PROFILE, *others):
        store.save_profile(profile, T0)

    assert (PROFILE, later) == store.profiles("shop", "1", "abc", T0, T0 + 2 * DAY)
    assert (PROFILE,) == store.profiles("shop", "1", "abc", T0, T0 + DAY)
    assert {(T0, T0 + DAY), (T0 + DAY, T0 + 2 * DAY)} == store.profiled("shop", T0, T0 + 9 * DAY)


def test_a_window_that_is_counted_again_has_one_profile(store: Store) -> None:
    """What late rows made takes the place of what was there; windows of another length are others."""
    again = replace(PROFILE, rows=95, content=b"more")
    hour = replace(PROFILE, end=T0 + DAY / 24)
    for profile in (PROFILE, again, hour):
        store.save_profile(profile, T0)

    assert {again, hour} == set(store.profiles("shop", "1", "abc", T0, T0 + DAY))


def test_profiles_that_nobody_looks_at_any_more_are_dropped(store: Store) -> None:
    """Of the model, whichever version; other models keep theirs."""
    old = [replace(PROFILE, version="0"), PROFILE, replace(PROFILE, model="other")]
    new = replace(PROFILE, start=T0 + 9 * DAY, end=T0 + 10 * DAY)
    for profile in old:
        store.save_profile(profile, T0)
    store.save_profile(new, T0 + DAY)

    assert {(new.start, new.end)} == store.profiled("shop", T0, T0 + 99 * DAY)
    assert {(T0, T0 + DAY)} == store.profiled("other", T0, T0 + 99 * DAY)


def test_runs_are_counted_by_how_they_ended(store: Store) -> None:
    """Every save is a run, by the wall clock; so is a failure, which also leaves an event."""
    before = datetime.now(UTC)
    store.save(RESULT)
    store.save(RESULT)
    store.record_failure("shop", "drift", "the log did not answer", T0)

    ended = {run.outcome: run for run in store.runs()}
    assert {"alarm": 2, "error": 1} == {outcome: run.count for outcome, run in ended.items()}
    assert before <= ended["alarm"].last_at <= ended["error"].last_at
    assert ["the log did not answer"] == [event.text for event in store.events("shop", kinds=["monitor"])]


def test_events_are_told_in_order_and_counted_by_outcome(store: Store) -> None:
    """By processing time, of one model or all, since a time."""
    store.record_event("shop", "rollout", "all traffic", T0 + DAY, {"outcome": "promoted", "version": "2"})
    store.record_event("shop", "retrain", "begun", T0, {"outcome": "started"})
    store.record_event(None, "guard", "looked", T0)

    promoted = Event("shop", "rollout", "all traffic", T0 + DAY, {"outcome": "promoted", "version": "2"})
    assert ["begun", "looked", "all traffic"] == [event.text for event in store.events()]
    assert (promoted,) == store.events("shop", since=T0 + DAY)
    assert {("rollout", "shop", "promoted"): 1, ("retrain", "shop", "started"): 1} == store.event_counts()


def test_an_event_with_a_key_is_recorded_once(store: Store) -> None:
    """A task that is retried does not count twice; events without a key are all kept."""
    assert [True, False] == [store.record_event("shop", "retrain", "x", T0, key="run 1") for _ in range(2)]
    assert [True, True] == [store.record_event("shop", "retrain", "x", T0) for _ in range(2)]
    assert 3 == len(store.events())


def test_processes_may_make_and_use_the_store_at_once(url: str) -> None:
    """Several processes that start together lose no revision and no count, and keep each key once."""
    with ThreadPoolExecutor(3) as pool:
        command = (sys.executable, "-c", WRITER, url)
        ended = list(pool.map(lambda _: run(command, capture_output=True, text=True, check=False), range(3)))

    assert [""] * 3 == [process.stderr for process in ended]
    with Store(url) as store:
        assert ([15], [15]) == ([run.count for run in store.runs()], [r.revision for r in store.latest()])
        assert {("retrain", "shop", "started"): 5} == store.event_counts()


def test_a_new_store_may_be_opened_by_several_at_once(tmp_path: Path) -> None:
    """None of those who make one file at the same moment is told that another has locked it."""
    together = Barrier(4)

    def read(url: str) -> Sequence[Event]:
        with Store(url) as store:
            together.wait()
            return store.events("shop")

    for attempt in range(20):
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(read, [f"sqlite:///{tmp_path}/{attempt}.db"] * 4)) == [()] * 4


def test_readers_do_not_wait_for_a_writer(store: Store, url: str) -> None:
    """A scrape answers while a monitor writes."""
    store.save(RESULT)
    writer = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE windows SET rows = 1")

    assert (RESULT,) == store.latest()
    writer.execute("ROLLBACK")
    writer.close()


def test_a_failed_save_leaves_nothing(store: Store) -> None:
    """A window and its numbers are saved together or not at all."""
    bad = Measurement("a", 1.0)
    object.__setattr__(bad, "name", None)

    with pytest.raises(Exception, match="NOT NULL"):
        store.save(replace(RESULT, measurements=(*NUMBERS, bad)))
    assert ((), ()) == (store.latest(), store.runs())


@pytest.mark.parametrize("url", ["results.db", "oracel://host/db", "postgresql+nothing://host/db"])
def test_a_url_that_is_none_is_a_setting_to_mend(url: str) -> None:
    """The variable and the form that it must have are named."""
    with pytest.raises(SettingsError, match="TRIMTAB_RESULTS_URL: must be a database URL such as sqlite:///"):
        Store(url)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "file").write_text("", "utf-8")

    with Store(f"sqlite:///{tmp_path}/file/results.db") as store, pytest.raises(SettingsError, match="file"):
        store.latest()


def test_a_broken_database_is_unavailable(tmp_path: Path) -> None:
    """The message names the store, and never its password."""
    file = tmp_path / "results.db"
    file.write_bytes(b"no database" * 1000)

    with Store(f"sqlite:///{file}") as store, pytest.raises(Unavailable, match=r"results\.db did not answer"):
        store.latest()


def test_postgres_takes_the_same_tables_and_times() -> None:
    """The tables can be made there, and its times keep their zone."""
    dialect = postgresql.dialect()
    statements = [str(CreateTable(table).compile(dialect=dialect)) for table in METADATA.sorted_tables]

    assert all("TIMESTAMP WITH TIME ZONE" in text for text in statements if "_at " in text)
    assert any("content BYTEA" in text for text in statements)
    assert T0 == UtcDateTime().process_bind_param(T0.astimezone(timezone(DAY / 24)), dialect)


def test_losses_of_a_window_are_replaced_and_come_in_order(store: Store) -> None:
    """Late labels change what is kept of a window; a reader asks for the windows that are over."""
    for start, mean in ((T0 + DAY, 0.3), (T0, 0.1), (T0, 0.2), (T0 + 2 * DAY, 0.4)):
        store.save_losses(WindowLosses("shop", "1", start, start + DAY, {"mean": mean}))
    store.save_losses(WindowLosses("shop", "2", T0, T0 + DAY, {"mean": 0.9}))

    kept = store.losses("shop", "1", T0 + 2 * DAY)
    assert [(one.start, one.content) for one in kept] == [(T0, {"mean": 0.2}), (T0 + DAY, {"mean": 0.3})]


def test_the_last_event_of_a_kind_is_found_by_its_record(store: Store) -> None:
    """Events are told in the order in which they were recorded, whatever their time."""
    store.record_event("shop", "triage", "first", T0)
    store.record_event("shop", "triage", "second", T0 - DAY)
    store.record_event("shop", "retrain", "other", T0)
    store.record_event("inn", "triage", "other", T0)

    last = store.last_event("shop", "triage")
    assert last is not None
    assert last.text == "second"
    assert store.last_event("shop", "rollout") is None


def test_the_last_event_is_found_without_those_of_some_outcomes(store: Store) -> None:
    """What was recorded since with an outcome that is left out hides nothing."""
    for number, outcome in enumerate(("retrain", "watch", "fix_data", "fix_infra")):
        store.record_event("shop", "triage", str(number), T0, {"outcome": outcome})

    last = store.last_event("shop", "triage", without=("fix_data", "fix_infra"))
    assert last is not None
    assert last.text == "1"
    assert store.last_event("shop", "triage", without=("retrain", "watch", "fix_data", "fix_infra")) is None
