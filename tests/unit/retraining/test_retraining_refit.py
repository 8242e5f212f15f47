from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retraining import learners
from retraining.fitted import Fitted, Rows
from retraining.graphs import trees, usage
from retraining.graphs.export import to_onnx
from retraining.passes.optimization_pass import NotApplicable, Trial
from retraining.passes.prune_cost_complexity import PruneCostComplexity
from retraining.passes.prune_trees import PruneTrees
from retraining.passes.refit import refit
from retraining.passes.select_features import SelectFeatures
from spec import ModelSpec
from spec.retrain import Learner

FIRST = 1000
SMALL = {
    Learner.LIGHTGBM: {"n_estimators": 20, "num_leaves": 8},
    Learner.RANDOM_FOREST: {"n_estimators": 15, "min_samples_leaf": 5},
    Learner.LINEAR: {},
}


@pytest.fixture
def trial(shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]) -> Callable[..., Trial]:
    """Return a small model with older and newer rows."""

    def make(learner: Learner = Learner.LINEAR, task: str = "binary", drop: float = 0.01) -> Trial:
        spec, frame = shop(task), orders(task, n=1500)
        older, newer = (Rows.of(spec, part) for part in (frame[:FIRST], frame[FIRST:]))
        params = learners.defaults(learner) | SMALL[learner]
        graph = to_onnx(spec, learners.fit(spec, learner, params, older))
        found = Trial(spec, Fitted(learner, params, graph), older, newer, 0.0)
        return replace(found, allowed=found.loss(found.model) * (1 + drop))

    return make


@pytest.mark.parametrize("learner", list(SMALL))
def test_what_the_model_does_not_need_is_dropped(trial: Callable[..., Trial], learner: Learner) -> None:
    """The weight has nothing to do with returns; the graph still takes it, and no longer looks at it."""
    given = trial(learner, drop=0.1)

    plan = SelectFeatures().plan(given)
    model = SelectFeatures().apply(given.spec, given.model, given.fit, plan)

    assert "weight" in plan["drop"]
    assert "amount" not in plan["drop"]
    assert given.loss(model) <= given.allowed
    assert set(given.spec.features) == {node.name for node in model.graph.graph.input}
    assert set(given.spec.features) - set(plan["drop"]) == set(usage.used(model.graph))
    inputs = given.validation.inputs
    other = inputs.assign(weight=np.float32(1e6))
    assert np.array_equal(model.scores(given.spec, inputs), model.scores(given.spec, other))


def test_the_last_feature_stays(trial: Callable[..., Trial]) -> None:
    """Whatever is allowed, a model looks at something."""
    plan = SelectFeatures().plan(trial(drop=10.0))

    assert 3 == len(plan["drop"])


def test_features_that_are_all_needed_are_kept(trial: Callable[..., Trial]) -> None:
    """Nothing may be dropped where nothing may be lost."""
    with pytest.raises(NotApplicable, match=r"the mildest: loss \d\.\d{5} is over \d"):
        SelectFeatures().plan(trial(drop=-0.1))


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_penalty_makes_a_forest_smaller(trial: Callable[..., Trial], task: str) -> None:
    """The forest is what scikit-learn fits with the plan's penalty; its loss keeps the budget."""
    given = trial(Learner.RANDOM_FOREST, task)

    plan = PruneCostComplexity().plan(given)
    model = PruneCostComplexity().apply(given.spec, given.model, given.fit, plan)

    assert given.loss(model) <= given.allowed
    assert len(trees.thresholds(model.graph)) < len(trees.thresholds(given.model.graph))
    assert trees.rounds(model.graph) == trees.rounds(given.model.graph)
    params = given.model.params | {"ccp_alpha": plan["alpha"]}
    direct = learners.fit(given.spec, Learner.RANDOM_FOREST, params, given.fit)
    expected = learners.scores(given.spec, direct, given.validation.inputs)
    assert np.allclose(expected, model.scores(given.spec, given.validation.inputs), atol=1e-4)


def test_other_learners_have_no_such_pruning(trial: Callable[..., Trial]) -> None:
    """The refusal names who has."""
    with pytest.raises(NotApplicable, match="lightgbm has no cost-complexity pruning; a random forest has"):
        PruneCostComplexity().plan(trial(Learner.LIGHTGBM))


@pytest.mark.parametrize("optimization", [SelectFeatures(), PruneCostComplexity()])
def test_fitting_again_does_not_undo_an_earlier_pass(trial: Callable[..., Trial], optimization: Any) -> None:
    """A truncated forest would grow all its trees anew; the pass refuses instead."""
    given = trial(Learner.RANDOM_FOREST)
    short = PruneTrees().apply(given.spec, given.model, given.fit, {"share": 0.5})

    with pytest.raises(NotApplicable, match="fitting again would undo prune_trees"):
        optimization.plan(replace(given, model=short))


def test_passes_that_fit_again_keep_each_others_work(trial: Callable[..., Trial]) -> None:
    """A forest that lost a feature is penalized without it, and a penalized one loses a feature penalized."""
    given = trial(Learner.RANDOM_FOREST)
    apply = (
        lambda model: SelectFeatures().apply(given.spec, model, given.fit, {"drop": ["weight"]}),
        lambda model: PruneCostComplexity().apply(given.spec, model, given.fit, {"alpha": 1e-3}),
    )

    one, other = apply[1](apply[0](given.model)), apply[0](apply[1](given.model))

    assert "weight" not in usage.used(one.graph)
    assert one.graph == other.graph
    assert ("select_features", "prune_cost_complexity") == one.passes == other.passes[::-1]


def test_weights_count_when_fitting_again(trial: Callable[..., Trial]) -> None:
    """Rows that weigh next to nothing leave no trace: it is as if the others were all there are."""
    given = trial()
    half = FIRST // 2
    weights = np.where(np.arange(FIRST) < half, 1e-9, 1.0)
    few = Rows(given.fit.inputs[half:], given.fit.truth[half:], given.fit.days[half:])

    weighed = refit(given.spec, given.model, replace(given.fit, weights=weights), by="select_features")
    alone = refit(given.spec, given.model, few, by="select_features")

    inputs = given.validation.inputs
    difference = np.abs(weighed.scores(given.spec, inputs) - alone.scores(given.spec, inputs))
    assert difference.mean() < 0.01  # medians for the nulls and scales are of all rows
