"""What a model would answer to each row had it not been fitted on the row's day."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retraining import learners
from retraining.dataset.labelled import Rows
from retraining.dataset.rows import FloatArray
from retraining.passes.optimization_pass import NotApplicable
from retraining.records import Params
from spec import ModelSpec, Task
from spec.retrain import Learner

_FOLDS = 4


def answers(spec: ModelSpec, learner: Learner, params: Params, fit: Rows) -> FloatArray:
    """Return P(positive) [n, 1], class probabilities [n, k], or values [n, 1], by four fits of the learner.

    Raises
    ------
    NotApplicable
        The rows outside of one fold lack a class.
    """
    fold = folds(fit.days)
    parts = [_answered(spec, learner, params, fit, fold == index) for index in range(_FOLDS)]
    order = np.argsort(fold, kind="stable")
    found = np.empty((len(fit), parts[0].shape[1]))
    found[order] = np.concatenate(parts)
    return found


def _answered(
    spec: ModelSpec, learner: Learner, params: Params, fit: Rows, held: NDArray[np.bool_]
) -> FloatArray:
    _require_classes(spec, fit, ~held)
    weights = None if fit.weights is None else fit.weights[~held]
    others = Rows(fit.inputs[~held], fit.truth[~held], fit.days[~held], weights)
    teacher = learners.fit(spec, learner, params, others)
    scores = learners.scores(spec, teacher, fit.inputs[held])
    return scores.reshape(len(scores), -1)


def folds(days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the fold of each row [n]: days take turns, and a day is never shared.

    Of fewer days than folds, the rows are cut into stretches instead.
    """
    unique, day = np.unique(days, return_inverse=True)
    if len(unique) >= _FOLDS:
        return np.asarray(day % _FOLDS, "int64")
    return np.arange(len(days)) * _FOLDS // len(days)


def _require_classes(spec: ModelSpec, fit: Rows, kept: NDArray[np.bool_]) -> None:
    if spec.task is Task.REGRESSION:
        return
    lacking = np.setdiff1d(fit.truth, fit.truth[kept])
    if len(lacking):
        msg = f"too few days hold class {int(lacking[0])} for teachers that have not seen all of them"
        raise NotApplicable(msg)
