from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from retraining.dataset.cut import cut
from retraining.dataset.stored import DOUBTED, TRAIN, kept, load_rows
from retraining.passes import out_of_fold
from retraining.passes.optimization_pass import NotApplicable
from retraining.prepare import prepare
from retraining.records import Snapshot
from retraining.train import train
from retraining.tune import tune
from retraining.workspace import Workspace
from spec import DataError, SpecError, loads
from spec.retrain import Learner

_MODULE = """
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from retraining.learners.pipelines import build
from spec.retrain import Learner


def estimator(spec, params):
    columns = build(spec, Learner.LINEAR, {"strength": 1.0}).steps[0]
    return Pipeline([columns, ("model", LogisticRegression(C=params["C"], solver=params["solver"]))])


def unnamed(spec, params):
    return LogisticRegression()


def twice(spec, rows):
    return pd.concat([rows, rows])


def fewer(spec, rows):
    return rows.drop(columns="amount")
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put a user's module on the path."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "own_models.py").write_text(_MODULE)
    monkeypatch.syspath_prepend(tmp_path / "mine")
    yield
    sys.modules.pop("own_models", None)


@pytest.fixture
def prepared(
    shop_world: Callable[..., Any], orders: Callable[..., pd.DataFrame], put_history: Callable[..., None]
) -> Callable[..., Any]:
    """Make a world of a YAML with a snapshot."""

    def make(yaml: str, frame: pd.DataFrame | None = None) -> Any:
        world = shop_world()
        world.spec = loads(yaml)
        put_history(world, orders() if frame is None else frame)
        prepare(world.spec, world.settings, "r")
        return world

    return make


@pytest.fixture
def wanted(shop_yaml: Callable[..., str]) -> Callable[..., str]:
    """Write the shop's YAML with more under `retrain`."""

    def text(more: str, **kwargs: Any) -> str:
        return shop_yaml(**kwargs).replace("holdout: 10d", f"holdout: 10d\n  {more}")

    return text


@pytest.mark.usefixtures("own_module")
def test_an_estimator_of_ones_own_is_searched_and_served(
    prepared: Callable[..., Any], wanted: Callable[..., str]
) -> None:
    """The factory gets the spec and what the search suggests; its pipeline passes the gate of parity."""
    space = "{C: {low: 0.01, high: 10, log: true}, solver: [lbfgs, newton-cg]}"
    own = f"own: {{factory: 'own_models:estimator', space: {space}}}"
    world = prepared(wanted(own, learners="own", trials=4))

    tuned = tune(world.spec, world.settings, "r").found[0]
    candidate = train(world.spec, world.settings, "r").candidates[0]

    assert {"C", "solver"} == tuned.params.keys()
    assert 0.01 <= tuned.params["C"] <= 10
    assert Learner.OWN is candidate.learner
    assert candidate.parity_difference < 1e-4


@pytest.mark.usefixtures("own_module")
@pytest.mark.parametrize(
    ("own", "found"),
    [
        ("own: {factory: 'own_models:nothing'}", "must name a function that can be imported"),
        ("own: {factory: 'own_models:unnamed'}", "must return a scikit-learn Pipeline whose last step"),
    ],
)
def test_a_factory_that_makes_no_pipeline_is_refused(
    prepared: Callable[..., Any], wanted: Callable[..., str], own: str, found: str
) -> None:
    """The error says where the spec names it, and what it must be."""
    world = prepared(wanted(own, learners="own"))

    with pytest.raises(DataError, match=f"retrain.own.*{found}"):
        tune(world.spec, world.settings, "r")


def test_own_without_a_factory_is_refused_by_the_spec(wanted: Callable[..., str]) -> None:
    """Naming the learner without saying what it is is a contradiction of the file."""
    with pytest.raises(SpecError, match="must say what it is where learners has own"):
        loads(wanted("own: null", learners="own"))


def test_a_range_that_falls_is_refused_by_the_spec(wanted: Callable[..., str]) -> None:
    """Whoever writes the file hears of it, not the retrain at night."""
    with pytest.raises(SpecError, match="low must be below high"):
        loads(wanted("own: {factory: 'a:b', space: {C: {low: 2, high: 1}}}", learners="own"))


@pytest.mark.usefixtures("own_module")
def test_rows_are_augmented_for_fitting_only(
    prepared: Callable[..., Any], wanted: Callable[..., str]
) -> None:
    """What a hook adds is learnt from; what trials are scored on stays as the world gave it."""
    from retraining.dataset.windows import learnt

    world = prepared(wanted("augment: own_models:twice"))
    work = Workspace(world.settings, "r")
    taken = work.load(Snapshot)
    split = cut(world.spec, load_rows(work, TRAIN), taken)

    assert 2 * len(split.fit) == len(learnt(world.spec, "all", split.fit, taken))


@pytest.mark.usefixtures("own_module")
def test_a_hook_that_loses_a_column_is_refused(
    prepared: Callable[..., Any], wanted: Callable[..., str]
) -> None:
    """The error names the hook and the column."""
    world = prepared(wanted("augment: own_models:fewer"))

    with pytest.raises(DataError, match=r"what own_models:fewer .* returns: column 'amount': must be there"):
        tune(world.spec, world.settings, "r")


def test_labels_that_are_probably_wrong_are_listed_or_left_out(
    prepared: Callable[..., Any], wanted: Callable[..., str], orders: Callable[..., pd.DataFrame]
) -> None:
    """Flipped labels of plain cases are found: most of what is listed was flipped, and `remove` drops it."""
    frame = orders(n=3000)
    frame["amount"] = frame["returned"].map({True: 200.0, False: 10.0})
    flipped = frame.index[100:2300:40]
    frame.loc[flipped, "returned"] = ~frame.loc[flipped, "returned"]
    world = prepared(wanted("label_errors: remove"), frame)
    tune(world.spec, world.settings, "r")

    found = train(world.spec, world.settings, "r")

    listed = set(pd.read_csv(Workspace(world.settings, "r").path(DOUBTED))["order_id"])
    wrong = set(frame.loc[flipped, "order_id"])
    assert found.doubted_labels == len(listed)
    assert len(listed & wrong) >= 0.8 * len(wrong)
    assert len(listed & wrong) >= 0.8 * len(listed)


def test_a_list_of_doubtful_labels_never_outlives_its_rows(
    prepared: Callable[..., Any],
    wanted: Callable[..., str],
    orders: Callable[..., pd.DataFrame],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a second try cannot tell, what the first one listed is gone, and nothing is left out by it."""
    frame = orders(n=3000)
    frame["amount"] = frame["returned"].map({True: 200.0, False: 10.0})
    frame.loc[frame.index[100:2300:40], "returned"] ^= True
    world = prepared(wanted("label_errors: remove"), frame)
    work = Workspace(world.settings, "r")
    tune(world.spec, world.settings, "r")
    assert train(world.spec, world.settings, "r").doubted_labels > 0

    def cannot_tell(*_: object) -> None:
        msg = "too few days hold class 1"
        raise NotApplicable(msg)

    monkeypatch.setattr(out_of_fold, "answers", cannot_tell)

    assert 0 == train(world.spec, world.settings, "r").doubted_labels
    rows = load_rows(work, TRAIN)
    assert len(rows) == len(kept(world.spec, work, rows))
