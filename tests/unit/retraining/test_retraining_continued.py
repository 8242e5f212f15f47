from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from sklearn.metrics import log_loss

from retraining import learners, retrain
from retraining.dataset.labelled import Rows
from retraining.graphs import parity
from retraining.graphs.export import to_onnx
from retraining.records import Search
from retraining.registry import Registry
from retraining.workspace import Workspace
from spec import ModelSpec, Refused, loads
from spec.retrain import Learner

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_boosting_goes_on_where_it_ended(
    task: str, shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]
) -> None:
    """A quarter more trees grow on what is new; the old model stays, and the new one is served exactly."""
    spec = shop(task)
    old, new = Rows.of(spec, orders(task, n=800)), Rows.of(spec, orders(task, n=800, seed=1))
    params = learners.defaults(Learner.LIGHTGBM) | {"n_estimators": 40, "num_leaves": 8}
    first = learners.fit(spec, Learner.LIGHTGBM, params, old)
    before = learners.scores(spec, first, new.inputs)

    more = learners.continued(first, new)

    rounds = first.steps[-1][1].booster_.num_trees()
    assert rounds * 5 // 4 == more.steps[-1][1].booster_.num_trees()
    assert (before == learners.scores(spec, first, new.inputs)).all()
    content = to_onnx(spec, more).SerializeToString()
    assert parity.check(spec, more, content, new.inputs).difference < 1e-4


@pytest.mark.parametrize("learner", [Learner.LIGHTGBM, Learner.MLP])
def test_what_is_continued_learns_the_new_world(
    learner: Learner, shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]
) -> None:
    """When the world has turned around, the loss on rows of the new one falls."""
    spec = shop()
    old, new, later = (
        Rows.of(spec, orders(n=1500, seed=seed, flip=flip))
        for seed, flip in ((0, False), (1, True), (2, True))
    )
    first = learners.fit(spec, learner, learners.defaults(learner), old)

    more = learners.continued(first, new)

    before, after = (
        log_loss(later.truth, learners.scores(spec, model, later.inputs)) for model in (first, more)
    )
    assert after < 0.8 * before


def test_what_cannot_go_on_says_so(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]
) -> None:
    """A forest is not continued, and nothing is on rows that lack a class."""
    spec = shop()
    rows = Rows.of(spec, orders(n=600))
    forest = learners.fit(spec, Learner.RANDOM_FOREST, {"n_estimators": 5}, rows)
    boosted = learners.fit(spec, Learner.LIGHTGBM, {"n_estimators": 5}, rows)
    frame = orders(n=600)

    with pytest.raises(Refused, match="a RandomForestClassifier cannot be continued"):
        learners.continued(forest, rows)
    with pytest.raises(Refused, match="the new rows hold 1 of 2 classes"):
        learners.continued(boosted, Rows.of(spec, frame[frame["returned"]]))


def test_the_champion_is_continued_as_one_candidate_of_several(
    registry_world: Callable[..., Any],
    shop_yaml: Callable[..., str],
    orders: Callable[..., pd.DataFrame],
    put_history: Callable[..., None],
) -> None:
    """Rows that came since it was fitted teach the champion further, beside what is trained anew."""
    world = registry_world()
    world.spec = loads(shop_yaml().replace("fine_tune: false", "fine_tune: true"))
    frame = orders(n=6000, days=120)
    put_history(world, frame.head(3000))
    world.set_time(frame["ordered_at"].iloc[2999].to_pydatetime())
    first = retrain(world.spec, world.settings, "a")
    Registry(world.settings).promote("shop", str(first.version))
    put_history(world, frame)
    world.set_time(frame["ordered_at"].iloc[-1].to_pydatetime() + timedelta(days=1))

    retrain(world.spec, world.settings, "b")

    found = Workspace(world.settings, "b").load(Search)
    assert [None, "1"] == [candidate.continues for candidate in found.candidates]
    assert not Workspace(world.settings, "a").load(Search).refused
