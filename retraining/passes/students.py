"""Small models, and how they learn targets that are no labels: values between the classes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from retraining import learners
from retraining.dataset.rows import FloatArray
from retraining.fitted import Rows
from retraining.graphs.dense import Activation, Layer
from retraining.networks.training import Course, Examples, train
from retraining.networks.unit import Unit
from retraining.records import Params
from spec import ModelSpec, Task
from spec.retrain import Learner

_SHAPES = ((2, 64), (2, 32), (1, 16))
_BATCH, _RATE = 256, 2e-3
_PENALTY = 1.0  # between seasons, a student that is less sure than its teacher is the better one
_STEPS, _EPOCHS = 2000, (3, 100)
_TREES: Params = {"n_estimators": 60, "learning_rate": 0.1, "num_leaves": 15}
_ACTIVATIONS: dict[str, Activation] = {"logistic": "sigmoid"}


def options(rows: int) -> Iterator[tuple[Learner, Params]]:
    """Yield the students to try for so many rows, with all of their parameters."""
    epochs = min(max(math.ceil(_STEPS * _BATCH / rows), _EPOCHS[0]), _EPOCHS[1])
    course: Params = {
        "alpha": _PENALTY,
        "batch_size": min(_BATCH, rows),
        "learning_rate_init": _RATE,
        "epochs": epochs,
    }
    for depth, width in _SHAPES:
        yield Learner.MLP, learners.defaults(Learner.MLP) | course | {"depth": depth, "width": width}
    yield Learner.LIGHTGBM, learners.defaults(Learner.LIGHTGBM) | _TREES


def fitted(spec: ModelSpec, learner: Learner, params: Params, fit: Rows, targets: FloatArray) -> Pipeline:
    """Return a student's fitted pipeline.

    Parameters
    ----------
    targets
        [n, 1] P(positive) or value, or [n, k] probabilities, to learn in the place of the truth.
    """
    teach = _network if learner is Learner.MLP else _trees
    with threadpool_limits(1):  # OpenMP's threads wait for each other by spinning: ruinous beside other work
        return teach(spec, params, fit, targets)


def _network(spec: ModelSpec, params: Params, fit: Rows, targets: FloatArray) -> Pipeline:
    """Train the layers of scikit-learn's network, which itself takes no targets between the classes."""
    pipeline = learners.build(spec, Learner.MLP, params)
    inputs = pipeline[0].fit_transform(fit.inputs)
    network = pipeline[-1]
    regression = spec.task is Task.REGRESSION
    classes: dict[str, Any] = {} if regression else {"classes": np.unique(fit.truth)}
    few = slice(0, int(params["batch_size"]))
    network.partial_fit(inputs[few], fit.truth[few], **classes)  # makes the layers, which are trained below
    course = Course(
        epochs=int(params["epochs"]),
        batch=int(params["batch_size"]),
        rate=float(params["learning_rate_init"]),
        penalty=float(params["alpha"]),
        seed=spec.retrain.search.seed,
    )
    examples = _examples(inputs, targets, fit.weights)
    if regression:
        unit = Unit.of(examples.targets)
        layers = unit.given_to(train(_layers(network), unit.standardised(examples), course))
    else:
        layers = train(_layers(network), examples, course)
    network.coefs_ = [layer.weights for layer in layers]
    network.intercepts_ = [layer.bias for layer in layers]
    return pipeline


def _layers(network: Any) -> tuple[Layer, ...]:
    """Return the layers of scikit-learn's network in float32, as they are served."""
    hidden = [network.activation] * (len(network.coefs_) - 1)
    kinds = [_ACTIVATIONS.get(name, name) for name in (*hidden, network.out_activation_)]
    parts = zip(network.coefs_, network.intercepts_, kinds, strict=True)
    return tuple(
        Layer(weights.astype("float32"), bias.astype("float32"), kind) for weights, bias, kind in parts
    )


def _examples(inputs: Any, targets: FloatArray, weights: FloatArray | None) -> Examples:
    dense = inputs.toarray() if hasattr(inputs, "toarray") else inputs  # one-hot codes may come sparse
    shares = None if weights is None else weights.astype("float32")
    return Examples(np.asarray(dense, "float32"), targets.astype("float32"), shares)


def _trees(spec: ModelSpec, params: Params, fit: Rows, targets: FloatArray) -> Pipeline:
    """Fit trees: values as they are, and probabilities as a row a class that weighs as much."""
    pipeline = learners.build(spec, Learner.LIGHTGBM, params)
    weights = np.ones(len(fit)) if fit.weights is None else fit.weights
    if spec.task is Task.REGRESSION:
        return pipeline.fit(fit.inputs, targets[:, 0], model__sample_weight=weights)
    shares = np.hstack([1 - targets, targets]) if targets.shape[1] == 1 else targets
    row, label = np.nonzero(shares > 0)
    return pipeline.fit(fit.inputs.iloc[row], label, model__sample_weight=weights[row] * shares[row, label])
