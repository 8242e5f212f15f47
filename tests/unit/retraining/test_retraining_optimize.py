from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import onnx
import pandas as pd
import pytest

from retraining import learners, passes
from retraining.fitted import Fitted
from retraining.measurement import served
from retraining.measurement.served import Served
from retraining.optimize import optimize
from retraining.passes.half import Half
from retraining.passes.optimization_pass import NotApplicable
from retraining.passes.prune_trees import PruneTrees
from retraining.prepare import prepare
from retraining.records import Choice, Search
from retraining.train import train
from retraining.tune import tune
from retraining.variants.chart import PAGE, PICTURE
from retraining.workspace import Workspace
from spec import ModelSpec, Refused
from spec.retrain import Learner


@pytest.fixture
def searched(
    shop_world: Callable[..., Any], orders: Callable[..., pd.DataFrame], put_history: Callable[..., None]
) -> Callable[..., Any]:
    """Make a world whose run has candidates."""

    def make(*args: Any, task: str = "binary", **kwargs: Any) -> Any:
        world = shop_world(task, *args, **kwargs)
        world.spec = without_champion(world.spec)
        put_history(world, orders(task))
        prepare(world.spec, world.settings, "r")
        tune(world.spec, world.settings, "r")
        train(world.spec, world.settings, "r")
        return world

    return make


def without_champion(spec: ModelSpec) -> ModelSpec:
    """Return a spec whose search asks no registry."""
    wanted = spec.retrain.search.model_copy(update={"warm_start": False})
    return spec.model_copy(update={"retrain": spec.retrain.model_copy(update={"search": wanted})})


def changed(spec: ModelSpec, within: dict[str, Any] | None = None, **wanted: Any) -> ModelSpec:
    """Return a spec with other wishes for the optimization."""
    optimized = spec.optimize.model_copy(update=wanted)
    limits = optimized.within.model_copy(update=within or {})
    return spec.model_copy(update={"optimize": optimized.model_copy(update={"within": limits})})


def test_pruning_spends_the_drop_where_it_pays(searched: Callable[..., Any]) -> None:
    """The pruned variant costs at most half, loses no more than the drop on unseen rows, and is chosen."""
    world = searched(trials=1)
    work = Workspace(world.settings, "r")

    choice = optimize(world.spec, world.settings, "r")

    plain, pruned = choice.variants
    assert pruned == choice.chosen
    assert pruned.chosen
    assert ("prune_trees",) == pruned.passes
    assert pruned.trees < plain.trees == learners.defaults(Learner.LIGHTGBM)["n_estimators"]
    assert {"share": pruned.trees / plain.trees} == pytest.approx(pruned.plans[0], abs=0.01)
    assert pruned.loss <= plain.loss * 1.01
    assert "lightgbm/0 (prune_trees, " in plain.reasons[0]
    assert work.path(pruned.onnx).stat().st_size == pruned.size < plain.size
    onnx.checker.check_model(str(work.path(pruned.onnx)))
    assert choice == work.load(Choice)


def test_what_is_chosen_is_made_of_the_model_of_all_rows(searched: Callable[..., Any]) -> None:
    """The plan was made on the proxy; the file is the pass applied to the other model, and says so."""
    world = searched(trials=1)
    work = Workspace(world.settings, "r")
    candidate = work.load(Search).candidates[0]

    chosen = optimize(world.spec, world.settings, "r").chosen

    model = Fitted(candidate.learner, candidate.params, onnx.load(work.path(candidate.onnx)))
    expected = PruneTrees().apply(world.spec, model, None, chosen.plans[0]).graph
    assert expected == onnx.load(work.path(chosen.onnx))
    assert chosen.all_rows


def test_a_second_try_does_nothing_again(
    searched: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outcomes of passes, refusals too, are read from the run's folder; the choice is the same."""
    world = searched(trials=1)
    first = optimize(world.spec, world.settings, "r")

    def forbidden(name: str) -> Any:
        pytest.fail(f"{name} was done again")

    monkeypatch.setattr("retraining.variants.chains.named", forbidden)
    monkeypatch.setattr("retraining.optimize.named", forbidden)
    again = optimize(world.spec, world.settings, "r")

    told = ("passes", "plans", "onnx", "loss", "size")
    assert [[getattr(item, name) for name in told] for item in first.variants] == [
        [getattr(item, name) for name in told] for item in again.variants
    ]
    assert first.refused == again.refused


def test_a_pass_that_refuses_leaves_its_reason(searched: Callable[..., Any]) -> None:
    """Trees have no layers to quantize; the choice says so for each model on the chain."""
    world = searched(trials=1)

    choice = optimize(world.spec, world.settings, "r")

    told = {(item.passes, item.by): item.reason for item in choice.refused}
    reason = "the graph holds no dense layer, and trees are not computed with weights"
    assert {((), "quantize"): reason, (("prune_trees",), "quantize"): reason} == told


def test_a_budget_that_nothing_keeps_is_refused(searched: Callable[..., Any]) -> None:
    """Every variant is named with every limit that it breaks, the ones that were not measured too."""
    world = searched(trials=1)
    tight = {
        "size": 100,
        "latency_p99": timedelta(microseconds=1),
        "memory": 10**9,
        "cpu_per_million": timedelta(seconds=60),
    }

    with pytest.raises(Refused, match=r"No variant of 'shop' keeps optimize.within") as caught:
        optimize(changed(world.spec, tight), world.settings, "r")

    lines = str(caught.value).splitlines()
    assert lines[1].startswith("lightgbm/0 (as trained, 100 trees): p99 of one row ")
    assert "ms > 0.001 ms; size" in lines[1]
    assert "B > 100 B; memory was not measured" in lines[1]
    assert lines[1].endswith("CPU time was not measured, and within.cpu_per_million limits it")
    assert lines[2].startswith("lightgbm/0 (prune_trees, ")


def test_the_next_best_takes_the_place_of_what_cannot_be_carried_out(
    searched: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass that refuses the model of all rows costs its variant the choice, and the reason is kept."""
    world = searched(trials=1)

    class OnlyProxies(PruneTrees):
        def apply(self, *_: Any) -> Fitted:
            msg = "not this one"
            raise NotApplicable(msg)

    monkeypatch.setattr("retraining.optimize.named", lambda _: OnlyProxies())
    choice = optimize(world.spec, world.settings, "r")

    plain, pruned = choice.variants
    assert plain.chosen
    assert pruned.rejected
    assert ("it cannot be carried out on the model of all rows: not this one",) == pruned.reasons
    assert not pruned.all_rows


def takes(memory: int) -> Served:
    """Return what a model server takes, with so much memory."""
    return Served(0.001, 0.002, 5e4, 1.0, 0.1, memory, 500.0, 2000.0, None)


def test_the_best_are_measured_in_the_model_server(
    searched: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chosen one first, as the file that would be served; then the rest of the front, up to `served`."""
    world, asked = searched(trials=1), list[str]()
    monkeypatch.setattr(served, "measure", lambda _spec, file, _rows: asked.append(file.name) or takes(100))

    one = optimize(changed(world.spec, served=1), world.settings, "r")
    two = optimize(changed(world.spec, served=9), world.settings, "r")

    assert [Path(one.chosen.onnx).name] * 2 == asked[:2]
    assert (100, 500.0, 0.002) == (one.chosen.memory, one.chosen.cpu_per_million, one.chosen.served_p99)
    assert [one.chosen.name] == [item.name for item in one.variants if item.memory is not None]
    front = {item.name for item in two.variants if item.pareto and not item.rejected}
    assert {two.chosen.name} | front == {item.name for item in two.variants if item.memory is not None}
    assert len(asked) == 1 + len(front | {two.chosen.name})


def test_a_limit_that_only_the_server_shows_costs_the_choice(
    searched: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes too much memory, or cannot be served, gives its place to the next best."""
    world = searched(trials=1)
    spec = changed(world.spec, {"memory": 150}, served=2)
    best = optimize(world.spec, world.settings, "r").chosen

    def measure(_spec: ModelSpec, file: Path, _rows: pd.DataFrame) -> Served:
        return takes(200 if str(file).endswith(best.onnx) else 100)

    def fail(_spec: ModelSpec, file: Path, _rows: pd.DataFrame) -> Served:
        if str(file).endswith(best.onnx):
            msg = "it fell over"
            raise Refused(msg)
        return takes(100)

    for stand_in, reason in ((measure, "memory 200 B > 150 B"), (fail, "it cannot be served: it fell over")):
        monkeypatch.setattr(served, "measure", stand_in)
        choice = optimize(spec, world.settings, "r")
        (lost,) = (item for item in choice.variants if item.onnx == best.onnx)
        assert (reason,) == lost.reasons
        assert lost.rejected
        assert (100, True) == (choice.chosen.memory, choice.chosen.all_rows)

    monkeypatch.setattr(served, "measure", measure)
    with pytest.raises(Refused, match=r"memory was not measured, and within\.memory limits it"):
        optimize(changed(spec, served=1), world.settings, "r")


def test_the_number_of_variants_is_bounded(searched: Callable[..., Any]) -> None:
    """Each candidate's plain export is measured, and no more than asked for; the rest is told."""
    world = searched("lightgbm, linear", trials=2)

    few = optimize(changed(world.spec, max_variants=2), world.settings, "r")

    assert [(), ()] == [item.passes for item in few.variants]
    assert {"not tried: optimize.max_variants is used up"} == {item.reason for item in few.refused}


def test_the_time_is_bounded(searched: Callable[..., Any]) -> None:
    """No pass is begun when the time is over; what was done before is chosen from."""
    world = searched(trials=1)

    choice = optimize(changed(world.spec, time=timedelta(microseconds=1)), world.settings, "r")

    assert 1 == len(choice.variants)
    assert all("not tried: optimize.time (0.001ms) is used up" in item.reason for item in choice.refused)


def test_a_chain_that_is_over_the_budget_is_not_grown(
    searched: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass that spoils the model is measured and rejected, and nothing is tried on its result."""
    world = searched(trials=1)

    class Spoils(Half):
        name = "low_rank"

        def plan(self, _: Any) -> Any:
            return {}

        def apply(self, spec: Any, model: Fitted, fit: Any, _: Any) -> Fitted:
            return model.changed(self.name, PruneTrees().apply(spec, model, fit, {"share": 0.01}).graph)

    named = passes.named
    monkeypatch.setattr(
        "retraining.variants.chains.named", lambda name: Spoils() if name == "low_rank" else named(name)
    )
    choice = optimize(changed(world.spec, passes=("low_rank", "quantize")), world.settings, "r")

    plain, spoilt = choice.variants
    assert plain.chosen
    assert spoilt.rejected
    assert "% beside the best candidate's, at worst +" in spoilt.reasons[0]
    assert [((), "quantize")] == [(item.passes, item.by) for item in choice.refused]


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_other_tasks_are_pruned(searched: Callable[..., Any], task: str) -> None:
    """Three classes and values go the same way."""
    world = searched(task=task, trials=1)

    choice = optimize(world.spec, world.settings, "r")

    assert choice.chosen.trees < 100
    assert choice.chosen.loss <= choice.variants[0].loss * 1.01


def test_the_choice_is_drawn(searched: Callable[..., Any]) -> None:
    """Picture and page lie in the run's folder; the page needs no network and escapes what it is told."""
    world = searched(trials=1)
    work = Workspace(world.settings, "r")

    choice = optimize(world.spec, world.settings, "r")

    assert work.path(PICTURE).read_bytes().startswith(b"\x89PNG")
    page = work.path(PAGE).read_text("utf-8")
    assert "<svg" in page
    assert choice.chosen.name in page
    for outside in ("src=", "<script", "@import", "stylesheet"):
        assert outside not in page
    assert json.loads(work.record(Choice).read_text("utf-8"))["why"] == choice.why
