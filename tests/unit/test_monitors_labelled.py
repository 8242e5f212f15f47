from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from monitors.finding import Finding
from monitors.labelled import Labelled
from monitors.results.records import Measurement
from monitors.tables import labels
from monitors.windows import Window

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
START = datetime(2024, 3, 10, tzinfo=UTC)
TODAY = Window(START, START + DAY)
SPAN = TODAY.pooled(7)

MOVED = """
model: shop
task: binary
data: {inference_log: log, labels: labels, id: order_id, time: t, target: {name: returned, delay: 1d}}
features: {amount: numeric}
monitor: {performance: {min_labels: 100}}
"""


class Scored(NamedTuple):
    """Answers, what came true, and the slots that answered."""

    scores: npt.NDArray[np.float64]
    truth: npt.NDArray[np.int64]
    slots: npt.NDArray[np.str_]


def answer(world: Any, *keys: str, event: datetime = START, **row: Any) -> None:
    """Commit answers to the log, given at the time of the event unless the row says otherwise."""
    world.write_log([{"prediction_id": key, "event_time": event, "logged_at": event, **row} for key in keys])


def label(world: Any, at: datetime, **values: int) -> None:
    """Hand in labels by prediction at a time."""
    world.set_time(at)
    frame = pd.DataFrame({"order_id": list(values), "returned": list(values.values())})
    labels.append(world.spec, world.settings, frame)


def read(world: Any, as_of: datetime) -> Labelled:
    """What was known of the day at a time."""
    return Labelled.read(world.spec, world.settings, SPAN, as_of)


def known(world: Any, as_of: datetime) -> dict[str, bool]:
    """The joined labels by prediction."""
    return {row["prediction_id"]: row["label"] for row in read(world, as_of).joined.to_pylist()}


def judged(world: Any, as_of: datetime) -> Finding:
    """What is said of the day."""
    return read(world, as_of).performance(TODAY, "1", None)


def day_of_answers(world: Any, slots: Sequence[str]) -> Scored:
    """Three hundred answers and their labels: the slots take turns, each by a tenth of the day."""
    random = np.random.default_rng(0)
    scores = random.random(300)
    slot = [slots[row // 30 % len(slots)] for row in range(300)]
    world.write_log(
        [
            {
                "prediction_id": f"p{row}",
                "event_time": START + row * DAY / 300,
                "scores": [score],
                "slot": slot[row],
            }
            for row, score in enumerate(scores)
        ]
    )
    truth = [int(random.random() < score) for score in scores]
    label(world, START + DAY, **{f"p{row}": came for row, came in enumerate(truth)})
    return Scored(scores, np.array(truth), np.array(slot))


def number(finding: Finding, name: str, method: str | None = None) -> float:
    """The one measurement of a name and method."""
    (found,) = (one for one in finding.measurements if (one.name, one.method) == (name, method))
    return found.value


def test_what_was_known_can_be_asked_again(world: Any) -> None:
    """A late answer, a late label and a correction leave what was known before them as it was."""
    answer(world, "a", "b")
    label(world, START + DAY, a=0, late=1)
    before = read(world, START + DAY)
    answer(world, "late", logged_at=START + 2 * DAY, row_id="late")
    label(world, START + 2 * DAY, a=1, b=1)

    again = read(world, START + DAY)

    assert again.joined.equals(before.joined)
    assert again.log.equals(before.log)
    assert again.strays.equals(before.strays)
    assert known(world, START + DAY) == {"a": False}
    assert known(world, START + 2 * DAY) == {"a": True, "b": True, "late": True}


def test_a_label_may_come_before_its_event(world: Any) -> None:
    """A flight that is cancelled the week before its departure, say, once it had been asked about."""
    answer(world, "a", event=START, logged_at=START - 20 * DAY)
    label(world, START - 15 * DAY, a=1)

    assert known(world, START + DAY) == {"a": True}
    assert number(judged(world, START + DAY), "label_delay_seconds", "p50") == -15 * 86_400


def test_the_delay_is_that_of_the_first_label(world: Any) -> None:
    """Half of the labels within 3 hours; a correction a week later is no late label."""
    answer(world, "a", "b", "c", "silent")
    label(world, START + 2 * HOUR, a=1)
    label(world, START + 3 * HOUR, b=0)
    label(world, START + 13 * HOUR, c=0)
    label(world, START + 7 * DAY, a=0)

    found = judged(world, START + 8 * DAY)

    assert number(found, "label_delay_seconds", "p50") == 3 * 3600
    assert number(found, "label_delay_seconds", "p95") == pytest.approx(12 * 3600)
    assert number(found, "labels_available_ratio") == 0.75


def test_without_labels_there_is_no_delay(world: Any) -> None:
    """A delay that does not exist is left out, and the coverage is zero."""
    answer(world, "a")

    found = judged(world, START + DAY)

    assert number(found, "labels_available_ratio") == 0.0
    assert not [one for one in found.measurements if one.name == "label_delay_seconds"]


def test_every_metric_of_the_task_is_measured_and_one_is_judged(world: Any) -> None:
    """The judged metric comes first; the others have a number, an interval and no limit."""
    day_of_answers(world, ["blue"])

    numbers = [one for one in judged(world, START + 2 * DAY).measurements if one.name == "performance"]

    expected = {"accuracy", "brier", "calibration_error", "f1", "log_loss", "precision", "recall", "roc_auc"}
    assert {one.method for one in numbers} == expected
    assert numbers[0].method == "roc_auc"
    for one in numbers:
        assert one.limit is None
        assert one.low is not None
        assert one.high is not None
        assert one.low <= one.value <= one.high
    assert {one.n for one in numbers} == {300}


def by_slot(world: Any) -> dict[tuple[str | None, str | None], Measurement]:
    """What is said of the day by slot and metric."""
    numbers = judged(world, START + 2 * DAY).measurements
    return {(one.feature, one.method): one for one in numbers if one.name == "slot_performance"}


def test_a_version_in_one_slot_has_its_numbers_there(world: Any) -> None:
    """Every metric is told of the slot that answered, equal to the version's."""
    day_of_answers(world, ["green"])
    whole = {n.method: n for n in judged(world, START + 2 * DAY).measurements if n.name == "performance"}
    slots = by_slot(world)

    assert slots.keys() == {("green", metric) for metric in whole}
    for (_, metric), told in slots.items():
        assert (told.value, told.low, told.high, told.n) == (
            whole[metric].value,
            whole[metric].low,
            whole[metric].high,
            300,
        )


def test_a_version_that_moved_is_told_by_slot(make_world: Any) -> None:
    """Each slot has the metric of its own rows, but not where they are fewer than a verdict needs."""
    world = make_world(MOVED)
    asked = day_of_answers(world, ["blue", "green"])
    slots = by_slot(world)

    for slot in ("blue", "green"):
        here = asked.slots == slot
        assert slots[slot, "roc_auc"].value == pytest.approx(
            roc_auc_score(asked.truth[here], asked.scores[here])
        )
        assert slots[slot, "roc_auc"].n == 150

    fewer = make_world(MOVED)
    day_of_answers(fewer, ["blue", "blue", "blue", "green"])
    assert {slot for slot, _ in by_slot(fewer)} == {"blue"}
