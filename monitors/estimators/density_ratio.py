"""Density ratio: how much more often each reference row would stand in the window.

A classifier tells window rows from reference rows; its odds, cross-fitted, are the ratio of the densities:
w(x) = P(window | x) / P(reference | x) · rows of the reference / rows of the window (Bickel, Brückner,
Scheffer 2009, Discriminative learning under covariate shift, JMLR 10:2137-2155). The model's scores are
columns as well, because calibration is a matter of the scores first.

It is fitted for every window, so it is kept small: two folds of twelve trees with a large step weigh as well
as five of forty with a small one (docs/estimates.md). Categories are read by their rank of frequency, because
splits by sets of them would need an encoder in each fit, for no gain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monitors.estimators import blocks
from monitors.metrics import Array, Blocks
from monitors.multivariate import auc

MOST = 20.0
"""Weights beyond it (after which they have mean 1) are cut: one row must not speak for the window."""
_FOLDS = 2
_SETTINGS = {
    "max_iter": 12,
    "learning_rate": 0.3,
    "max_leaf_nodes": 8,
    "early_stopping": False,
    "class_weight": "balanced",
}
_ROWS = 5_000
_CHANCE = 0.5
_FACTOR = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class DensityRatio:
    """Weights of the reference rows, mean 1, shape (rows,); and whether the window differs at all.

    `differs` is False where the classifier cannot tell the sides apart on unseen rows: the lower end of the
    95 % interval of its area is at ½ or below. Weights would then only add noise. `overlaps` is False where
    the odds miss their mean of 1 by more than a factor of 2: the window then holds rows such as the reference
    has none of (another month, another place), and no weights make up for that.
    """

    weights: Array
    differs: bool
    overlaps: bool


def density_ratio(reference: Array, window: Array, block: Blocks, *, seed: int = 0) -> DensityRatio:
    """Weigh the reference rows by how much they look like the window.

    Parameters
    ----------
    reference, window
        Shape (rows, columns), as an `Encoder` gives them. A model learns from 5,000 rows a side at most; all
        rows of the reference get a weight.
    block
        Of the reference rows; a block is never in training and test both.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 - heavy

    random = np.random.default_rng(seed)
    drawn = window[random.permutation(len(window))[:_ROWS]]
    fold = np.arange(len(drawn)) % _FOLDS
    odds, areas = np.ones(len(reference)), []
    for number, tested in enumerate(blocks.folds(block, _FOLDS)):
        kept = random.permutation(np.flatnonzero(~tested))[:_ROWS]
        known = np.concatenate([reference[kept], drawn[fold != number]])
        side = np.repeat([0, 1], [len(kept), int((fold != number).sum())])
        model = HistGradientBoostingClassifier(
            **_SETTINGS,
            categorical_features=None,
            min_samples_leaf=max(5, min(50, len(known) // 50)),
            random_state=seed,
        ).fit(known, side)
        score = model.decision_function(reference[tested])
        odds[tested] = np.exp(np.clip(score, -10, 10))
        areas.append(auc.area(score, model.decision_function(drawn[fold == number])))
    _, low, _ = auc.interval(areas, 2.0)
    mean = float(odds.mean())
    cut = np.minimum(odds / mean, MOST)
    return DensityRatio(cut / cut.mean(), low > _CHANCE, 1 / _FACTOR < mean < _FACTOR)
