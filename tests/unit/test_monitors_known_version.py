from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest

from monitors.concept.source import Source
from monitors.estimators.estimate import Estimator
from monitors.finding import NoData
from monitors.held import Held
from monitors.known_version import KnownVersion
from monitors.references import Reference
from spec import ModelSpec, PerformanceMetric, loads

HOUR = 3600 * 10**6
CLASSES = ["a", "b", "c"]


def model(classes: list[str] | None = None) -> ModelSpec:
    """A model of one number."""
    target = "{name: y}" if classes is None else f"{{name: y, classes: [{', '.join(classes)}]}}"
    task = "binary" if classes is None else "multiclass"
    return loads(
        f"{{model: m, task: {task}, features: {{x: numeric}}, monitor: {{performance: {{estimate: cbpe}}}}, "
        f"data: {{inference_log: a, labels: b, id: id, time: t, target: {target}}}}}"
    )


def known(spec: ModelSpec, held: Held | None) -> KnownVersion:
    """A version whose reference has held-out rows; nothing else of it is read."""
    return KnownVersion(spec, cast("Reference", SimpleNamespace(held=held)))


def held_out(rows: int = 600) -> Held:
    """Labelled rows whose scores are their probabilities."""
    random = np.random.default_rng(0)
    scores = random.random((rows, 1))
    labels = (random.random(rows) < scores[:, 0]).astype(float)
    times = np.arange(rows) * HOUR
    return Held(pd.DataFrame({"x": random.normal(size=rows)}), scores, labels, times)


def test_what_is_learnt_comes_from_held_out_rows_and_once() -> None:
    """The estimator expects what the held-out rows show, the source's loss is theirs; both are kept."""
    held = held_out()
    version = known(model(), held)
    estimator, source = version.estimator, version.source

    assert isinstance(estimator, Estimator)
    assert isinstance(source, Source)
    brier = float(((held.scores[:, 0] - held.labels) ** 2).mean())
    assert source.mean == pytest.approx(brier)
    expected = estimator.estimate(held.frame, held.scores, held.times)[PerformanceMetric.BRIER]
    assert not isinstance(expected, NoData)
    assert expected.low < brier < expected.high
    assert version.estimator is estimator
    assert version.source is source


def test_a_multiclass_version_is_known_by_all_its_probabilities() -> None:
    """Scores of every class are held, so that they can be calibrated."""
    random = np.random.default_rng(1)
    scores = random.dirichlet(np.ones(3), 500)
    labels = (random.random((500, 1)) > np.cumsum(scores, axis=1)).sum(axis=1).astype(float)
    held = Held(pd.DataFrame({"x": random.normal(size=500)}), scores, labels, np.arange(500) * HOUR)
    estimator = known(model(CLASSES), held).estimator

    assert isinstance(estimator, Estimator)
    accuracy = estimator.estimate(held.frame, scores, held.times)[PerformanceMetric.ACCURACY]
    assert not isinstance(accuracy, NoData)
    assert accuracy.low < (scores.argmax(axis=1) == labels).mean() < accuracy.high


def test_without_held_out_rows_nothing_is_learnt() -> None:
    """Training rows will not do: a model knows them. The reason says so."""
    version = known(model(), None)

    assert version.estimator == version.source == NoData("the version was registered without held-out rows")
