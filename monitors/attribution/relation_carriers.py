"""Which features say where the relation changed: what a model of the rise loses without each.

The rise of the loss for given inputs, μ_Q - μ_P, is learned from the rows' contributions to the shared space
(their pseudo-outcomes, by how much of the space each row is), cross-fitted. If that model tells unseen rows
no better than the mean rise does, the relation changed about alike everywhere and no feature carries it.
Otherwise a feature's part is how much worse the model does when the feature is shuffled among unseen rows.

Source: Kennedy (2023), Towards optimal doubly robust estimation of heterogeneous causal effects, EJS
17:3008-3049, for the pseudo-outcome; Breiman (2001), Random forests, for the shuffling.
"""

from __future__ import annotations

import numpy as np

from monitors.attribution.blocks import spread
from monitors.attribution.explanation import Carrier
from monitors.attribution.input_carriers import ranked
from monitors.attribution.pooled import FOLDS, Pooled
from monitors.attribution.shared_space import Shared
from monitors.attribution.sides import Array
from monitors.attribution.trees import one_thread, regressor
from monitors.multivariate.shuffling import shuffled

_SETTINGS = {"max_iter": 30, "max_leaf_nodes": 4, "min_samples_leaf": 50}
_ERRORS = 2.0  # standard errors that a gain must be above 0


def relation_carriers(pooled: Pooled, shared: Shared, seed: int) -> tuple[Carrier, ...]:
    """Return the features with which the rise of the loss varies, the largest share first."""
    outcome = shared.risen / shared.share
    with one_thread():
        gains = _gains(pooled, outcome, shared.share, seed)
    amounts = np.array([_beyond_chance(pooled, gain) for gain in gains.T])
    if not amounts[0]:
        return ()
    return ranked(pooled.names, amounts[1:])


def _beyond_chance(pooled: Pooled, gain: Array) -> float:
    mean = float(pooled.mean(gain))
    return mean if mean > _ERRORS * spread(pooled, gain)[0] else 0.0


def _gains(pooled: Pooled, outcome: Array, size: Array, seed: int) -> Array:
    """Return how much less each unseen row is missed; shape (rows, 1 + features).

    The first column is the model against the mean rise, the others it against itself without a feature.
    """
    random = np.random.default_rng(seed)
    settings = {**_SETTINGS, "categorical_features": pooled.categorical, "random_state": seed}
    gains = np.empty((len(pooled), 1 + pooled.matrix.shape[1]))
    for fold in range(FOLDS):
        held = pooled.fold == fold
        weight = (pooled.weight * size)[~held]
        mean = float(np.average(outcome[~held], weights=weight))
        model = regressor(pooled.matrix[~held], outcome[~held], weight / weight.mean(), **settings)
        guesses = np.column_stack(
            [np.full(int(held.sum()), mean), shuffled(pooled.matrix[held], model, random)]
        )
        told = model(pooled.matrix[held])
        missed = (outcome[held, None] - guesses) ** 2 - (outcome[held] - told)[:, None] ** 2
        gains[held] = size[held, None] * missed
    return gains
