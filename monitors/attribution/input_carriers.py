"""Which features carry what moved inputs did to the loss: Shapley values on the way from side to side.

A row of the reference is led to a row of the shared space, one feature after the other in a random order, and
then one of the shared space to one of the window. What each step does to the expected loss (under the
reference's relation first, the window's then) is the feature's. The steps of a way sum to the whole way, so
the features' means sum to `inputs` + `new_inputs` as the loss models know them. A feature that moved but does
not matter to the loss carries nothing, nor does one that matters and stayed.

Sources: Lundberg, Lee (2017), A unified approach to interpreting model predictions, NeurIPS, for the values;
Budhathoki et al. (2021), Why did the distribution change?, AISTATS, for the attribution of a change. Mixed
rows follow no joint distribution: of features that go together, each has a part of the credit.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from monitors.attribution.explanation import Carrier
from monitors.attribution.learned import Learned
from monitors.attribution.pooled import FOLDS, Pooled
from monitors.attribution.shared_space import Parts
from monitors.attribution.sides import Array
from monitors.attribution.trees import Model, one_thread
from monitors.multivariate.grades import Matrix

_WAYS = 2000
_CELLS = 4_000_000  # of a matrix that is scored at once: 16 MB
_ERRORS = 2.0  # standard errors that a feature's part must be away from 0


def input_carriers(pooled: Pooled, learned: Learned, parts: Parts, seed: int) -> tuple[Carrier, ...]:
    """Return the features that pushed the loss the way that `parts.moved` says, the largest share first."""
    with one_thread():
        steps = np.concatenate(list(_steps(pooled, learned, np.random.default_rng(seed))))
    amounts = steps.mean(axis=0) * np.sign(parts.moved.value)
    errors = steps.std(axis=0, ddof=1) / len(steps) ** 0.5
    return ranked(pooled.names, np.where(amounts > _ERRORS * errors, amounts, 0.0))


def ranked(names: tuple[str, ...], amounts: Array) -> tuple[Carrier, ...]:
    """Return the features with a positive amount, by their share of all, the largest first."""
    total = amounts.sum()
    order = np.argsort(-amounts, kind="stable")
    return tuple(Carrier(names[at], float(amounts[at] / total)) for at in order if amounts[at] > 0)


def _steps(pooled: Pooled, learned: Learned, random: np.random.Generator) -> Iterator[Array]:
    """Yield what each feature's steps add, shape (ways, features): a fold's rows, by models of the others."""
    common = pooled.weight * np.where(pooled.current, 1 - learned.current, learned.current)
    for fold in range(FOLDS):
        held = np.flatnonzero(pooled.fold == fold)
        old, new = held[~pooled.current[held]], held[pooled.current[held]]
        ways = min(_WAYS // FOLDS, max(1, _CELLS // (2 * pooled.matrix.shape[1] ** 2)))
        starts, ends = (pooled.matrix[random.choice(rows, ways)] for rows in (old, new))
        chances = common[held] / common[held].sum()
        middles = pooled.matrix[random.choice(held, ways, p=chances)]
        first = _along(starts, middles, learned.models_before[fold], random)
        yield first + _along(middles, ends, learned.models_now[fold], random)


def _along(starts: Matrix, ends: Matrix, model: Model, random: np.random.Generator) -> Array:
    """Return what each feature's step adds, the mean of a random order and its reverse; shape of `starts`."""
    ways, features = starts.shape
    order = random.permuted(np.tile(np.arange(features), (ways, 1)), axis=1)
    added = np.zeros((ways, features))
    for path in (order, order[:, ::-1]):
        rank = np.argsort(path, axis=1)
        taken = rank[:, None, :] < np.arange(features + 1)[None, :, None]
        rows = np.where(taken, ends[:, None, :], starts[:, None, :])
        losses = model(rows.reshape(-1, features)).reshape(ways, features + 1)
        added += np.take_along_axis(np.diff(losses, axis=1), rank, axis=1) / 2
    return added
