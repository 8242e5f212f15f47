"""Outputs, loss and gradients of a chain of dense layers.

The last activation says which loss is meant: squared error for the identity, cross-entropy for the sigmoid
(each unit by itself) and for the softmax. In each of these pairs the gradient at the last layer's sum is
``output - target``, for hard targets and for soft ones alike (Bishop, Pattern Recognition and Machine
Learning, 2006, section 5.3).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from retraining.graphs.dense import Activation, Layer, RealArray

Gradients = list[tuple[RealArray, RealArray | None]]
"""Of each layer: by its weights and by its bias, None where it has none."""


def outputs(layers: Sequence[Layer], inputs: RealArray) -> list[RealArray]:
    """Return what each layer answers [n, units] to inputs [n, d]."""
    answers: list[RealArray] = []
    for layer in layers:
        sums = (answers[-1] if answers else inputs) @ layer.weights
        if layer.bias is not None:
            sums += layer.bias
        answers.append(_activated(layer.activation, sums))
    return answers


def loss(layers: Sequence[Layer], answers: RealArray, targets: RealArray, shares: RealArray) -> float:
    """Return the weighted mean loss of the last layer's answers [n, k]: nats, or half the squared error.

    Parameters
    ----------
    targets
        [n, k]; probabilities for a sigmoid or softmax, values for the identity.
    shares
        [n] what each row counts; they sum to 1.
    """
    kind = layers[-1].activation
    if kind == "identity":
        return float(shares @ np.square(answers - targets).sum(axis=1)) / 2
    tiny = np.finfo(answers.dtype).tiny
    terms = targets * np.log(np.maximum(answers, tiny))
    if kind == "sigmoid":
        terms += (1 - targets) * np.log(np.maximum(1 - answers, tiny))
    return -float(shares @ terms.sum(axis=1))


def gradients(layers: Sequence[Layer], inputs: RealArray, targets: RealArray, shares: RealArray) -> Gradients:
    """Return the gradients of `loss`; the parameters are its own."""
    answers = outputs(layers, inputs)
    error = (answers[-1] - targets) * shares[:, None]
    found: Gradients = []
    for index in range(len(layers) - 1, -1, -1):
        layer = layers[index]
        given = answers[index - 1] if index else inputs
        found.append((given.T @ error, None if layer.bias is None else error.sum(axis=0)))
        if index:
            error = error @ layer.weights.T
            _through(layers[index - 1].activation, answers[index - 1], error)
    return found[::-1]


def _activated(kind: Activation, sums: RealArray) -> RealArray:
    """Apply an activation; `sums` may be overwritten."""
    if kind == "relu":
        return np.maximum(sums, 0, out=sums)
    if kind == "tanh":
        return np.tanh(sums, out=sums)
    if kind == "sigmoid":
        return _sigmoid(sums)
    if kind == "softmax":
        sums -= sums.max(axis=1, keepdims=True)
        np.exp(sums, out=sums)
        sums /= sums.sum(axis=1, keepdims=True)
    return sums


def _sigmoid(sums: RealArray) -> RealArray:
    """Return 1 / (1 + e^-x) by the hyperbolic tangent, which overflows for no x."""
    return (np.tanh(sums / 2) + 1) / 2


def _through(kind: Activation, answers: RealArray, error: RealArray) -> None:
    """Take the error back through an activation, in place."""
    if kind == "relu":
        error[answers <= 0] = 0
    elif kind == "tanh":
        error *= 1 - np.square(answers)
    elif kind == "sigmoid":
        error *= answers * (1 - answers)
