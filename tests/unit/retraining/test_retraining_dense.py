from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper

from retraining.dataset import rows
from retraining.graphs import dense
from retraining.graphs.dense import Layer
from retraining.graphs.export import to_onnx
from retraining.graphs.scorer import Scorer
from retraining.networks import backpropagation
from spec import ModelSpec, Task
from spec.retrain import Learner

TASKS = [task.value for task in Task]


def graph(nodes: list[Any], constants: dict[str, np.ndarray], outputs: list[str]) -> onnx.ModelProto:
    """Return a graph from x [None, 3] to its outputs [None, None]."""
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3])]
    answers = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, None]) for name in outputs]
    held = [numpy_helper.from_array(value.astype("float32"), name) for name, value in constants.items()]
    made = helper.make_graph(nodes, "g", given, answers, held)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """Return the graph's first output."""
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


CONSTANTS = {
    "a": np.arange(12).reshape(4, 3) / 10,
    "b": np.array([0.1, -0.2, 0.3, 0.0]),
    "c": np.arange(8).reshape(4, 2) - 3,
    "d": np.array([[0.5, -0.5]]),
}
GEMM = helper.make_node("Gemm", ["x", "a", "b"], ["h"], transB=1)
RELU = helper.make_node("Relu", ["h"], ["r"])
LAST = [helper.make_node("MatMul", ["r", "c"], ["s"]), helper.make_node("Add", ["d", "s"], ["y"])]
X = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")


@pytest.mark.parametrize("task", TASKS)
def test_a_perceptrons_layers_are_those_that_scikit_learn_fitted(
    shop: Callable[..., ModelSpec],
    orders: Callable[..., pd.DataFrame],
    small_pipeline: Callable[..., Any],
    task: str,
) -> None:
    """Weights, biases and activations are read as they were fitted, and what comes before runs by itself."""
    spec, frame = shop(task), orders(task, n=600)
    given = rows.inputs(spec, frame)
    pipeline = small_pipeline(spec, Learner.MLP).fit(given, rows.target(spec, frame))
    model = to_onnx(spec, pipeline)

    chain = dense.find(model)

    last = {"binary": "sigmoid", "multiclass": "softmax", "regression": "identity"}[task]
    assert ["relu", "relu", last] == [layer.activation for layer in chain.layers]
    for layer, weights, bias in zip(chain.layers, pipeline[-1].coefs_, pipeline[-1].intercepts_, strict=True):
        assert np.array_equal(weights.astype("float32"), layer.weights)
        assert np.array_equal(bias.astype("float32"), layer.bias)
    scorer = Scorer(spec.task, dense.before(model).SerializeToString())
    (inputs,) = scorer.call(scorer.feeds(given))
    assert np.allclose(pipeline[:-1].transform(given), inputs, atol=1e-5)
    answers = backpropagation.outputs(chain.layers, inputs)[-1]
    scores = Scorer(spec.task, model.SerializeToString()).predict(given)
    assert np.allclose(scores.reshape(len(answers), -1), answers, rtol=1e-5, atol=1e-5)


def test_a_product_of_any_spelling_is_a_layer() -> None:
    """A transposed Gemm, and an Add whose constant comes first, are read as weights and bias."""
    chain = dense.find(graph([GEMM, RELU, *LAST], CONSTANTS, ["y"]))

    one, two = chain.layers
    assert ("x", "y") == (chain.entry, chain.exit)
    assert ("relu", "identity") == (one.activation, two.activation)
    assert np.array_equal(CONSTANTS["a"].T.astype("float32"), one.weights)
    assert np.array_equal(CONSTANTS["b"].astype("float32"), one.bias)
    assert np.array_equal([0.5, -0.5], two.bias)


def test_replaced_layers_answer_in_their_stead() -> None:
    """A graph with its own layers answers as before; with others, of another number, as those do."""
    model = graph([GEMM, RELU, *LAST], CONSTANTS, ["y"])
    rng = np.random.default_rng(1)
    other = (
        Layer(rng.normal(size=(3, 2)).astype("float32"), None, "identity"),
        Layer(rng.normal(size=(2, 5)).astype("float32"), rng.normal(size=5).astype("float32"), "tanh"),
        Layer(rng.normal(size=(5, 2)).astype("float32"), None, "softmax"),
    )

    same, changed = (dense.replace(model, layers) for layers in (dense.find(model).layers, other))

    for made in (same, changed):
        onnx.checker.check_model(made, full_check=True)
    assert np.allclose(run(model, X), run(same, X), atol=1e-6)
    assert np.allclose(backpropagation.outputs(other, X)[-1], run(changed, X), atol=1e-6)
    assert {"dense_0_weights", "dense_1_weights", "dense_1_bias", "dense_2_weights"} == {
        item.name for item in changed.graph.initializer
    }
    again = dense.find(changed)
    assert ["identity", "tanh", "softmax"] == [layer.activation for layer in again.layers]
    assert np.allclose(run(changed, X), run(dense.replace(changed, again.layers), X), atol=0)


BRANCH = helper.make_node("MatMul", ["h", "c"], ["z"])
UNKNOWN = helper.make_node("Softplus", ["h"], ["r"])
SCALED = helper.make_node("Gemm", ["x", "a", "b"], ["h"], transB=1, alpha=2.0)


@pytest.mark.parametrize(
    ("nodes", "outputs"),
    [
        ([GEMM, RELU, *LAST, BRANCH], ["y", "z"]),
        ([GEMM, RELU, *LAST], ["y", "r"]),
        ([GEMM, UNKNOWN, *LAST], ["y"]),
        ([helper.make_node("Relu", ["x"], ["y"])], ["y"]),
    ],
    ids=["branches", "shows a hidden layer", "unknown activation", "no layers"],
)
def test_what_is_no_single_chain_is_left_alone(nodes: list[Any], outputs: list[str]) -> None:
    """A layer that something else uses too, or an unknown operator in between, gives no chain at all."""
    model = graph(nodes, CONSTANTS, outputs)

    assert dense.find(model) is None
    with pytest.raises(ValueError, match="no chain"):
        dense.replace(model, [])
    with pytest.raises(ValueError, match="no chain"):
        dense.before(model)


def test_a_scaled_product_is_taken_for_preprocessing() -> None:
    """A Gemm with a factor is no layer; the chain begins after it."""
    assert "r" == dense.find(graph([SCALED, RELU, *LAST], CONSTANTS, ["y"])).entry


def test_layers_of_other_ends_are_refused() -> None:
    """The new chain must take and give as many numbers as the old one."""
    model = graph([GEMM, RELU, *LAST], CONSTANTS, ["y"])

    with pytest.raises(ValueError, match=r"must take and give \(3, 2\); got \(3, 4\)"):
        dense.replace(model, dense.find(model).layers[:1])
