from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import sentinel

import numpy as np
import pandas as pd
import pytest

from monitors import frames
from monitors.finding import Finding
from monitors.held import Held
from monitors.performance import Truth
from monitors.references import Reference
from monitors.results.records import Measurement
from monitors.slices.judge import judge
from spec import DataError, ModelSpec, Task, loads

DAY = 86_400 * 10**6
SPEC = """
model: flights
task: {task}
data: {{inference_log: log, labels: labels, id: id, time: t, target: {{name: late{classes}}}}}
features: {{origin: {{type: categorical, protected: {protected}}}, distance: numeric, delayed: boolean}}
monitor: {{slices: {slices}{fairness}}}
"""


def spec(
    slices: str = "{by: [origin, distance]}", task: Task = Task.BINARY, *, protected: bool = False
) -> ModelSpec:
    """A model of flights."""
    classes = ", classes: [early, punctual, late]" if task is Task.MULTICLASS else ""
    fairness = ", fairness: {metric: demographic_parity}" if protected else ""
    return loads(
        SPEC.format(
            task=task.value,
            slices=slices,
            classes=classes,
            protected=str(protected).lower(),
            fairness=fairness,
        )
    )


def flights(
    task: Task = Task.BINARY, rows: int = 6000, seed: int = 0, *, rot: float = 0.0
) -> tuple[pd.DataFrame, Truth]:
    """Flights of 14 days; far away from JFK, a part `rot` of the answers has nothing to do with the truth."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "origin": random.choice(["JFK", "LGA", "EWR"], rows),
            "distance": random.normal(900, 300, rows),
            "delayed": random.random(rows) < 0.3,
        }
    )
    rotten = ((frame["origin"] == "JFK") & (frame["distance"] > 1100)).to_numpy() & (
        random.random(rows) < rot
    )
    times = np.sort(random.integers(0, 14, rows)) * DAY
    if task is Task.REGRESSION:
        labels = random.normal(0, 1, rows)
        scores = np.where(rotten, random.normal(0, 1, rows), labels + random.normal(0, 0.3, rows))[:, None]
    elif task is Task.MULTICLASS:
        labels = random.integers(0, 3, rows).astype(float)
        shown = np.where(rotten | (random.random(rows) < 0.2), random.integers(0, 3, rows), labels)
        scores = 0.2 + 0.4 * np.eye(3)[shown.astype(int)]
    else:
        logit = random.normal(0, 2, rows)
        labels = (random.random(rows) < 1 / (1 + np.exp(-logit))).astype(float)
        scores = 1 / (1 + np.exp(-np.where(rotten, random.permutation(logit), logit)))[:, None]
    return frame, Truth(scores, labels, times)


def reference(model: ModelSpec, *, labelled: bool = True) -> Reference:
    """What a version was trained on, and how it did on rows that it was not."""
    frame, truth = flights(model.task, 5000, seed=99)
    typed = frames.typed(model, frame)
    held = Held(typed, truth.scores, truth.labels, truth.times) if labelled else None
    start = datetime(2024, 1, 1, tzinfo=UTC)
    counts: Any = sentinel.counts
    return Reference(
        "flights",
        "1",
        start,
        (start, start + timedelta(days=1)),
        5000,
        typed,
        counts,
        {},
        {},
        {},
        {},
        {},
        held,
    )


def told(finding: Finding, name: str) -> list[Measurement]:
    """The measurements of a name."""
    return [measurement for measurement in finding.measurements if measurement.name == name]


@pytest.mark.parametrize("task", list(Task))
def test_a_slice_that_rots_alarms(task: Task) -> None:
    """For every task the slice is named, with what its loss was and is, and how sure that is."""
    model = spec(task=task)

    finding = judge(model, *flights(task, rot=1.0), reference(model))

    (slice_,) = told(finding, "worst_slice")
    assert finding.status == "alarm"
    assert slice_.feature is not None
    assert "origin=JFK" in slice_.feature
    assert "distance > 1" in slice_.feature
    assert slice_.low is not None
    assert slice_.limit is not None
    assert 0 < slice_.low < slice_.value
    assert slice_.limit < slice_.value
    assert slice_.text is not None
    assert slice_.text.startswith(f"{slice_.feature}: {slice_.method} ")
    assert "before; a rise of" in slice_.text


@pytest.mark.parametrize("task", list(Task))
def test_a_window_like_the_reference_is_quiet(task: Task) -> None:
    """No slice is named where nothing changed; the declared ones are told."""
    model = spec(task=task)

    finding = judge(model, *flights(task), reference(model))

    assert finding.status == "ok"
    assert finding.rows == 6000
    assert told(finding, "worst_slice") == []
    assert {m.feature for m in told(finding, "slice_performance")} >= {"origin=JFK", "origin=LGA"}


def test_declared_slices_are_told_by_every_metric() -> None:
    """Seven slices; the watched metric says how far it is from that of the other rows."""
    model = spec("{by: [origin, distance], search: false}")

    finding = judge(model, *flights(rot=1.0), reference(model))

    methods = {m.method for m in told(finding, "slice_performance")}
    jfk = next(
        m
        for m in told(finding, "slice_performance")
        if (m.feature, m.method) == ("origin=JFK", model.performance_metric.value)
    )
    assert finding.status == "ok"
    assert {"roc_auc", "accuracy", "log_loss"} <= methods
    assert len(told(finding, "slice_performance")) == 7 * len(methods)
    assert jfk.text is not None
    assert " worse than the other rows (p = " in jfk.text


@pytest.mark.parametrize(("factor", "status"), [(0.99, "alarm"), (1.01, "ok")])
def test_a_small_rise_is_no_alarm_however_sure(factor: float, status: str) -> None:
    """A slice must have become worse by the spec's share of the mean loss: just enough, and just less."""
    rotten = flights(rot=0.55, rows=12_000)
    (slice_,) = told(judge(spec(), *rotten, reference(spec())), "worst_slice")
    assert slice_.limit is not None
    rise = spec().monitor.slices.rise * slice_.value / slice_.limit
    model = spec(f"{{rise: {rise * factor}}}")

    assert judge(model, *rotten, reference(model)).status == status


@pytest.mark.parametrize("labelled", [True, False])
def test_without_labels_in_the_reference_slices_are_held_against_the_others(labelled: bool) -> None:
    """The text says whether there is a before."""
    model = spec()

    (slice_,) = told(judge(model, *flights(rot=1.0), reference(model, labelled=labelled)), "worst_slice")

    assert slice_.text is not None
    assert ("the reference does not know it" in slice_.text) is not labelled


def test_without_a_reference_the_rows_cut_themselves() -> None:
    """A version without a reference is judged by its own quartiles and against its other rows."""
    finding = judge(spec(), *flights(rot=1.0), None)

    assert finding.status == "alarm"


def test_protected_groups_that_are_served_differently_alarm() -> None:
    """Fairness is a part of the verdict where a feature is protected."""
    model = spec("{search: false}", protected=True)
    frame, truth = flights()
    jfk = (frame["origin"] == "JFK").to_numpy()[:, None]
    unfair = replace(truth, scores=np.where(jfk, truth.scores**3, truth.scores))

    assert judge(model, frame, truth, reference(model)).status == "ok"
    finding = judge(model, frame, unfair, reference(model))
    assert finding.status == "alarm"
    assert [m.feature for m in told(finding, "fairness")] == ["origin"]


@pytest.mark.parametrize(("rows", "status"), [(399, "no_data"), (400, "ok")])
def test_too_few_rows_are_no_data(rows: int, status: str) -> None:
    """Below four times `min_rows` there is no search, and the reason says so."""
    model = spec("{min_rows: 100}")
    frame, truth = flights(rows=rows)

    finding = judge(model, frame, truth, reference(model))

    assert finding.status == status
    assert (len(told(finding, "no_data")) == 1) == (status == "no_data")


def test_nothing_asked_for_is_no_data() -> None:
    """Without declared slices, search or protected features there is nothing to say."""
    assert judge(spec("{search: false}"), *flights(rows=100), None) == Finding("no_data", (), 100)


def test_rows_with_broken_scores_are_left_out() -> None:
    """NaN in a score reaches no number."""
    frame, truth = flights()
    truth.scores[:10] = np.nan

    assert judge(spec(), frame, truth, reference(spec())).rows == 5990


def test_no_rows_are_no_data() -> None:
    """An empty window is judged as nothing."""
    frame, truth = flights()
    nothing = Truth(truth.scores[:0], truth.labels[:0], truth.times[:0])

    assert judge(spec(protected=True), frame.iloc[:0], nothing, reference(spec())).status == "no_data"


def test_rows_must_be_those_of_the_truth() -> None:
    """All that is wrong with the rows is told at once."""
    frame, truth = flights()

    with pytest.raises(DataError) as raised:
        judge(spec(), frame[["origin", "distance"]].head(3), truth, None)

    assert [problem.where for problem in raised.value.problems] == ["rows: delayed", "rows"]


def test_a_class_that_nobody_knows_is_no_label() -> None:
    """Rows of the reference whose label is no class of the spec, or null, say nothing of before."""
    model = spec(task=Task.MULTICLASS)
    known = reference(model)
    known.frame.loc[::2, "late"] = "diverted"
    known.frame.loc[1::4, "late"] = None

    assert judge(model, *flights(Task.MULTICLASS, rot=1.0), known).status == "alarm"
