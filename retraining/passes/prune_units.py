"""Remove the units of a network that matter least, and let the rest learn again where that helps.

Structured pruning: whole units go, so that the matrices become smaller, which every runtime is faster with;
single weights set to zero are still multiplied. What matters least is what moves the next layer least: the
standard deviation of the unit's answer times the norm of the weights that carry it on. The mean of a removed
unit's answer is left to the bias of the next layer, so that only its variation is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from retraining.fitted import Fitted, Rows
from retraining.graphs.dense import Layer, RealArray
from retraining.networks.backpropagation import outputs
from retraining.passes.fine_tuning import Opened, opened
from retraining.passes.optimization_pass import NotApplicable, Plan, Trial
from spec import ModelSpec

_SHARES = (0.75, 0.5, 0.375, 0.25, 0.125)
_ROWS = 10_000


class PruneUnits:
    """Keep the least share of each hidden layer's units that keeps the loss within the budget."""

    name = "prune_units"

    def plan(self, trial: Trial) -> Plan:
        """Return ``{"share": …, "tuned": …}``: of the units to keep, and whether to fine-tune."""
        network = opened(trial.spec, trial.model, trial.fit)
        hidden = network.chain.layers[:-1]
        shares = [
            share for share in _SHARES if any(_kept(layer.units, share) < layer.units for layer in hidden)
        ]
        if not shares:
            msg = "every hidden layer has one unit"
            raise NotApplicable(msg)
        share, tuned = network.harshest(trial, self.name, shares, partial(_pruned, network))
        return {"share": share, "tuned": tuned}

    def apply(self, spec: ModelSpec, model: Fitted, fit: Rows, plan: Plan) -> Fitted:
        """Keep the plan's share of the units, chosen by their answers to the rows, and fine-tune on them."""
        network = opened(spec, model, fit)
        return network.changed(self.name, _pruned(network, plan["share"]), tuned=plan["tuned"])


def narrowed(layers: Sequence[Layer], inputs: RealArray, share: float) -> tuple[Layer, ...]:
    """Return the layers with a share of each hidden one's units, by their answers to inputs [n, d]."""
    answers = outputs(layers, inputs)[:-1]
    made: list[Layer] = []
    above = np.arange(layers[0].weights.shape[0], dtype=np.int64)
    mean = inputs.mean(axis=0)
    for index, layer in enumerate(layers):
        gone = np.setdiff1d(np.arange(len(layer.weights)), above)
        bias = layer.bias
        if len(gone):
            bias = (0 if bias is None else bias) + mean[gone] @ layer.weights[gone]
        units = np.arange(layer.units, dtype=np.int64)
        if index < len(answers):
            units = _strongest(answers[index], layers[index + 1], _kept(layer.units, share))
            mean = answers[index].mean(axis=0)
        weights = layer.weights[above][:, units]
        made.append(Layer(weights, None if bias is None else bias[units], layer.activation))
        above = units
    return tuple(made)


def _strongest(answers: RealArray, following: Layer, keep: int) -> NDArray[np.int64]:
    strength = answers.std(axis=0) * np.linalg.norm(following.weights, axis=1)
    return np.sort(np.argsort(-strength, kind="stable")[:keep])


def _kept(units: int, share: float) -> int:
    return max(1, round(units * share))


def _pruned(network: Opened, share: float) -> tuple[Layer, ...]:
    return narrowed(network.chain.layers, network.examples.inputs[-_ROWS:], share)
