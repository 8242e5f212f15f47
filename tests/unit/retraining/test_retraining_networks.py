from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor

from retraining.graphs.dense import Activation, Layer
from retraining.networks import backpropagation, training
from retraining.networks.training import Course, Examples

ROWS, INPUTS = 230, 6


def made(kind: Activation, last: Activation, outputs: int, *, seed: int = 0) -> tuple[Layer, ...]:
    """Return a chain of three layers in float64, the second without a bias."""
    rng = np.random.default_rng(seed)
    return (
        Layer(rng.normal(0, 0.6, (INPUTS, 5)), rng.normal(0, 0.5, 5), kind),
        Layer(rng.normal(0, 0.6, (5, 4)), None, "identity"),
        Layer(rng.normal(0, 0.6, (4, outputs)), rng.normal(0, 0.5, outputs), last),
    )


def examples(last: Activation, outputs: int, *, soft: bool = True, weighted: bool = True) -> Examples:
    """Return rows with targets of the right kind: distributions for the softmax, shares for the sigmoid."""
    rng = np.random.default_rng(7)
    inputs = rng.normal(size=(ROWS, INPUTS))
    raw = rng.random((ROWS, outputs))
    if last == "softmax":
        raw = raw / raw.sum(axis=1, keepdims=True) if soft else np.eye(outputs)[raw.argmax(axis=1)]
    elif last == "sigmoid" and not soft:
        raw = np.round(raw)
    return Examples(inputs, raw, rng.gamma(2, 1, ROWS) if weighted else None)


@pytest.mark.parametrize("soft", [True, False])
@pytest.mark.parametrize(("last", "outputs"), [("identity", 2), ("sigmoid", 1), ("softmax", 3)])
@pytest.mark.parametrize("kind", ["relu", "tanh", "sigmoid", "identity"])
def test_gradients_are_the_slopes_of_the_loss(
    kind: Activation, last: Activation, outputs: int, *, soft: bool
) -> None:
    """Each weight's gradient equals the central finite difference of the loss, for every pair of layers."""
    layers, given = made(kind, last, outputs), examples(last, outputs, soft=soft)
    shares = given.weights / given.weights.sum()

    found = backpropagation.gradients(layers, given.inputs, given.targets, shares)

    def loss() -> float:
        answers = backpropagation.outputs(layers, given.inputs)[-1]
        return backpropagation.loss(layers, answers, given.targets, shares)

    for layer, slopes in zip(layers, found, strict=True):
        assert (layer.bias is None) == (slopes[1] is None)
        for part, slope in zip((layer.weights, layer.bias), slopes, strict=True):
            if part is not None:
                assert np.allclose(differences(loss, part), slope, rtol=1e-5, atol=1e-8)


def differences(loss: Any, part: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Return central differences of a loss by each of an array's values, which are moved in place."""
    slopes = np.empty_like(part)
    for index in np.ndindex(part.shape):
        kept = part[index]
        part[index] = kept + step
        above = loss()
        part[index] = kept - step
        slopes[index] = (above - loss()) / (2 * step)
        part[index] = kept
    return slopes


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic"])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_training_is_scikit_learns_step_by_step(task: str, activation: str, *, weighted: bool) -> None:
    """From the same weights and over the same batches, three epochs end at scikit-learn's own weights."""
    rng = np.random.default_rng(3)
    inputs, weights = rng.normal(size=(ROWS, INPUTS)), rng.gamma(2, 1, ROWS) if weighted else None
    values = inputs[:, 0] + rng.normal(size=ROWS)
    kind = MLPRegressor if task == "regression" else MLPClassifier
    truth = {"binary": (values > 0).astype(int), "multiclass": np.digitize(values, [-0.5, 0.5])}
    labels = truth.get(task, values)

    def fitted(epochs: int) -> Any:
        model = kind(
            hidden_layer_sizes=(7, 4),
            activation=activation,
            shuffle=False,
            batch_size=50,
            alpha=0.3,
            max_iter=epochs,
            learning_rate_init=0.01,
            random_state=5,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it has not converged
            return model.fit(inputs, labels, sample_weight=weights)

    start = started(fitted(1), INPUTS)
    targets = np.eye(3)[labels] if task == "multiclass" else labels.reshape(-1, 1).astype("float64")
    course = Course(epochs=3, batch=50, rate=0.01, penalty=0.3, falling=False)
    order = [np.arange(ROWS)] * 3

    found = training.train_in_order(start, Examples(inputs, targets, weights), course, order)

    reference = fitted(3)
    for layer, coefficients, bias in zip(found, reference.coefs_, reference.intercepts_, strict=True):
        assert np.allclose(coefficients, layer.weights, rtol=0, atol=1e-10)
        assert np.allclose(bias, layer.bias, rtol=0, atol=1e-10)


def started(model: Any, inputs: int) -> tuple[Layer, ...]:
    """Return the layers with which scikit-learn's network began, drawn again from its seed."""
    model._random_state = np.random.RandomState(model.random_state)
    sizes = [inputs, *model.hidden_layer_sizes, model.n_outputs_]
    drawn = [model._init_coef(given, units, "float64") for given, units in pairwise(sizes)]
    names = {"logistic": "sigmoid"}
    kinds = [names.get(model.activation, model.activation)] * len(model.hidden_layer_sizes)
    kinds.append(names.get(model.out_activation_, model.out_activation_))
    return tuple(Layer(weights, bias, kind) for (weights, bias), kind in zip(drawn, kinds, strict=True))


def test_one_layer_finds_the_optimum_of_logistic_regression() -> None:
    """A single sigmoid layer, trained long with a falling rate, reaches the convex problem's solution."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(400, 3))
    truth = (inputs @ [1.0, -2.0, 0.5] + rng.logistic(size=400) > 0).astype(int)
    reference = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(inputs, truth)
    start = (Layer(np.zeros((3, 1)), np.zeros(1), "sigmoid"),)
    rows = Examples(inputs, truth.reshape(-1, 1).astype("float64"))

    (found,) = training.train(start, rows, Course(epochs=400, batch=400, rate=0.05, penalty=0))

    assert np.allclose(reference.coef_[0], found.weights[:, 0], atol=1e-3)
    assert np.allclose(reference.intercept_, found.bias, atol=1e-3)


def test_a_row_of_weight_two_counts_as_two_rows() -> None:
    """Weights are repetitions: one batch with weights 1 and 2 moves the layers as the repeated rows do."""
    given = examples("softmax", 3, weighted=False)
    twice = np.arange(ROWS) % 2 + 1
    repeated = Examples(np.repeat(given.inputs, twice, 0), np.repeat(given.targets, twice, 0))
    weighted = Examples(given.inputs, given.targets, twice.astype("float64"))
    course = Course(epochs=20, batch=1000, falling=False)

    found = [training.train(made("tanh", "softmax", 3), each, course) for each in (weighted, repeated)]

    for one, two in zip(*found, strict=True):
        assert np.allclose(one.weights, two.weights, rtol=0, atol=1e-9)


def test_the_seed_decides_and_the_given_layers_stay() -> None:
    """The same seed gives the same bits, another seed other weights, and what was given is not changed."""
    start, kept = made("relu", "sigmoid", 1), made("relu", "sigmoid", 1)
    rows = examples("sigmoid", 1)

    one, same, other = (
        training.train(start, rows, Course(epochs=2, batch=32, seed=seed)) for seed in (1, 1, 2)
    )

    for index, layer in enumerate(start):
        assert np.array_equal(one[index].weights, same[index].weights)
        assert not np.allclose(one[index].weights, other[index].weights)
        assert np.array_equal(kept[index].weights, layer.weights)


def test_extreme_inputs_neither_overflow_nor_end_in_nan() -> None:
    """Sums of a million give probabilities of 0 and 1, a finite loss and finite gradients."""
    layers = made("relu", "softmax", 3)
    inputs = np.full((2, INPUTS), 1e6)
    targets, shares = np.eye(3)[:2], np.full(2, 0.5)

    with np.errstate(all="raise", under="ignore"):
        answers = backpropagation.outputs(layers, inputs)[-1]
        found = backpropagation.gradients(layers, inputs, targets, shares)
        loss = backpropagation.loss(layers, answers, targets, shares)

    assert np.isfinite(loss)
    assert all(np.isfinite(by_weights).all() for by_weights, _ in found)
