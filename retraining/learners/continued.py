"""Train a fitted model further on newer rows, instead of anew: what the old rows taught is kept."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from retraining.dataset.labelled import Rows
from retraining.learners import xgboost
from spec import Refused

_MORE_TREES = 0.25
"""Trees that are added, as a part of those that there are."""
_FEWEST_TREES, _EPOCHS = 10, 5


def continued(pipeline: Pipeline, rows: Rows) -> Pipeline:
    """Return a pipeline that goes on where another one ended; the other one stays as it is.

    Its columns are taken as they are. LightGBM and XGBoost grow a quarter more trees on the errors of the old
    ones; a perceptron that classifies goes through the rows five times more.

    Parameters
    ----------
    rows
        Rows that the pipeline has not seen, with every class that it knows.

    Raises
    ------
    Refused
        The learner cannot be continued, or the rows lack a class.
    """
    columns, model = pipeline[:-1], pipeline.steps[-1][1]
    classes = getattr(model, "classes_", None)
    if classes is not None and not np.array_equal(np.unique(rows.truth), np.unique(classes)):
        msg = f"the new rows hold {len(np.unique(rows.truth))} of {len(classes)} classes"
        raise Refused(msg)
    with threadpool_limits(1):
        inputs = columns.transform(rows.inputs)
        if isinstance(model, LGBMClassifier | LGBMRegressor):
            grown: Any = _grown(model, inputs, rows)
        elif xgboost.is_model(model):
            grown = xgboost.continued(model, inputs, rows, _more(model.get_booster().num_boosted_rounds()))
        elif isinstance(model, MLPClassifier):
            grown = _went_on(model, inputs, rows)
        else:
            msg = f"a {type(model).__name__} cannot be continued"
            raise Refused(msg)
    return Pipeline([*columns.steps, ("model", grown)])


def _grown(model: Any, inputs: Any, rows: Rows) -> Any:
    more = type(model)(**model.get_params() | {"n_estimators": _more(model.n_estimators_)})
    return more.fit(inputs, rows.truth, sample_weight=rows.weights, init_model=model.booster_)


def _more(trees: int) -> int:
    return max(_FEWEST_TREES, round(trees * _MORE_TREES))


def _went_on(model: MLPClassifier, inputs: Any, rows: Rows) -> MLPClassifier:
    more = copy.deepcopy(model)
    for _ in range(_EPOCHS):
        more.partial_fit(inputs, rows.truth)
    return more
