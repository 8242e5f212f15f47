from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import helper

from retraining import learners
from retraining.dataset import rows
from retraining.fitted import Fitted, Rows
from retraining.graphs import dense, usage
from retraining.graphs.dense import Layer
from retraining.graphs.export import to_onnx
from retraining.networks import training
from retraining.networks.backpropagation import outputs
from retraining.networks.training import Course, Examples
from retraining.networks.unit import Unit
from retraining.passes import distil, fine_tuning, low_rank, out_of_fold, prune_units, students
from retraining.passes.optimization_pass import NotApplicable, Trial
from spec import ModelSpec, Task
from spec.retrain import Learner

TASKS = [task.value for task in Task]
RNG = np.random.default_rng(0)


@pytest.fixture
def fit(shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]) -> Callable[..., Trial]:
    """Fit a model on 50 of 60 days of orders, and give the rest for validation, within 5 % of its loss."""

    def make(task: str, learner: Learner, n: int = 900, **params: Any) -> Trial:
        spec, frame = shop(task), orders(task, n=n)
        given, truth = rows.inputs(spec, frame), rows.target(spec, frame)
        days, cut = np.arange(n) * 60 // n, n * 5 // 6
        whole = learners.defaults(learner) | params
        pipeline = learners.build(spec, learner, whole).fit(given[:cut], truth[:cut])
        older, newer = (Rows(given[part], truth[part], days[part]) for part in (slice(cut), slice(cut, n)))
        trial = Trial(spec, Fitted(learner, whole, to_onnx(spec, pipeline)), older, newer, 0.0)
        return replace(trial, allowed=trial.loss(trial.model) * 1.05)

    return make


def chain(*units: int, last: Any = "identity", seed: int = 1) -> tuple[Layer, ...]:
    """Return random layers with so many units, the first number being the inputs."""
    rng = np.random.default_rng(seed)
    kinds = ["relu"] * (len(units) - 2) + [last]
    return tuple(
        Layer(rng.normal(size=(given, made)), rng.normal(size=made), kind)
        for given, made, kind in zip(units[:-1], units[1:], kinds, strict=True)
    )


def test_units_that_carry_nothing_on_are_removed_without_a_trace() -> None:
    """Dead units, constant ones and ones that no next unit listens to go first, and no answer changes."""
    one, two, three = chain(4, 6, 5, 2)
    one.bias[:3] = [-1e3, 1e3, 0.5]
    one.weights[:, 1] = 0  # constant: 1000 whatever comes in
    two.weights[2] = 0  # nobody listens
    two.bias[[0, 4]] = -1e6  # dead below
    inputs = RNG.normal(size=(200, 4))

    found = prune_units.narrowed((one, two, three), inputs, 0.5)

    assert [(4, 3), (3, 2), (2, 2)] == [layer.weights.shape for layer in found]
    assert np.array_equal(one.weights[:, 3:], found[0].weights)
    kept = replace(three, weights=three.weights.copy())
    assert np.isfinite(outputs(found, inputs)[-1]).all()
    same = prune_units.narrowed((one, replace(two, bias=np.zeros(5)), kept), inputs, 5 / 6)
    assert (4, 5) == same[0].weights.shape


def test_the_mean_of_a_removed_unit_stays_in_the_bias() -> None:
    """A unit that answers a constant is removed exactly: the next layer takes the constant over."""
    one, two = chain(3, 4, 2)
    one.weights[:, 2] = 0
    one.bias[2] = 7.0
    inputs = RNG.normal(size=(100, 3))

    found = prune_units.narrowed((one, two), inputs, 0.75)

    assert np.array_equal(one.weights[:, [0, 1, 3]], found[0].weights)
    assert np.allclose(outputs((one, two), inputs)[-1], outputs(found, inputs)[-1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("rank", [1, 3, 9])
def test_factors_are_the_nearest_matrix_of_their_rank(rank: int) -> None:
    """The product of the factors is as far from the weights as the theorem says; biases stay."""
    layers = chain(30, 20, 1)
    strengths = np.linalg.svd(layers[0].weights, compute_uv=False)

    left, right, last = low_rank.factored(layers, rank)

    assert ((30, rank), (rank, 20)) == (left.weights.shape, right.weights.shape)
    far = np.linalg.norm(layers[0].weights - left.weights @ right.weights)
    assert np.isclose(np.sqrt((strengths[rank:] ** 2).sum()), far)
    assert left.bias is None
    assert np.array_equal(layers[0].bias, right.bias)
    assert last is layers[1]  # 20 weights: two factors would be more


def test_a_layer_of_low_rank_is_factored_without_loss() -> None:
    """Weights that are a product of thin matrices are found to be one: the answers stay."""
    one, two = chain(30, 20, 3)
    one = replace(one, weights=RNG.normal(size=(30, 2)) @ RNG.normal(size=(2, 20)))
    inputs = RNG.normal(size=(50, 30))

    found = low_rank.factored((one, two), 2)

    assert 4 == len(found)
    assert np.allclose(outputs((one,), inputs)[-1], outputs(found[:2], inputs)[-1])


@pytest.mark.parametrize("task", TASKS)
def test_tuning_brings_back_what_pruning_lost(fit: Callable[..., Trial], task: str) -> None:
    """After an epoch or a few, a network cut to a quarter of its units is better on unseen rows."""
    trial = fit(task, Learner.MLP, width=64, epochs=10)
    network = fine_tuning.opened(trial.spec, trial.model, trial.fit)
    cut = prune_units.narrowed(network.chain.layers, network.examples.inputs, 0.25)

    raw, tuned = (trial.loss(network.changed("cut", cut, tuned=tuned)) for tuned in (False, True))

    assert tuned < raw
    is_tuned, model = network.better(trial, "cut", cut)
    assert is_tuned
    assert tuned == trial.loss(model)


def test_layers_that_tuning_makes_worse_are_left_as_they_are(fit: Callable[..., Trial]) -> None:
    """Where the rows to learn from mislead about the unseen ones, layers are not tuned."""
    trial = fit("binary", Learner.MLP, width=32, epochs=20)
    misled = replace(trial.fit, truth=1 - trial.fit.truth)
    network = fine_tuning.opened(trial.spec, trial.model, misled)

    tuned, model = network.better(trial, "kept", network.chain.layers)

    assert not tuned
    assert np.isclose(trial.loss(trial.model), trial.loss(model))


def test_the_least_share_within_the_budget_is_planned(fit: Callable[..., Trial]) -> None:
    """A looser budget keeps no more units than a tighter one, and what is planned keeps its budget."""
    trial = fit("binary", Learner.MLP, width=64, epochs=10)
    tried = prune_units.PruneUnits()
    budgets = (trial.allowed, trial.allowed * 1.3)

    plans = [tried.plan(replace(trial, allowed=allowed)) for allowed in budgets]

    assert plans[0]["share"] >= plans[1]["share"]
    for plan, allowed in zip(plans, budgets, strict=True):
        assert trial.loss(tried.apply(trial.spec, trial.model, trial.fit, plan)) <= allowed


@pytest.mark.parametrize("kind", [prune_units.PruneUnits, low_rank.LowRank])
def test_a_network_within_a_larger_graph_is_left_alone(fit: Callable[..., Trial], kind: Any) -> None:
    """Where something else is done to what the layers answer, they are not what is served: a refusal."""
    trial = fit("regression", Learner.MLP, n=400, epochs=2)
    graph = onnx.ModelProto()
    graph.CopyFrom(trial.model.graph)
    last = graph.graph.node[-1]
    last.output[0] = "raw"
    graph.graph.node.append(helper.make_node("Exp", ["raw"], ["variable"], name="exp"))

    with pytest.raises(NotApplicable, match="not what its dense layers answer"):
        kind().plan(replace(trial, model=replace(trial.model, graph=graph)))


def test_a_target_of_any_unit_is_learnt() -> None:
    """Prices of 10,000 and their thousandths are learnt alike: the errors differ by the unit alone."""
    inputs = RNG.normal(size=(300, 4)).astype("float32")
    targets = (inputs[:, :1] * inputs[:, 1:2]).astype("float32")
    layers = tuple(
        replace(layer, weights=layer.weights.astype("float32"), bias=layer.bias.astype("float32"))
        for layer in chain(4, 8, 1)
    )
    errors = []

    for factor, offset in ((1.0, 0.0), (1e3, 1e4)):
        examples = Examples(inputs, (targets * factor + offset).astype("float32"))
        unit = Unit.of(examples.targets)
        learnt = training.train(layers, unit.standardised(examples), Course(epochs=100, batch=50, rate=0.02))
        found = outputs(unit.given_to(learnt), inputs)[-1]
        errors.append(float(np.abs(found - examples.targets).mean()) / factor)

    assert np.isclose(*errors, rtol=0.02)
    assert errors[0] < 0.8 * float(np.abs(targets).mean())


def test_taking_a_unit_and_giving_it_back_changes_nothing() -> None:
    """The way there and back is the identity, for targets without any spread too."""
    layers, inputs = chain(3, 4, 1), RNG.normal(size=(20, 3))
    for targets in (RNG.normal(50, 9, (20, 1)), np.full((20, 1), 3.0)):
        unit = Unit.of(targets)

        found = unit.given_to(unit.taken_from(layers))

        assert np.allclose(outputs(layers, inputs)[-1], outputs(found, inputs)[-1])
        assert np.isfinite(unit.standardised(Examples(inputs, targets)).targets).all()


def test_a_day_is_in_one_fold_and_folds_are_even() -> None:
    """Rows of a day are held out together, neighbouring days in turn; few days are cut into stretches."""
    days = np.repeat(np.arange(10), 7)

    found, few = out_of_fold.folds(days), out_of_fold.folds(np.zeros(40, "int64"))

    assert all(len(set(found[days == day])) == 1 for day in range(10))
    assert [0, 1, 2, 3, 0] == found[::7][:5].tolist()
    assert [10] * 4 == np.bincount(few).tolist()
    assert sorted(few) == few.tolist()


def test_a_teacher_has_not_seen_the_rows_that_it_answers(fit: Callable[..., Trial]) -> None:
    """Labels that are pure chance are not in answers out of fold, though the model itself knows them."""
    trial = fit("binary", Learner.RANDOM_FOREST, n=480, min_samples_leaf=1)
    chance = replace(trial.fit, truth=np.random.default_rng(5).integers(0, 2, len(trial.fit)))
    model = replace(trial.model, params={"n_estimators": 20, "min_samples_leaf": 1})

    found = out_of_fold.answers(trial.spec, model.learner, model.params, chance)[:, 0]

    itself = learners.build(trial.spec, Learner.RANDOM_FOREST, model.params).fit(chance.inputs, chance.truth)
    assert np.corrcoef(itself.predict_proba(chance.inputs)[:, 1], chance.truth)[0, 1] > 0.8
    assert abs(np.corrcoef(found, chance.truth)[0, 1]) < 0.2


def test_a_class_of_one_day_has_no_teacher(fit: Callable[..., Trial]) -> None:
    """Where all rows of a class are of one fold, the others cannot teach it, and the pass says so."""
    trial = fit("multiclass", Learner.LIGHTGBM, n=480, n_estimators=5)
    rare = replace(trial.fit, truth=np.where(trial.fit.days == 3, 2, trial.fit.truth % 2))

    with pytest.raises(NotApplicable, match="class 2"):
        distil.Distil().plan(replace(trial, fit=rare))


@pytest.mark.parametrize("learner", [Learner.LIGHTGBM, Learner.MLP])
@pytest.mark.parametrize("task", TASKS)
def test_hard_targets_teach_as_labels_do(fit: Callable[..., Trial], task: str, learner: Learner) -> None:
    """A student of targets that are the labels predicts about as well as the library's own fit of them."""
    more = {"epochs": 40, "batch_size": 64} if learner is Learner.MLP else {"n_estimators": 30}
    trial = fit(task, learner, **more)
    targets = distil._hard(trial.spec, trial.fit)

    student = students.fitted(trial.spec, learner, trial.model.params, trial.fit, targets)

    made = replace(trial.model, graph=to_onnx(trial.spec, student))
    assert trial.loss(made) < trial.loss(trial.model) * 1.1


def test_a_student_looks_at_no_more_than_its_teacher(fit: Callable[..., Trial]) -> None:
    """A feature that an earlier pass dropped stays dropped, and is still declared as an input."""
    trial = fit("binary", Learner.LIGHTGBM, n=480)
    fewer = {name: kind for name, kind in trial.spec.features.items() if name != "weight"}
    narrow = trial.spec.model_copy(update={"features": fewer})
    teacher = learners.build(narrow, Learner.LIGHTGBM, trial.model.params)
    graph = to_onnx(trial.spec, teacher.fit(trial.fit.inputs, trial.fit.truth))
    model = replace(trial.model, graph=graph, passes=("select_features",))
    learner, params = next(students.options(len(trial.fit)))
    plan = {"learner": learner.value, "params": params}

    student = distil.Distil().apply(trial.spec, model, trial.fit, plan)

    assert ("select_features", "distil") == student.passes
    assert ("mlp", 64) == (student.learner, student.params["width"])
    assert {"amount", "country", "member"} == set(usage.used(student.graph))
    assert {"amount", "weight", "country", "member"} == {node.name for node in student.graph.graph.input}
    assert dense.find(student.graph) is not None


def test_a_student_does_not_undo_what_was_done_to_its_teacher(fit: Callable[..., Trial]) -> None:
    """After a pass that changed the graph, teaching by the model as it was trained is refused."""
    trial = fit("binary", Learner.LIGHTGBM, n=480)
    pruned = replace(trial, model=replace(trial.model, passes=("prune_trees",)))

    with pytest.raises(NotApplicable, match="undo prune_trees"):
        distil.Distil().plan(pruned)
