from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import sklearn.ensemble  # noqa: F401 - threads can be limited once they are loaded

from monitors.answered import Scored
from monitors.estimators.estimate import Estimator, fit
from monitors.finding import NoData
from monitors.performance import Truth
from monitors.triage.expected_error import expected_error
from spec import loads

ROWS = 400


def learnt(errors: np.ndarray, task: str = "regression") -> Estimator | NoData:
    """What is learnt of rows with x from 0 to 1 and such errors of their predictions, which are all 0.5."""
    spec = loads(
        f"{{model: m, task: {task}, features: {{x: numeric}}, "
        "data: {inference_log: a, labels: b, id: id, time: t, target: {name: y}}}"
    )
    scores = np.full((ROWS, 1), 0.5)
    labels = 0.5 + errors if task == "regression" else (errors > 0).astype(float)
    truth = Truth(scores, labels, np.arange(ROWS, dtype=np.int64))
    return fit(spec, pd.DataFrame({"x": np.linspace(0, 1, ROWS)}), truth, timed=False)


def asked(*x: float) -> Scored:
    """Rows to label."""
    ids = np.array([f"{at}" for at in range(len(x))], dtype=object)
    scores = np.full((len(x), 1), 0.5)
    return Scored(ids, pd.DataFrame({"x": x}), scores, np.zeros(len(x), dtype=np.int64))


def test_errors_are_expected_in_the_unit_of_the_target() -> None:
    """The root of the mean square where rows are alike: 3 on the left, 30 on the right."""
    noise = np.random.default_rng(0).normal(0, 1, ROWS) * np.where(np.arange(ROWS) < ROWS / 2, 3.0, 30.0)

    found = expected_error(learnt(noise), asked(*np.linspace(0.05, 0.45, 50), *np.linspace(0.55, 0.95, 50)))

    assert found is not None
    assert np.sqrt((found[:50] ** 2).mean()) == pytest.approx(3, rel=0.4)
    assert np.sqrt((found[50:] ** 2).mean()) == pytest.approx(30, rel=0.4)


def test_no_row_is_worth_nothing() -> None:
    """Where no error is expected a row keeps a little, for what is taken times a density must be positive."""
    errors = np.where(np.arange(ROWS) < ROWS / 2, 0.0, 10.0)

    found = expected_error(learnt(errors), asked(0.1, 0.9))

    assert found is not None
    assert 0 < found[0] < 0.1
    assert found[1] == pytest.approx(10, rel=0.05)


def test_where_nothing_tells_of_errors_there_is_no_number() -> None:
    """No held-out rows, no error in any of them, or a task of classes."""
    never_wrong, of_classes = learnt(np.zeros(ROWS)), learnt(np.resize([1.0, -1.0], ROWS), "binary")

    for estimator in (NoData("no rows"), never_wrong, of_classes):
        assert expected_error(estimator, asked(0.1, 0.9)) is None
