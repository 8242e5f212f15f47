"""The unit of a regression's target: what makes of it numbers with mean 0 and spread 1, and the way back.

Adam's steps know no unit: layers that learn a price in cents would take a hundred times the epochs of those
that learn it in euros. The last layer is linear, so it takes over the way there and back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from retraining.graphs.dense import Layer, RealArray
from retraining.networks.training import Examples


@dataclass(frozen=True, slots=True)
class Unit:
    """Centre and spread [k] of targets [n, k]; a spread of 0 counts as 1."""

    centre: RealArray
    spread: RealArray

    @classmethod
    def of(cls, targets: RealArray) -> Self:
        """Return the targets' own unit."""
        spread = targets.std(axis=0)
        spread[spread == 0] = 1
        return cls(targets.mean(axis=0), spread)

    def standardised(self, examples: Examples) -> Examples:
        """Return the examples with targets of mean 0 and spread 1."""
        return replace(examples, targets=(examples.targets - self.centre) / self.spread)

    def taken_from(self, layers: Sequence[Layer]) -> tuple[Layer, ...]:
        """Return layers that answer in the unit, changed to answer without it."""
        return (*layers[:-1], _linear(layers[-1], 1 / self.spread, -self.centre / self.spread))

    def given_to(self, layers: Sequence[Layer]) -> tuple[Layer, ...]:
        """Return layers that answer without the unit, changed to answer in it."""
        return (*layers[:-1], _linear(layers[-1], self.spread, self.centre))


def _linear(layer: Layer, factor: RealArray, offset: RealArray) -> Layer:
    """Return a linear layer that answers ``factor * y + offset`` where the layer answers y."""
    bias = offset if layer.bias is None else layer.bias * factor + offset
    return replace(layer, weights=layer.weights * factor, bias=bias)
