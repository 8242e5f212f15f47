"""Train a chain of dense layers by minibatches; seeded, so that the same rows give the same weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from retraining.graphs.dense import Layer, RealArray
from retraining.networks.adam import Adam
from retraining.networks.backpropagation import gradients


@dataclass(frozen=True, slots=True)
class Examples:
    """What to learn, all in the precision of the layers.

    Parameters
    ----------
    inputs
        [n, d].
    targets
        [n, k], as of `retraining.networks.backpropagation.loss`.
    weights
        [n] how much each row counts, above 0; None where all count alike.
    """

    inputs: RealArray
    targets: RealArray
    weights: RealArray | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.inputs)


@dataclass(frozen=True, slots=True)
class Course:
    """How to train.

    Parameters
    ----------
    epochs
        How often each row is seen.
    batch
        Rows a step; the last step of an epoch may have fewer.
    rate
        Adam's step at the beginning; it falls to zero in a line if `falling`, which settles the weights.
    penalty
        Weight decay: half of it, times the squared weights, is added to the summed loss of each batch.
    """

    epochs: int
    batch: int = 256
    rate: float = 1e-3
    penalty: float = 1e-4
    falling: bool = True
    seed: int = 0

    def rates(self, steps: int) -> RealArray:
        """Return the rate of each of all `steps`."""
        return self.rate * (np.linspace(1, 0, steps, endpoint=False) if self.falling else np.ones(steps))


def train(layers: Sequence[Layer], examples: Examples, course: Course) -> tuple[Layer, ...]:
    """Return layers trained on; those given stay as they are."""
    rng = np.random.default_rng(course.seed)
    rows = len(examples)
    orders = [rng.permutation(rows) for _ in range(course.epochs)]
    return train_in_order(layers, examples, course, orders)


def train_in_order(
    layers: Sequence[Layer], examples: Examples, course: Course, orders: Sequence[NDArray[np.int64]]
) -> tuple[Layer, ...]:
    """Train on rows in given orders [n], one an epoch, in the place of `course.epochs` random ones."""
    learning = tuple(_copied(layer) for layer in layers)
    adam = Adam(_parameters(learning))
    batches = [order[at : at + course.batch] for order in orders for at in range(0, len(order), course.batch)]
    with threadpool_limits(1):  # batches are small: threads would wait for each other by spinning
        for batch, rate in zip(batches, course.rates(len(batches)), strict=True):
            adam.step(_step(learning, examples, batch, course.penalty), float(rate))
    return learning


def _step(
    layers: Sequence[Layer], examples: Examples, batch: NDArray[np.int64], penalty: float
) -> list[RealArray]:
    weights = np.ones(len(batch), examples.inputs.dtype)
    if examples.weights is not None:
        weights = examples.weights[batch]
    total = weights.sum()
    found = gradients(layers, examples.inputs[batch], examples.targets[batch], weights / total)
    flat: list[RealArray] = []
    for layer, (by_weights, by_bias) in zip(layers, found, strict=True):
        decayed = by_weights + (penalty / total) * layer.weights
        flat += [decayed] if by_bias is None else [decayed, by_bias]
    return flat


def _parameters(layers: Sequence[Layer]) -> list[RealArray]:
    return [part for layer in layers for part in (layer.weights, layer.bias) if part is not None]


def _copied(layer: Layer) -> Layer:
    bias = None if layer.bias is None else layer.bias.copy()
    return replace(layer, weights=layer.weights.copy(), bias=bias)
