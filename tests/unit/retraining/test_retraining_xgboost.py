from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from retraining import learners, native
from retraining.dataset.labelled import Rows
from retraining.graphs import parity, trees
from retraining.graphs.export import to_onnx
from retraining.graphs.scorer import Scorer
from retraining.optimize import optimize
from retraining.prepare import prepare
from retraining.records import Search
from retraining.train import train
from retraining.tune import tune
from retraining.workspace import Workspace
from spec import DataError, ModelSpec, Refused
from spec.retrain import Learner

TASKS = ["binary", "multiclass", "regression"]
SMALL = learners.defaults(Learner.XGBOOST) | {"n_estimators": 20, "max_depth": 4}


@pytest.fixture
def library() -> Any:
    """Return XGBoost; without the extra these tests have nothing to test."""
    return pytest.importorskip("xgboost", reason="the extra xgboost is not installed")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("change", [{}, {"n_estimators": 1, "min_child_weight": 1e6}])
def test_a_booster_is_served_exactly(
    task: str,
    change: dict[str, float],
    library: Any,
    shop: Callable[..., ModelSpec],
    orders: Callable[..., pd.DataFrame],
) -> None:
    """Its graph answers as it does: on nulls, thresholds, unseen categories, and without any split."""
    spec, rows = shop(task), Rows.of(shop(task), orders(task, n=800))
    pipeline = learners.fit(spec, Learner.XGBOOST, SMALL | change, rows)

    graph = to_onnx(spec, pipeline).SerializeToString()

    assert parity.check(spec, pipeline, graph, rows.inputs).difference < 1e-5
    assert isinstance(pipeline.steps[-1][1], library.XGBModel)


@pytest.mark.parametrize("task", TASKS)
def test_a_truncated_graph_is_the_booster_of_its_first_rounds(
    task: str, library: Any, shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]
) -> None:
    """Its base score stays, and as many trees of every class are kept."""
    spec, rows = shop(task), Rows.of(shop(task), orders(task, n=600))
    pipeline = learners.fit(spec, Learner.XGBOOST, SMALL, rows)
    graph = to_onnx(spec, pipeline)

    kept = trees.truncate(graph, 7, averages=False)

    assert (20, 7) == (trees.rounds(graph), trees.rounds(kept))
    codes = library.DMatrix(pipeline[:-1].transform(rows.inputs))
    expected = pipeline.steps[-1][1].get_booster().predict(codes, iteration_range=(0, 7))
    found = Scorer(spec.task, kept.SerializeToString()).predict(rows.inputs)
    assert np.allclose(expected, found, rtol=0, atol=1e-5)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("task", TASKS)
def test_a_booster_goes_on_where_it_ended(
    task: str, shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]
) -> None:
    """A quarter more rounds grow on what is new; the old model stays, and the new one is served exactly."""
    spec = shop(task)
    old, new = Rows.of(spec, orders(task, n=800)), Rows.of(spec, orders(task, n=800, seed=1))
    first = learners.fit(spec, Learner.XGBOOST, SMALL | {"n_estimators": 40}, old)
    before = learners.scores(spec, first, new.inputs)

    more = learners.continued(first, new)
    again = learners.continued(more, new)

    rounds = [one.steps[-1][1].get_booster().num_boosted_rounds() for one in (first, more, again)]
    assert [40, 50, 62] == rounds
    assert (before == learners.scores(spec, first, new.inputs)).all()
    for one in (more, again):
        content = to_onnx(spec, one).SerializeToString()
        assert parity.check(spec, one, content, new.inputs).difference < 1e-5


@pytest.mark.usefixtures("library")
def test_a_booster_that_goes_on_learns_the_new_world(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]
) -> None:
    """When the world has turned around, the loss on rows of the new one falls."""
    spec = shop()
    worlds = ((0, False), (1, True), (2, True))
    old, new, later = (Rows.of(spec, orders(n=1500, seed=seed, flip=flip)) for seed, flip in worlds)
    first = learners.fit(spec, Learner.XGBOOST, learners.defaults(Learner.XGBOOST), old)

    more = learners.continued(first, new)

    before, after = (log_loss(later.truth, learners.scores(spec, one, later.inputs)) for one in (first, more))
    assert after < 0.8 * before


@pytest.mark.parametrize("task", TASKS)
def test_a_booster_is_kept_without_pickle(
    task: str,
    library: Any,
    shop: Callable[..., ModelSpec],
    orders: Callable[..., pd.DataFrame],
    tmp_path: Path,
) -> None:
    """The file of skops answers as the pipeline does, and XGBoost itself reads the JSON beside it."""
    spec, rows = shop(task), Rows.of(shop(task), orders(task, n=500))
    pipeline = learners.fit(spec, Learner.XGBOOST, SMALL, rows)

    assert native.save(pipeline, tmp_path)

    loaded = native.load(tmp_path / native.FILE)
    expected = learners.scores(spec, pipeline, rows.inputs)
    assert np.array_equal(expected, learners.scores(spec, loaded, rows.inputs))
    booster = library.Booster(model_file=tmp_path / native.XGBOOST)
    codes = library.DMatrix(pipeline[:-1].transform(rows.inputs))
    assert np.allclose(expected, booster.predict(codes), rtol=0, atol=1e-6)


@pytest.mark.usefixtures("library")
def test_a_booster_goes_through_all_stages(
    shop_world: Callable[..., Any], orders: Callable[..., pd.DataFrame], put_history: Callable[..., None]
) -> None:
    """It is searched, exported and truncated as the other boosters are, and the same every time."""
    world = shop_world(learners="xgboost", trials=2)
    put_history(world, orders(n=1500))
    files = []
    for run in ("a", "b"):
        for stage in (prepare, tune, train):
            stage(world.spec, world.settings, run)
        work = Workspace(world.settings, run)
        (candidate,) = work.load(Search).candidates
        files.append(work.path(candidate.onnx).read_bytes())

    chosen = optimize(world.spec, world.settings, "a").chosen.name

    assert files[0] == files[1]
    assert chosen.startswith("xgboost")


def test_the_default_lies_in_the_space(shop: Callable[..., ModelSpec]) -> None:
    """The first trial's parameters are suggested as they are, and the grid lies beside them."""
    study = optuna.create_study()
    study.enqueue_trial(learners.defaults(Learner.XGBOOST))

    assert learners.defaults(Learner.XGBOOST) == learners.suggest(shop(), Learner.XGBOOST, study.ask())
    assert learners.defaults(Learner.XGBOOST).keys() == learners.grid(shop(), Learner.XGBOOST).keys()


def test_without_the_extra_the_search_says_what_to_install(
    shop_world: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is read or fitted."""
    monkeypatch.setitem(sys.modules, "xgboost", None)
    world = shop_world(learners="lightgbm, xgboost")

    with pytest.raises(
        DataError, match=r"retrain.learners: .* not installed\. .*pip install 'trimtab\[xgboost\]'"
    ):
        tune(world.spec, world.settings, "r")


def test_a_file_of_a_library_that_is_not_there_is_refused(
    library: Any,
    shop: Callable[..., ModelSpec],
    orders: Callable[..., pd.DataFrame],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The champion of a house that had XGBoost is not continued in one that has not."""
    spec, rows = shop(), Rows.of(shop(), orders(n=500))
    native.save(learners.fit(spec, Learner.XGBOOST, SMALL, rows), tmp_path)
    for name in [name for name in sys.modules if name == "xgboost" or name.startswith("xgboost.")]:
        monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(Refused, match="needs the package xgboost"):
        native.load(tmp_path / native.FILE)
    assert library is not None
