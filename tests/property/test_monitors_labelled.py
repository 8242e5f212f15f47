from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.labelled import Labelled
from monitors.tables import delta
from monitors.windows import Window
from spec.tables import label_columns

START = datetime(2024, 3, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
SPAN = Window(START + 48 * HOUR, START + 72 * HOUR)
IDS = ["a", "b", "c", "d"]
hours = st.integers(0, 120)
Answer = tuple[str, int, int]
Arrival = tuple[str, int, bool]


@st.composite
def history(draw: st.DrawFn) -> tuple[list[Answer], list[list[Arrival]]]:
    """Answers (id, event, answered) and commits of labels (id, arrived, label), all in hours from the start.

    An event may be long before or after its answer, and may be answered again. A label comes after its event
    or its first answer; commits are not in the order of arrival.
    """
    event = {key: draw(hours) for key in IDS}
    answers = draw(st.lists(st.tuples(st.sampled_from(IDS), hours), min_size=1, max_size=6))
    soonest = {key: min([event[key], *(at for name, at in answers if name == key)]) for key in IDS}
    label = st.tuples(st.sampled_from([*IDS, "?"]), st.integers(0, 60), st.booleans())
    commits = draw(st.lists(st.lists(label, min_size=1, max_size=5), max_size=4))
    arrivals = [[(key, soonest.get(key, 0) + wait, came) for key, wait, came in commit] for commit in commits]
    return [(key, event[key], at) for key, at in answers], arrivals


def write(world: Any, answers: Sequence[Answer], commits: Sequence[Sequence[Arrival]]) -> None:
    """Write both tables as servers and label jobs with clocks of their own may."""
    for number, (key, event, at) in enumerate(answers):
        row = {
            "row_id": str(number),
            "prediction_id": key,
            "event_time": START + event * HOUR,
            "event_date": f"{START + event * HOUR:%Y-%m-%d}",
            "logged_at": START + at * HOUR,
            "version": str(number),
        }
        world.write_log([row])
    schema = delta.schema_of(label_columns(world.spec))
    for commit in commits:
        rows = [
            {"prediction_id": key, "label": came, "arrived_at": START + at * HOUR} for key, at, came in commit
        ]
        table = pa.Table.from_pylist(rows, schema=schema)
        delta.append(world.settings.location(world.spec.data.labels), table)


def known(
    answers: Sequence[Answer], commits: Sequence[Sequence[Arrival]], as_of: int
) -> dict[str, tuple[str, bool, datetime]]:
    """By prediction: the version of its last answer, its last label, when its first label came."""
    last_answer: dict[str, tuple[int, str]] = {}
    for number, (key, event, at) in enumerate(answers):
        inside = SPAN.start <= START + event * HOUR < SPAN.end + 24 * HOUR
        if inside and at <= as_of and at >= last_answer.get(key, (at, ""))[0]:
            last_answer[key] = at, str(number)
    joined = {}
    for key, (_, version) in last_answer.items():
        came = [
            (at, label) for commit in commits for name, at, label in commit if name == key and at <= as_of
        ]
        if came:
            newest = max(at for at, _ in came)
            label = [label for at, label in came if at == newest][-1]
            joined[key] = version, label, START + min(at for at, _ in came) * HOUR
    return joined


@settings(max_examples=25, deadline=None)
@given(drawn=history(), as_of=st.integers(0, 180))
def test_what_was_known_is_the_same_whenever_it_is_asked(
    make_world: Callable[..., Any], drawn: tuple[list[Answer], list[list[Arrival]]], as_of: int
) -> None:
    """Labels and answers in any order, repeated, corrected: a join at a time is a loop over what had come."""
    world = make_world()
    write(world, *drawn)

    found = Labelled.read(world.spec, world.settings, SPAN, START + as_of * HOUR).joined.to_pylist()

    joined = {row["prediction_id"]: (row["version"], row["label"], row["known_since"]) for row in found}
    assert joined == known(*drawn, as_of)
    assert len(joined) == len(found)
