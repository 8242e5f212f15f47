"""What is learned of both sides, each row by models that have not seen its fold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from monitors.attribution.pooled import FOLDS, Pooled
from monitors.attribution.sides import Array
from monitors.attribution.trees import Model, classifier, one_thread, regressor

_TREES = 60
_LEAVES = 8
_LEAF = 20
_CERTAIN = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """Out-of-fold estimates for each row, shape (rows,), and the loss models behind them, one a fold.

    Parameters
    ----------
    current
        As of `probabilities`.
    loss_before, loss_now
        The loss to expect of a row's inputs under the reference's relation, and under the window's.
    """

    current: Array
    loss_before: Array
    loss_now: Array
    models_before: tuple[Model, ...]
    models_now: tuple[Model, ...]


def learn(pooled: Pooled, seed: int) -> Learned:
    """Fit a domain classifier and a model of the loss on either side, cross-fitted."""
    with one_thread():
        before, models_before = _losses(pooled, current=False, seed=seed)
        now, models_now = _losses(pooled, current=True, seed=seed)
        return Learned(probabilities(pooled, seed), before, now, models_before, models_now)


def probabilities(pooled: Pooled, seed: int) -> Array:
    """Return the probability that a row with these inputs is of the window, were both sides of equal size.

    Within [0.01, 0.99], by a domain classifier that has not seen the row's fold; shape (rows,).
    """
    told = np.empty(len(pooled))
    for fold in range(FOLDS):
        held = pooled.fold == fold
        seen = pooled.matrix[~held]
        model = classifier(seen, pooled.current[~held], **_settings(pooled, len(seen), seed))
        told[held] = model(pooled.matrix[held])
    return np.clip(told, _CERTAIN, 1 - _CERTAIN)


def _losses(pooled: Pooled, *, current: bool, seed: int) -> tuple[Array, tuple[Model, ...]]:
    told = np.empty(len(pooled))
    models = []
    for fold in range(FOLDS):
        held = pooled.fold == fold
        seen = ~held & (pooled.current == current)
        settings = _settings(pooled, int(np.count_nonzero(seen)), seed)
        models.append(regressor(pooled.matrix[seen], pooled.losses[seen], **settings))
        told[held] = models[-1](pooled.matrix[held])
    return told, tuple(models)


def _settings(pooled: Pooled, rows: int, seed: int) -> dict[str, Any]:
    return {
        "max_iter": _TREES,
        "max_leaf_nodes": _LEAVES,
        "min_samples_leaf": max(5, min(_LEAF, rows // 50)),
        "categorical_features": pooled.categorical,
        "random_state": seed,
    }
