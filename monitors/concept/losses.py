"""What one row's prediction cost once its truth is known: in [0, 1], and 1 is the worst."""

from __future__ import annotations

import numpy as np

from monitors.performance import Truth
from monitors.profiles.plan import Floats
from spec import Task

_ORDINARY = 0.995
_DECISION = 0.5


def losses(truth: Truth, task: Task, scale: float = 1.0) -> Floats:
    """Return the loss of each row; a prediction that is not finite costs 1.

    Binary: Brier's score (p − y)². Multiclass: Σ (p_k − y_k)²/2 over the classes. Regression: |value − y|
    over `scale`, and 1 beyond it, so the largest errors of all count no more than `scale`: one absurd row
    cannot be a drift, nor can it hide one.

    Parameters
    ----------
    scale
        Of a regression, as `scale_of` the reference, in the target's unit; above 0. Else unused.

    Returns
    -------
    Shape (rows,), in [0, 1].

    References
    ----------
    Brier (1950), Verification of forecasts expressed in terms of probability, Monthly Weather Review 78.
    """
    if task is Task.REGRESSION:
        found = np.abs(truth.scores[:, 0] - truth.labels) / scale
    elif task is Task.BINARY:
        found = (truth.scores[:, 0] - truth.labels) ** 2
    else:
        chosen = np.zeros_like(truth.scores)
        chosen[np.arange(len(truth)), truth.labels.astype(int)] = 1
        found = ((truth.scores - chosen) ** 2).sum(axis=1) / 2
    return np.where(np.isfinite(found), found, 1.0).clip(0.0, 1.0)


def errors(truth: Truth, task: Task) -> Floats:
    """Return 1 for each row whose likeliest class was wrong, else 0; a score that is not finite is wrong.

    Parameters
    ----------
    task
        A classification: a value is never simply wrong.
    """
    scores = truth.scores
    decided = scores[:, 0] >= _DECISION if task is Task.BINARY else scores.argmax(axis=1)
    return np.where(np.isfinite(scores).all(axis=1), decided != truth.labels, 1.0)


def scale_of(truth: Truth, task: Task) -> float:
    """Return the error that counts as the worst: the 99.5 % quantile of a reference's absolute errors.

    Where the model was perfect it is the labels' standard deviation. 1 for classifications, whose losses
    are bounded by themselves, and where nothing varies.
    """
    if task is not Task.REGRESSION:
        return 1.0
    off = np.abs(truth.scores[:, 0] - truth.labels)
    off = off[np.isfinite(off)]
    if not len(off):
        return 1.0
    return float(np.quantile(off, _ORDINARY) or truth.labels.std()) or 1.0
