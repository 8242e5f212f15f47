from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retraining import learners, retrain
from retraining.dataset.cut import cut
from retraining.dataset.labelled import Rows
from retraining.dataset.stored import TRAIN, load_rows
from retraining.dataset.windows import learnt, usable
from retraining.graphs.scorer import Scorer
from retraining.metrics import objective
from retraining.prepare import prepare
from retraining.records import Snapshot, Tuning
from retraining.registry import Registry
from retraining.train import train
from retraining.trials.folds import folds
from retraining.trials.study import Study
from retraining.tune import tune
from retraining.workspace import Workspace
from spec import NotFound, Refused, loads
from spec.retrain import Learner


@pytest.fixture
def taken(
    shop_world: Callable[..., Any], orders: Callable[..., pd.DataFrame], put_history: Callable[..., None]
) -> Callable[..., Any]:
    """Make a world with a snapshot."""

    def make(*args: Any, task: str = "binary", turned: int = 0, **kwargs: Any) -> Any:
        world = shop_world(task, *args, **kwargs)
        frame = orders(task)
        if turned:
            new = frame["ordered_at"] > frame["ordered_at"].max() - timedelta(days=turned)
            frame["returned"] = frame["returned"].where(~new, ~frame["returned"])
        put_history(world, frame)
        prepare(world.spec, world.settings, "r")
        return world

    return make


def test_the_same_run_gives_the_same_candidates(taken: Callable[..., Any]) -> None:
    """A step that is tried again goes on where it ended, finds the same, and writes the same files."""
    world = taken(trials=4)
    work = Workspace(world.settings, "r")

    first = tune(world.spec, world.settings, "r")
    before = work.path(train(world.spec, world.settings, "r").candidates[0].onnx).read_bytes()
    second = tune(world.spec, world.settings, "r")
    again = train(world.spec, world.settings, "r").candidates[0]

    assert first.found == second.found
    assert second == work.load(Tuning)
    assert before == work.path(again.onnx).read_bytes()
    trials = pd.read_csv(work.path(second.trials))
    assert 4 == len(trials)
    assert trials["value"].min() == pytest.approx(again.validation_loss)


def test_another_run_on_the_same_rows_gives_the_same_model(taken: Callable[..., Any]) -> None:
    """The seed and the rows decide; a trial that ends early does so in every run."""
    world = taken(trials=6)
    prepare(world.spec, world.settings, "s")

    first, second = (tune(world.spec, world.settings, run) for run in ("r", "s"))

    assert first.found == second.found


def test_the_proxy_reproduces_the_best_trial(
    taken: Callable[..., Any], shop_yaml: Callable[..., str]
) -> None:
    """The proxy's ONNX graph has the very loss that its parameters won with, on the newest fold."""
    world = taken(trials=3)
    world.spec = loads(shop_yaml(trials=3).replace("time: 60s", "time: 60s, folds: 1"))
    tune(world.spec, world.settings, "r")
    best = train(world.spec, world.settings, "r").candidates[0]
    work = Workspace(world.settings, "r")

    split = cut(world.spec, load_rows(work, TRAIN), work.load(Snapshot))
    held = Rows.of(world.spec, split.validation)
    scores = Scorer(world.spec.task, work.path(best.proxy)).predict(held.inputs)

    assert best.validation_loss == pytest.approx(objective(world.spec.task, held.truth, scores), abs=1e-6)


def test_the_search_needs_a_snapshot(shop_world: Callable[..., Any]) -> None:
    """A stage out of turn says which one comes first."""
    world = shop_world()

    with pytest.raises(NotFound, match="has no Snapshot"):
        tune(world.spec, world.settings, "r")
    with pytest.raises(NotFound, match="has no Snapshot"):
        train(world.spec, world.settings, "r")


def test_every_learner_gets_its_share(taken: Callable[..., Any]) -> None:
    """Trials are shared out, and each learner has a candidate."""
    world = taken("lightgbm, hist_gradient_boosting, random_forest, linear", trials=4)

    tune(world.spec, world.settings, "r")
    found = train(world.spec, world.settings, "r")

    assert list(world.spec.retrain.learners) == [item.learner for item in found.candidates]
    assert [1, 1, 1, 1] == [item.trials for item in found.candidates]
    assert {} == found.refused


@pytest.mark.parametrize("sampler", ["random", "grid", "cma_es", "nsga2"])
def test_every_sampler_finds_no_worse_than_its_first_trial(
    taken: Callable[..., Any], shop_yaml: Callable[..., str], sampler: str
) -> None:
    """Each of Optuna's samplers searches the same space; the best trial that ran to its end is kept."""
    world = taken("linear")
    text = shop_yaml(learners="linear", trials=5).replace("time: 60s", f"time: 60s, sampler: {sampler}")
    world.spec = loads(text)

    found = tune(world.spec, world.settings, "r")

    trials = pd.read_csv(Workspace(world.settings, "r").path(found.trials))
    assert 5 == len(trials)
    assert trials["params_strength"].nunique() >= 4
    whole = trials[trials["state"] == "COMPLETE"]
    assert found.found[0].loss == pytest.approx(whole["value"].min())


def test_of_several_objectives_the_best_and_the_cheapest_near_it_are_kept(
    taken: Callable[..., Any], shop_yaml: Callable[..., str]
) -> None:
    """What is small and nearly as good becomes a candidate of its own."""
    world = taken()
    several = "time: 60s, sampler: nsga2, objectives: [quality, size]"
    loose = shop_yaml(trials=8).replace("time: 60s", several).replace("quality_drop: 1%", "quality_drop: 20%")
    world.spec = loads(loose)

    tuned = tune(world.spec, world.settings, "r").found
    found = train(world.spec, world.settings, "r").candidates

    assert 2 == len(tuned) == len(found)
    assert tuned[0].loss <= tuned[1].loss <= tuned[0].loss * 1.2
    best, cheap = (Workspace(world.settings, "r").path(item.onnx).stat().st_size for item in found)
    assert cheap < best


def test_a_window_is_searched_like_any_parameter(
    taken: Callable[..., Any], shop_yaml: Callable[..., str]
) -> None:
    """The world turned around 20 days ago: what learns from newer rows only is best, and is kept."""
    world = taken(turned=20)
    named = "holdout: 10d\n  windows: [all, 18d]"
    world.spec = loads(shop_yaml(learners="linear", trials=6).replace("holdout: 10d", named))

    tuned = tune(world.spec, world.settings, "r").found[0]

    assert "18d" == tuned.window


def test_the_champions_hyperparameters_are_tried_first(
    registry_world: Callable[..., Any],
    shop_yaml: Callable[..., str],
    orders: Callable[..., pd.DataFrame],
    put_history: Callable[..., None],
) -> None:
    """A search is not worse than what is served now, if it came from the same learner."""
    world = registry_world()
    searched = shop_yaml(learners="linear", trials=4)
    world.spec = loads(searched)
    put_history(world, orders())
    retrain(world.spec, world.settings, "a")
    version = Registry(world.settings).version("shop", "challenger")
    Registry(world.settings).promote("shop", str(version))
    champion = Registry(world.settings).params("shop", str(version))

    world.spec = loads(
        searched.replace("trials: 4", "trials: 1").replace("warm_start: false", "warm_start: true")
    )
    prepare(world.spec, world.settings, "b")
    found = tune(world.spec, world.settings, "b").found[0]

    assert champion["linear.strength"] == str(found.params["strength"])
    assert found.params != learners.defaults(Learner.LINEAR)


def test_balanced_classes_weigh_the_same(
    taken: Callable[..., Any], shop_yaml: Callable[..., str], orders: Callable[..., pd.DataFrame]
) -> None:
    """The weights of each class sum to the same; without the wish there are none."""
    spec = loads(shop_yaml("multiclass").replace("holdout: 10d", "holdout: 10d\n  class_weight: balanced"))
    frame = orders("multiclass", n=1000)
    world = taken()
    record = Workspace(world.settings, "r").load(Snapshot)

    part = learnt(spec, "all", frame, record)

    sums = np.bincount(part.truth, part.weights)
    np.testing.assert_allclose(sums, sums.mean())
    assert learnt(loads(shop_yaml("multiclass")), "all", frame, record).weights is None


def test_other_rows_are_searched_anew(
    taken: Callable[..., Any], orders: Callable[..., pd.DataFrame], put_history: Callable[..., None]
) -> None:
    """A run that is prepared again on other rows keeps no trial of the old ones."""
    world = taken("linear", trials=2)
    first = tune(world.spec, world.settings, "r").found[0]
    put_history(world, orders(seed=3, flip=True))
    prepare(world.spec, world.settings, "r")

    second = tune(world.spec, world.settings, "r").found[0]

    assert (2, 2) == (first.trials, second.trials)
    assert first.loss != second.loss


def test_a_search_that_goes_on_tries_other_values(
    taken: Callable[..., Any], shop_yaml: Callable[..., str]
) -> None:
    """More trials wanted of a run: the sampler does not begin with its first draws again."""
    world = taken()
    yaml = shop_yaml(learners="linear", trials=3).replace("time: 60s", "time: 60s, sampler: random")
    world.spec = loads(yaml)
    tune(world.spec, world.settings, "r")
    world.spec = loads(yaml.replace("trials: 3", "trials: 6"))

    found = tune(world.spec, world.settings, "r")

    trials = pd.read_csv(Workspace(world.settings, "r").path(found.trials))
    assert 6 == len(trials) == trials["params_strength"].nunique()


def test_a_window_that_nothing_dates_leaves_all(
    taken: Callable[..., Any], shop_yaml: Callable[..., str]
) -> None:
    """`windows: [onset]` alone trains on all rows where no change is dated."""
    world = taken()
    world.spec = loads(
        shop_yaml(learners="linear").replace("holdout: 10d", "holdout: 10d\n  windows: [onset]")
    )

    assert "all" == tune(world.spec, world.settings, "r").found[0].window


def test_a_learner_whose_trials_fail_does_not_end_the_others(
    taken: Callable[..., Any], shop_yaml: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason is kept; where every learner fails, the stage says so."""
    world = taken()
    world.spec = loads(shop_yaml(learners="linear, lightgbm", trials=2))
    fit = learners.fit

    def diverging(spec: Any, learner: Learner, *args: Any) -> Any:
        if learner is Learner.LIGHTGBM:
            msg = "infinite"
            raise ValueError(msg)
        return fit(spec, learner, *args)

    monkeypatch.setattr(learners, "fit", diverging)

    found = tune(world.spec, world.settings, "r")

    assert [Learner.LINEAR] == [tuned.learner for tuned in found.found]
    assert {"lightgbm": "of 1 trials 1 failed (infinite) and none was finished in time"} == found.refused
    world.spec = loads(shop_yaml(learners="lightgbm", trials=2))
    with pytest.raises(
        Refused, match="No learner of 'shop' finished a trial:\nlightgbm: of 2 trials 2 failed"
    ):
        tune(world.spec, world.settings, "r")


def test_a_search_that_was_killed_before_its_first_trial_ended_goes_on(taken: Callable[..., Any]) -> None:
    """Trials that wait are not trials that are done."""
    world = taken("linear", trials=1)
    work = Workspace(world.settings, "r")
    record = work.load(Snapshot)
    parts = folds(world.spec, cut(world.spec, load_rows(work, TRAIN), record))
    study = Study(world.spec, Learner.LINEAR, record, parts, usable(world.spec, record))
    file = work.path("linear/trials.log")

    assert all(not trial.state.is_finished() for trial in study.run(file, 1, 0.0).trials)

    assert 1 == sum(trial.state.is_finished() for trial in study.run(file, 1, 60.0).trials)
