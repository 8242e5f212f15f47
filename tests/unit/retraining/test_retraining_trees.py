from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

from retraining import learners
from retraining.dataset import rows
from retraining.graphs import trees
from retraining.graphs.export import to_onnx
from retraining.graphs.scorer import Scorer
from spec import ModelSpec, Task
from spec.retrain import Learner

KEEP = 7


def fitted(spec: ModelSpec, frame: pd.DataFrame, pipeline: object) -> tuple:
    """Return (pipeline, inputs) after fitting."""
    given = rows.inputs(spec, frame)
    return pipeline.fit(given, rows.target(spec, frame)), given


def scores_of_first(spec: ModelSpec, learner: Learner, pipeline: object, given: pd.DataFrame) -> np.ndarray:
    """Score with the first trees by the library's own means."""
    codes, model = pipeline[:-1].transform(given), pipeline[-1]
    regression = spec.task is Task.REGRESSION
    if learner is Learner.LIGHTGBM:
        call = model.predict if regression else model.predict_proba
        found = call(codes, num_iteration=KEEP)
    elif learner is Learner.HIST_GRADIENT_BOOSTING:
        stages = model.staged_predict(codes) if regression else model.staged_predict_proba(codes)
        found = list(stages)[KEEP - 1]
    else:
        model.estimators_ = model.estimators_[:KEEP]
        model.n_estimators = KEEP
        found = model.predict(codes) if regression else model.predict_proba(codes)
    return found[:, 1] if spec.task is Task.BINARY else found


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("task", [task.value for task in Task])
@pytest.mark.parametrize("learner", [Learner.LIGHTGBM, Learner.HIST_GRADIENT_BOOSTING, Learner.RANDOM_FOREST])
def test_the_first_trees_are_the_librarys_first_trees(
    shop: Callable[..., ModelSpec],
    orders: Callable[..., pd.DataFrame],
    small_pipeline: Callable[..., Any],
    learner: Learner,
    task: str,
) -> None:
    """A truncated graph answers what the library answers with as many trees, for sums and for means."""
    spec = shop(task)
    pipeline, given = fitted(spec, orders(task, n=1500), small_pipeline(spec, learner))
    model = to_onnx(spec, pipeline)

    short = trees.truncate(model, KEEP, averages=learners.averages(learner))

    assert 25 == trees.rounds(model)
    assert KEEP == trees.rounds(short)
    found = Scorer(spec.task, short.SerializeToString()).predict(given)
    assert np.allclose(scores_of_first(spec, learner, pipeline, given), found, rtol=0, atol=1e-5)
    assert short.ByteSize() < 0.6 * model.ByteSize()


def test_keeping_all_trees_changes_nothing(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame], small_pipeline: Callable[..., Any]
) -> None:
    """The last point of the validation curve is the model itself."""
    spec = shop()
    pipeline, given = fitted(spec, orders(n=1500), small_pipeline(spec, Learner.LIGHTGBM))
    model = to_onnx(spec, pipeline)

    same = trees.truncate(model, 25, averages=False)

    scores = [Scorer(spec.task, item.SerializeToString()).predict(given) for item in (model, same)]
    assert np.array_equal(*scores)


@pytest.mark.parametrize("keep", [0, 26])
def test_a_number_of_trees_that_is_not_there_is_an_error(
    shop: Callable[..., ModelSpec],
    orders: Callable[..., pd.DataFrame],
    small_pipeline: Callable[..., Any],
    keep: int,
) -> None:
    """Neither no tree nor more trees than there are can be kept."""
    spec = shop()
    pipeline, _ = fitted(spec, orders(n=1500), small_pipeline(spec, Learner.LIGHTGBM))

    with pytest.raises(ValueError, match=r"keep must lie in 1\.\.25"):
        trees.truncate(to_onnx(spec, pipeline), keep, averages=False)


def test_a_model_without_trees_has_none(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame], small_pipeline: Callable[..., Any]
) -> None:
    """A linear model cannot be pruned, and says so by None."""
    spec = shop()
    pipeline, _ = fitted(spec, orders(n=1500), small_pipeline(spec, Learner.LINEAR))

    assert trees.rounds(to_onnx(spec, pipeline)) is None


def test_a_deep_forest_counts_as_a_mean_of_its_trees(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]
) -> None:
    """A forest of another size and depth keeps probabilities that sum to 1 after truncation."""
    spec = shop()
    pipeline = learners.build(spec, Learner.RANDOM_FOREST, {"n_estimators": 11})
    assert isinstance(pipeline[-1], RandomForestClassifier)
    pipeline, given = fitted(spec, orders(n=800), pipeline)

    short = trees.truncate(to_onnx(spec, pipeline), 3, averages=True)

    scorer = Scorer(spec.task, short.SerializeToString())
    assert np.allclose(1, scorer.call(scorer.feeds(given))[1].sum(axis=1), atol=1e-6)
