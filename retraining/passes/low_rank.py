"""Replace a layer's weights by the product of two thin matrices, and let them learn again where that helps.

The truncated singular value decomposition is the nearest matrix of its rank (Eckart and Young 1936). A layer
of m inputs and n units holds r (m + n) weights instead of m n; layers that would grow stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from retraining.fitted import Fitted, Rows
from retraining.graphs.dense import Layer
from retraining.passes.fine_tuning import opened
from retraining.passes.optimization_pass import NotApplicable, Plan, Trial
from spec import ModelSpec

_RANKS = (128, 64, 32, 16, 8, 4, 2)


class LowRank:
    """Factor the layers with the least rank that keeps the loss within the budget."""

    name = "low_rank"

    def plan(self, trial: Trial) -> Plan:
        """Return ``{"rank": …, "tuned": …}``: of the weights at most, and whether to fine-tune."""
        network = opened(trial.spec, trial.model, trial.fit)
        ranks = [rank for rank in _RANKS if any(_shrinks(layer, rank) for layer in network.chain.layers)]
        if not ranks:
            msg = "the layers are too small for two factors to be smaller"
            raise NotApplicable(msg)
        rank, tuned = network.harshest(
            trial, self.name, ranks, lambda rank: factored(network.chain.layers, rank)
        )
        return {"rank": rank, "tuned": tuned}

    def apply(self, spec: ModelSpec, model: Fitted, fit: Rows, plan: Plan) -> Fitted:
        """Factor the layers and fine-tune on the rows."""
        network = opened(spec, model, fit)
        return network.changed(self.name, factored(network.chain.layers, plan["rank"]), tuned=plan["tuned"])


def factored(layers: Sequence[Layer], rank: int) -> tuple[Layer, ...]:
    """Return the layers, each that gets smaller by it as two."""
    return tuple(part for layer in layers for part in _parts(layer, rank))


def _parts(layer: Layer, rank: int) -> Iterator[Layer]:
    if not _shrinks(layer, rank):
        yield layer
        return
    left, strengths, right = np.linalg.svd(layer.weights, full_matrices=False)
    roots = np.sqrt(strengths[:rank])  # both factors of one scale, so that one rate suits both
    yield Layer(left[:, :rank] * roots, None, "identity")
    yield Layer(roots[:, None] * right[:rank], layer.bias, layer.activation)


def _shrinks(layer: Layer, rank: int) -> bool:
    inputs, units = layer.weights.shape
    return bool(rank * (inputs + units) < inputs * units)
