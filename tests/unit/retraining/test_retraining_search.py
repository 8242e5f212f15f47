from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import onnx
import pandas as pd
import pytest

from retraining import learners
from retraining.dataset import rows
from retraining.graphs.scorer import Scorer
from retraining.metrics import objective
from retraining.optimize import optimize
from retraining.prepare import TRAIN, load_rows, prepare
from retraining.records import Choice, Search
from retraining.search import search
from retraining.workspace import Workspace
from spec import NotFound, Refused
from spec.retrain import Learner


@pytest.fixture
def taken(
    shop_world: Callable[..., Any], orders: Callable[..., pd.DataFrame], put_history: Callable[..., None]
) -> Callable[..., Any]:
    """Make a world with a snapshot."""

    def make(*args: Any, task: str = "binary", **kwargs: Any) -> Any:
        world = shop_world(task, *args, **kwargs)
        put_history(world, orders(task))
        prepare(world.spec, world.settings, "r")
        return world

    return make


def test_the_same_run_gives_the_same_candidates(taken: Callable[..., Any]) -> None:
    """A step that is tried again finds the same parameters and writes the same files."""
    world = taken(trials=4)
    work = Workspace(world.settings, "r")

    first = search(world.spec, world.settings, "r")
    bytes_before = work.path(first.candidates[0].onnx).read_bytes()
    second = search(world.spec, world.settings, "r")

    assert first.candidates == second.candidates
    assert bytes_before == work.path(second.candidates[0].onnx).read_bytes()
    assert second == work.load(Search)
    trials = pd.read_csv(work.path(second.trials))
    assert 4 == len(trials)
    assert trials["value"].min() == pytest.approx(second.candidates[0].validation_loss)


def test_the_proxy_reproduces_the_best_trial(taken: Callable[..., Any]) -> None:
    """The proxy's ONNX graph has the very loss that its parameters won with."""
    world = taken(trials=3)
    found = search(world.spec, world.settings, "r")
    best = found.candidates[0]
    work = Workspace(world.settings, "r")

    validation = pd.read_parquet(work.path(found.validation))
    scores = Scorer(world.spec.task, work.path(best.proxy)).predict(rows.inputs(world.spec, validation))

    assert best.validation_loss == pytest.approx(
        objective(world.spec.task, rows.target(world.spec, validation), scores), abs=1e-6
    )
    assert load_rows(work, TRAIN)["ordered_at"].max() == validation["ordered_at"].max()


def test_the_search_needs_a_snapshot(shop_world: Callable[..., Any]) -> None:
    """A stage out of turn says which one comes first."""
    world = shop_world()

    with pytest.raises(NotFound, match="has no Snapshot"):
        search(world.spec, world.settings, "r")


def test_every_learner_gets_its_share(taken: Callable[..., Any]) -> None:
    """Trials are shared out, each learner has a candidate, and the best within the budget is chosen."""
    world = taken("lightgbm, hist_gradient_boosting, random_forest, linear", trials=4)

    found = search(world.spec, world.settings, "r")
    choice = optimize(world.spec, world.settings, "r")

    assert list(world.spec.retrain.learners) == [item.learner for item in found.candidates]
    assert [1, 1, 1, 1] == [item.trials for item in found.candidates]
    assert {} == found.refused
    assert choice == Workspace(world.settings, "r").load(Choice)
    assert 1 == sum(item.chosen for item in choice.variants)
    for item in choice.variants:
        assert item.chosen != bool(item.reasons)
        assert 0 < item.latency_p50 <= item.latency_p99
    kept = [item for item in choice.variants if item.chosen or "lower loss" in item.reasons[0]]
    assert choice.chosen.loss == min(item.loss for item in kept)


def test_pruning_keeps_the_loss_within_the_drop(taken: Callable[..., Any]) -> None:
    """The pruned variant is smaller than its model, and no worse than the drop allows on unseen rows."""
    world = taken(trials=1)
    search(world.spec, world.settings, "r")

    choice = optimize(world.spec, world.settings, "r")

    plain, pruned = choice.variants
    assert pruned.chosen
    assert ("prune_trees",) == pruned.passes
    assert pruned.trees < plain.trees == learners.defaults(Learner.LIGHTGBM)["n_estimators"]
    assert pruned.size < plain.size
    assert pruned.loss <= plain.loss * 1.01
    assert plain.loss == pytest.approx(
        Workspace(world.settings, "r").load(Search).candidates[0].validation_loss
    )
    assert "its pruned variant is within the budget and smaller" == plain.reasons[-1]
    file = Workspace(world.settings, "r").path(pruned.onnx)
    assert file.stat().st_size == pruned.size
    onnx.checker.check_model(str(file))


def test_a_budget_that_nothing_keeps_is_refused(taken: Callable[..., Any]) -> None:
    """Every variant is named with every limit that it breaks."""
    world = taken(trials=1)
    search(world.spec, world.settings, "r")
    tight = world.spec.optimize.within.model_copy(
        update={"size": 100, "latency_p99": timedelta(microseconds=1)}
    )
    spec = world.spec.model_copy(
        update={"optimize": world.spec.optimize.model_copy(update={"within": tight})}
    )

    with pytest.raises(Refused, match=r"No variant of 'shop' keeps optimize.within") as caught:
        optimize(spec, world.settings, "r")

    lines = str(caught.value).splitlines()
    assert lines[1].startswith("lightgbm (as trained, 100 trees): ")
    assert "; p99 of one row" in lines[1]
    assert "ms > 0.001 ms; size" in lines[1]
    assert lines[1].endswith("B > 100 B")
    assert lines[2].startswith("lightgbm (prune_trees, ")


def test_a_larger_model_within_the_budget_beats_none(taken: Callable[..., Any]) -> None:
    """With no drop allowed, only trees that do not help are cut."""
    world = taken(trials=1)
    search(world.spec, world.settings, "r")
    strict = world.spec.optimize.within.model_copy(update={"quality_drop": 0.0})
    spec = world.spec.model_copy(
        update={"optimize": world.spec.optimize.model_copy(update={"within": strict})}
    )

    choice = optimize(spec, world.settings, "r")

    assert choice.chosen.loss == min(item.loss for item in choice.variants)


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_other_tasks_are_searched_and_pruned(taken: Callable[..., Any], task: str) -> None:
    """Three classes and values go the same way."""
    world = taken(task=task, trials=1)

    search(world.spec, world.settings, "r")
    choice = optimize(world.spec, world.settings, "r")

    assert choice.chosen.trees < 100
    assert choice.chosen.loss <= min(item.loss for item in choice.variants) * 1.01
