"""What every optimization pass promises, for every task; a pass in the registry is held to it by its name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from retraining import learners, passes
from retraining.dataset import rows
from retraining.dataset.labelled import days_of
from retraining.fitted import Fitted, Rows
from retraining.graphs.export import to_onnx
from retraining.passes.optimization_pass import NotApplicable, Trial
from spec import ModelSpec, Task, loads
from spec.retrain import Learner

TASKS = [task.value for task in Task]
NAMES = list(passes.PASSES)
TREES = {Learner.LIGHTGBM, Learner.HIST_GRADIENT_BOOSTING, Learner.RANDOM_FOREST}
SUITS = {
    "select_features": {Learner.LIGHTGBM, Learner.RANDOM_FOREST, Learner.LINEAR},
    "prune_cost_complexity": {Learner.RANDOM_FOREST},
    "distil": {Learner.LIGHTGBM},
    "prune_trees": TREES,
    "prune_units": {Learner.MLP},
    "low_rank": {Learner.MLP},
    "half": {Learner.MLP},
    "quantize": {Learner.MLP},
}
"""The learners whose models a pass must be able to do something with, given a generous budget."""
UNSUITED = {
    "prune_cost_complexity": Learner.LIGHTGBM,
    "distil": Learner.LINEAR,
    "prune_trees": Learner.MLP,
    "prune_units": Learner.LIGHTGBM,
    "low_rank": Learner.LIGHTGBM,
    "quantize": Learner.LIGHTGBM,
}
"""A learner whose models a pass can do nothing with."""
MAY_GROW = {"select_features": 1.2}
"""How much larger what a pass makes may be, where its gain is not bytes: trees that are fitted again on fewer
features may have a few nodes more."""
SMALL = {
    Learner.LIGHTGBM: {"n_estimators": 100, "num_leaves": 31},
    Learner.HIST_GRADIENT_BOOSTING: {"max_iter": 40},
    Learner.RANDOM_FOREST: {"n_estimators": 30, "min_samples_leaf": 3},
    Learner.MLP: {"width": 96, "epochs": 6},
}


@dataclass(frozen=True)
class Case:
    """A fitted model with its rows."""

    spec: ModelSpec
    model: Fitted
    fit: Rows
    validation: Rows

    def trial(self, generous: float = 0.3) -> Trial:
        """Return the trial with a budget of so much more than the model's own loss."""
        plain = Trial(self.spec, self.model, self.fit, self.validation, np.inf)
        return replace(plain, allowed=plain.loss(self.model) * (1 + generous))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Keep OpenMP from spinning on a machine that runs other tests too."""
    with threadpool_limits(1):
        yield


SHOP = """
model: shop
task: {task}
data:
  inference_log: shop/inference
  labels: shop/labels
  id: order_id
  time: ordered_at
  target: {{name: returned, delay: 1d{classes}}}
features: {{amount: numeric, weight: numeric, noise: numeric, country: categorical, member: boolean}}
"""


@cache
def case(task: str, learner: Learner) -> Case:
    """Return a small model of a learner, fitted once a process."""
    spec = loads(SHOP.format(task=task, classes=", classes: [none, some, all]" * (task == "multiclass")))
    frame = orders(task)
    cut = len(frame) * 2 // 3
    fit, validation = (taken(spec, part) for part in (frame[:cut], frame[cut:]))
    params = learners.defaults(learner) | SMALL.get(learner, {})
    pipeline = learners.build(spec, learner, params).fit(fit.inputs, fit.truth)
    return Case(spec, Fitted(learner, params, to_onnx(spec, pipeline)), fit, validation)


def orders(task: str, n: int = 600) -> pd.DataFrame:
    """Make orders of 30 days with nulls in features."""
    rng = np.random.default_rng(0)
    amount, weight, noise = rng.gamma(2, 30, n), rng.normal(5, 2, n), rng.normal(size=n)
    country, member = rng.choice(["de", "fr", "it"], n), rng.random(n) < 0.3
    signal = np.log(amount + 1) - 3.8 + (country == "it") - 0.9 * member + rng.normal(0, 0.7, n)
    targets = {
        "binary": signal > 0.3,
        "multiclass": np.array(["none", "some", "all"])[np.digitize(signal, [-0.5, 0.5])],
        "regression": 200 + 40 * signal,
    }
    return pd.DataFrame(
        {
            "ordered_at": pd.date_range("2024-01-01", periods=n, freq="72min", tz="UTC"),
            "returned": targets[task],
            "amount": np.where(rng.random(n) < 0.05, np.nan, amount),
            "weight": weight,
            "noise": noise,
            "country": np.where(rng.random(n) < 0.05, None, country),
            "member": member,
        }
    )


def taken(spec: ModelSpec, frame: pd.DataFrame) -> Rows:
    """Return rows as the stages hand them to a pass."""
    return Rows(rows.inputs(spec, frame), rows.target(spec, frame), days_of(frame["ordered_at"]))


def contents(model: Fitted) -> bytes:
    """Return the graph's bytes."""
    return bytes(model.graph.SerializeToString(deterministic=True))


def signature(graph: onnx.ModelProto) -> list[Any]:
    """Return names, types and shapes of inputs and outputs."""
    return [
        [
            (
                item.name,
                item.type.tensor_type.elem_type,
                [d.dim_value for d in item.type.tensor_type.shape.dim],
            )
            for item in side
        ]
        for side in (graph.graph.input, graph.graph.output)
    ]


@cache
def planned(name: str, task: str, learner: Learner) -> tuple[Any, Fitted]:
    """Return a pass's plan under a generous budget and what it makes of the proxy."""
    given = case(task, learner)
    tried = passes.named(name)
    plan = tried.plan(given.trial())
    return plan, tried.apply(given.spec, given.model, given.fit, plan)


SUITED = [
    (name, task, learner) for name in NAMES for task in TASKS for learner in sorted(SUITS.get(name, ()))
]


def test_every_pass_says_what_it_suits() -> None:
    """A pass that is registered is in the table of learners above, so that nothing escapes this file."""
    assert set(NAMES) == set(SUITS)


@pytest.mark.parametrize("name", NAMES)
def test_a_pass_has_the_name_that_the_spec_knows(name: str) -> None:
    """The name in the registry, of the class and of the spec's `optimize.passes` are one."""
    assert name == passes.named(name).name
    assert (name,) == loads(
        SHOP.format(task="binary", classes="") + f"optimize: {{passes: [{name}]}}\n"
    ).optimize.passes


@pytest.mark.parametrize(("name", "task", "learner"), SUITED)
def test_what_comes_out_is_served_as_what_went_in(name: str, task: str, learner: Learner) -> None:
    """Inputs and outputs keep their names, types and shapes, and the scores are of the task."""
    given, (_, model) = case(task, learner), planned(name, task, learner)

    onnx.checker.check_model(model.graph, full_check=True)
    assert signature(given.model.graph) == signature(model.graph)
    scores = model.scores(given.spec, given.validation.inputs)
    assert given.model.scores(given.spec, given.validation.inputs).shape == scores.shape
    assert np.isfinite(scores).all()
    if task != "regression":
        assert scores.min() >= 0
        assert scores.max() <= 1 + 1e-6
    if task == "multiclass":
        assert np.allclose(1, scores.sum(axis=1), atol=1e-3)


@pytest.mark.parametrize(("name", "task", "learner"), SUITED)
def test_the_budget_is_kept_by_something_smaller(name: str, task: str, learner: Learner) -> None:
    """What a plan makes is within the allowed loss, not larger, and named by its pass."""
    given, (_, model) = case(task, learner), planned(name, task, learner)

    assert given.trial().loss(model) <= given.trial().allowed
    assert model.graph.ByteSize() <= given.model.graph.ByteSize() * MAY_GROW.get(name, 1)
    assert (*given.model.passes, name) == model.passes


@pytest.mark.parametrize(("name", "task", "learner"), SUITED)
def test_the_same_rows_give_the_same_plan_and_bytes(name: str, task: str, learner: Learner) -> None:
    """A pass planned and applied anew, by its plan's JSON, gives the same graph; model and rows stay."""
    given, (plan, model) = case(task, learner), planned(name, task, learner)
    before = contents(given.model)
    kept = [(part.inputs.copy(), part.truth.copy()) for part in (given.fit, given.validation)]

    assert plan == passes.named(name).plan(given.trial())
    again = json.loads(json.dumps(plan))
    assert plan == again
    assert contents(model) == contents(passes.named(name).apply(given.spec, given.model, given.fit, again))
    assert before == contents(given.model)
    for part, (inputs, truth) in zip((given.fit, given.validation), kept, strict=True):
        pd.testing.assert_frame_equal(inputs, part.inputs)
        assert np.array_equal(truth, part.truth)


@pytest.mark.parametrize(("name", "task", "learner"), SUITED)
def test_a_plan_suits_the_model_of_all_rows(name: str, task: str, learner: Learner) -> None:
    """The plan made on the proxy can be carried out on the model of all rows, weighted ones too."""
    given, (plan, _) = case(task, learner), planned(name, task, learner)
    everything = taken(given.spec, orders(task))
    everything = replace(everything, weights=np.linspace(0.5, 1.5, len(everything)))
    pipeline = learners.build(given.spec, learner, given.model.params)
    pipeline.fit(everything.inputs, everything.truth, model__sample_weight=everything.weights)
    whole = replace(given.model, graph=to_onnx(given.spec, pipeline))

    model = passes.named(name).apply(given.spec, whole, everything, plan)

    assert signature(whole.graph) == signature(model.graph)
    assert model.graph.ByteSize() <= whole.graph.ByteSize() * MAY_GROW.get(name, 1)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("name", "learner"), UNSUITED.items())
def test_a_model_that_a_pass_does_not_suit_is_refused(name: str, learner: Learner, task: str) -> None:
    """A pass with nothing to do says so by `NotApplicable`, in one sentence."""
    with pytest.raises(NotApplicable) as refusal:
        passes.named(name).plan(case(task, learner).trial())

    assert str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", NAMES)
def test_a_budget_that_nothing_keeps_is_refused(name: str, task: str) -> None:
    """Where every degree of a pass is over the budget, it refuses instead of taking the least bad."""
    learner = min(SUITS[name])
    trial = replace(case(task, learner).trial(), allowed=-1.0)

    with pytest.raises(NotApplicable):
        passes.named(name).plan(trial)
