from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, numpy_helper

from retraining import learners
from retraining.fitted import Fitted, Rows
from retraining.graphs import int8, weights
from retraining.graphs.export import to_onnx
from retraining.passes.half import Half
from retraining.passes.optimization_pass import Judged, NotApplicable, Trial
from retraining.passes.quantize import Quantize
from spec import ModelSpec
from spec.retrain import Learner

FIRST = 1000


@pytest.fixture(scope="module")
def trial(shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]) -> Callable[..., Trial]:
    """Return a net, or what `learner` says, with older and newer rows; each is fitted once."""
    made: dict[tuple[str, Learner], Trial] = {}

    def make(task: str = "binary", learner: Learner = Learner.MLP, drop: float = 0.01) -> Trial:
        if (task, learner) not in made:
            made[task, learner] = fitted(shop(task), orders(task, n=1500), learner)
        found = made[task, learner]
        return replace(found, allowed=found.loss(found.model) * (1 + drop))

    return make


def fitted(spec: ModelSpec, frame: pd.DataFrame, learner: Learner) -> Trial:
    """Fit a learner on the older two thirds."""
    older, newer = (Rows.of(spec, part) for part in (frame[:FIRST], frame[FIRST:]))
    params = learners.defaults(learner)
    graph = to_onnx(spec, learners.fit(spec, learner, params, older))
    return Trial(spec, Fitted(learner, params, graph), older, newer, 0.0)


def kinds(model: Fitted) -> set[str]:
    """Return the operators of a graph."""
    return {node.op_type for node in model.graph.graph.node}


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_quantized_net_is_smaller_and_answers_nearly_the_same(
    trial: Callable[..., Trial], task: str
) -> None:
    """Only the rounding changes: inputs and outputs keep names and types, the loss keeps the budget."""
    given = trial(task, drop=0.02)

    plan = Quantize().plan(given)
    small = Quantize().apply(given.spec, given.model, given.fit, plan)

    assert given.loss(small) <= given.allowed
    assert small.graph.ByteSize() < given.model.graph.ByteSize()
    assert ("quantize",) == small.passes
    for end in ("input", "output"):
        assert list(getattr(small.graph.graph, end)) == list(getattr(given.model.graph.graph, end))
    inputs = given.validation.inputs
    before, after = (model.scores(given.spec, inputs) for model in (given.model, small))
    assert 0 < np.abs(before - after).max() < 0.2 * (np.ptp(before) or 1)


def test_both_kinds_of_int8_compute_in_integers(trial: Callable[..., Trial]) -> None:
    """Dynamic finds scales in the graph, static holds them; both store int8 for the named layers only."""
    given = trial()
    names = weights.layers(given.model.graph)

    dynamic = int8.dynamic(given.model.graph, names[:1])
    static = int8.static(given.model.graph, names[:1], given.fit.inputs)

    assert any(node.op_type == "DynamicQuantizeLinear" for node in dynamic.graph.node)
    assert any(node.op_type == "QuantizeLinear" for node in static.graph.node)
    for graph in (dynamic, static):
        stored = [item for item in graph.graph.initializer if item.data_type == TensorProto.INT8]
        assert 1 == sum(len(item.dims) == 2 for item in stored)


def test_the_most_harmful_layer_stays_in_float(
    trial: Callable[..., Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layer that alone costs most is left out first, and no more layers than need be."""
    given = trial()
    layers = weights.layers(given.model.graph)
    harm = dict.fromkeys(layers, 0.001) | {layers[1]: 0.5}
    allowed = given.loss(given.model) + 0.01
    seen: dict[int, list[str]] = {}

    def rounded(model: onnx.ModelProto, names: list[str], *_: Any) -> onnx.ModelProto:
        made = onnx.ModelProto()
        made.CopyFrom(model)
        seen[len(seen)] = list(names)
        made.producer_version = str(len(seen) - 1)
        return made

    def judged(_: Trial, model: Fitted, looks: int) -> Judged:
        loss = allowed - 0.01 + sum(harm[name] for name in seen[int(model.graph.producer_version)])
        assert 2 * len(layers) == looks
        return Judged(kept=loss <= allowed, loss=loss, told="")

    monkeypatch.setattr(int8, "dynamic", rounded)
    monkeypatch.setattr(int8, "static", rounded)
    monkeypatch.setattr(Trial, "judged", judged)
    plan = Quantize().plan(replace(given, allowed=allowed))

    assert {"mode": "dynamic", "float": [layers[1]]} == plan


def test_half_halves_the_weights_and_computes_in_float32(trial: Callable[..., Trial]) -> None:
    """Every large constant is what float16 makes of it, and nothing else changed."""
    given = trial()

    small = Half().apply(given.spec, given.model, given.fit, Half().plan(given))

    assert small.graph.ByteSize() < 0.75 * given.model.graph.ByteSize()
    before = {item.name: numpy_helper.to_array(item) for item in given.model.graph.graph.initializer}
    halved = [item for item in small.graph.graph.initializer if item.data_type == TensorProto.FLOAT16]
    assert halved
    for item in halved:
        expected = before[item.name.removesuffix("_half")].astype("float16")
        assert np.array_equal(expected, numpy_helper.to_array(item))
    assert kinds(small) - kinds(given.model) <= {"Cast"}
    assert given.loss(small) == pytest.approx(given.loss(given.model), rel=1e-3)


def test_weights_beyond_16_bits_are_refused(trial: Callable[..., Trial]) -> None:
    """An infinite weight would answer nothing."""
    given = trial()
    graph = onnx.ModelProto()
    graph.CopyFrom(given.model.graph)
    name = next(node.input[1] for node in graph.graph.node if node.op_type == "MatMul")
    matrix = next(item for item in graph.graph.initializer if item.name == name)
    matrix.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(matrix) * np.float32(1e6), name))

    with pytest.raises(NotApplicable, match="beyond 65504, the largest number of 16 bits"):
        Half().apply(given.spec, given.model.changed("x", graph), given.fit, {})


@pytest.mark.parametrize("optimization", [Quantize(), Half()])
def test_trees_have_no_layers(trial: Callable[..., Trial], optimization: Any) -> None:
    """The refusal is a sentence about the model."""
    with pytest.raises(NotApplicable, match="the graph holds no dense layer, and "):
        optimization.plan(trial(learner=Learner.LIGHTGBM))


@pytest.mark.parametrize("optimization", [Quantize(), Half()])
def test_a_loss_over_the_budget_is_refused(trial: Callable[..., Trial], optimization: Any) -> None:
    """When even the least of it costs too much, there is no plan."""
    with pytest.raises(NotApplicable, match=r"(all of them|too much): loss"):
        optimization.plan(trial(drop=-0.5))
