"""XGBoost, where it is installed: gradient boosting on ordinal codes, as the other boosters get them.

How many trees are best is for the search and for `prune_trees` to say, on rows that are newer than those that
were fitted on; so nothing is stopped early here.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

import optuna

from retraining.dataset.labelled import Rows
from retraining.records import Params
from spec import DataError, ModelSpec, Problem, Task

DEFAULTS: Params = {
    "n_estimators": 100,
    "learning_rate": 0.1,
    "max_depth": 6,
    "min_child_weight": 1.0,
    "reg_lambda": 1.0,
    "colsample_bytree": 1.0,
    "subsample": 1.0,
}
GRID: dict[str, tuple[int | float | str, ...]] = {
    "n_estimators": (100, 300),
    "max_depth": (4, 6, 8),
    "learning_rate": (0.05, 0.1),
}


def suggest(trial: optuna.Trial) -> Params:
    """Return one trial's hyperparameters."""
    return {
        "n_estimators": trial.suggest_int("n_estimators", 50, 400, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
        "max_depth": trial.suggest_int("max_depth", 3, 9),
        "min_child_weight": trial.suggest_float("min_child_weight", 1, 100, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-3, 10, log=True),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.5, 1),
        "subsample": trial.suggest_float("subsample", 0.6, 1),
    }


def model(spec: ModelSpec, params: Params, threads: int) -> Any:
    """Return the unfitted booster.

    Raises
    ------
    DataError
        XGBoost is not installed.
    """
    library = require()
    kind = library.XGBRegressor if spec.task is Task.REGRESSION else library.XGBClassifier
    return kind(**params, tree_method="hist", n_jobs=threads, random_state=spec.retrain.search.seed)


def is_model(model: object) -> bool:
    """Return whether something is one of XGBoost's estimators; it is not imported for the question."""
    return type(model).__module__.startswith("xgboost.")


def continued(model: Any, inputs: Any, rows: Rows, trees: int) -> Any:
    """Return a booster with so many trees more, grown on the errors of the old ones."""
    more = type(model)(**model.get_params() | {"n_estimators": trees})
    more.fit(inputs, rows.truth, sample_weight=rows.weights, xgb_model=model.get_booster())
    # The converter takes the trees beyond this number for those of further classes.
    return more.set_params(n_estimators=more.get_booster().num_boosted_rounds())


def require() -> ModuleType:
    """Return the library.

    Raises
    ------
    DataError
        It is not installed.
    """
    try:
        return import_module("xgboost")  # an extra that most do without
    except ModuleNotFoundError:
        must, hint = "needs XGBoost for the learner xgboost", "Install it: pip install 'trimtab[xgboost]'"
        raise DataError([Problem("retrain.learners", must, "it is not installed", hint)]) from None
