from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.tables import inference_log, labels
from monitors.windows import start_of, starts_of

START = datetime(2024, 3, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
ids = st.sampled_from(["a", "b", "c", "d"])
hours = st.integers(0, 72)
log_rows = st.lists(st.tuples(ids, hours, hours, st.booleans(), st.sampled_from(["1", "2"])), max_size=12)
batches_of_labels = st.dictionaries(ids, st.booleans(), min_size=1)
few = settings(max_examples=20, deadline=None)


def as_rows(drawn: list[tuple[str, int, int, bool, str]]) -> list[dict[str, Any]]:
    """Log rows of drawn values; the same prediction, version, time and mirror make the same row id."""
    return [
        {
            "row_id": f"{key}/{event}/{version}/{shadow}",
            "prediction_id": key,
            "event_time": START + event * HOUR,
            "logged_at": START + logged * HOUR + timedelta(microseconds=position),
            "version": version,
            "shadow": shadow,
        }
        for position, (key, event, logged, shadow, version) in enumerate(drawn)
    ]


@few
@given(drawn=log_rows, batches=st.integers(1, 3), span=st.tuples(hours, hours))
def test_reading_is_filtering_and_dropping_duplicates(
    make_world: Callable[..., Any],
    drawn: list[tuple[str, int, int, bool, str]],
    batches: int,
    span: tuple[int, int],
) -> None:
    """However rows are spread over commits and days, a read gives what pandas does on all of them."""
    world = make_world()
    rows = as_rows(drawn)
    for batch in range(batches):
        if part := rows[batch::batches]:
            world.write_log(part)
    start, end = (START + hour * HOUR for hour in sorted(span))

    found = inference_log.read(world.spec, world.settings, start, end)["row_id"].to_pylist()

    frame = pd.DataFrame(rows, columns=["row_id", "event_time", "shadow"]).drop_duplicates("row_id")
    kept = [row.row_id for row in frame.itertuples() if start <= row.event_time < end and not row.shadow]
    assert sorted(kept) == sorted(found)


@few
@given(drawn=log_rows, labelled=st.dictionaries(ids, st.booleans()))
def test_joining_is_a_merge_with_the_last_answer(
    drawn: list[tuple[str, int, int, bool, str]], labelled: dict[str, bool]
) -> None:
    """Each labelled prediction is there once, live and mirrored apart, with its last answer."""
    rows = as_rows(drawn)
    names = ["prediction_id", "logged_at", "shadow", "version"]
    kinds = [pa.string(), pa.timestamp("us", "UTC"), pa.bool_(), pa.string()]
    columns = [pa.array([row[name] for row in rows], kind) for name, kind in zip(names, kinds, strict=True)]
    log = pa.table(columns, names=names)
    known = pa.table(
        {
            "prediction_id": pa.array(list(labelled), pa.string()),
            "label": pa.array(list(labelled.values()), pa.bool_()),
        }
    )

    joined = labels.join(log, known).to_pylist()

    last: dict[tuple[str, bool], tuple[Any, ...]] = {}
    for row in sorted(rows, key=lambda row: row["logged_at"]):
        last[row["prediction_id"], row["shadow"]] = tuple(row[name] for name in names)
    expected = {(*row, labelled[key]) for (key, _), row in last.items() if key in labelled}
    assert expected == {tuple(row.values()) for row in joined}
    assert len(expected) == len(joined)


@few
@given(arrivals=st.lists(st.tuples(st.integers(0, 3), batches_of_labels), max_size=5))
def test_what_was_known_is_the_last_to_arrive_by_then(
    make_world: Callable[..., Any], arrivals: list[tuple[int, dict[str, bool]]]
) -> None:
    """At every time, the known labels are those of replaying all arrivals until then."""
    world = make_world()
    now = START
    known_at: dict[datetime, dict[str, bool]] = {START - HOUR: {}}
    known: dict[str, bool] = {}
    for wait, batch in arrivals:
        now += wait * HOUR
        world.set_time(now)
        frame = pd.DataFrame({"order_id": list(batch), "returned": list(batch.values())})
        labels.append(world.spec, world.settings, frame)
        known = known | batch
        known_at[now] = known

    for as_of, expected in known_at.items():
        rows = labels.read(world.spec, world.settings, as_of).to_pylist()
        assert expected == {row["prediction_id"]: row["label"] for row in rows}


@given(keys=st.lists(st.sampled_from(["a", "b", None]) | st.text(max_size=2)))
def test_first_occurrences_are_those_of_a_loop(keys: list[str | None]) -> None:
    """The vectorised search for first occurrences agrees with a set and a loop."""
    first = [position for position, key in enumerate(keys) if key not in keys[:position]]

    assert first == inference_log.first_of_each(pa.array(keys, pa.string())).tolist()


@given(
    times=st.lists(st.datetimes(datetime(1960, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))),  # noqa: DTZ001
    length=st.sampled_from([timedelta(minutes=7), HOUR, timedelta(days=1), timedelta(weeks=1)]),
)
def test_windows_of_many_times_are_those_of_each(times: list[datetime], length: timedelta) -> None:
    """Vectorised or one by one, before 1970 or after: a time lies in the same window."""
    found = starts_of(pa.chunked_array([pa.array(times, pa.timestamp("us", "UTC"))]), length)

    assert {start_of(time, length) for time in times} == found
    assert all(start_of(time, length) <= time < start_of(time, length) + length for time in times)
