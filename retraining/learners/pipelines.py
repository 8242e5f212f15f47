"""Scikit-learn pipelines of every learner, and the hyperparameters to try.

Only parts whose conversion is exact are used: gradient boosting on ordinal codes, never on
`categorical_features`; forests and linear models on imputed values, never on NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import optuna
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

from retraining.learners import columns, mlp, own, xgboost
from retraining.records import Params
from spec import ModelSpec, Task
from spec.retrain import Learner


def suggest(spec: ModelSpec, learner: Learner, trial: optuna.Trial) -> Params:
    """Return one trial's hyperparameters."""
    return own.suggest(spec, trial) if learner is Learner.OWN else _SPACES[learner](trial)


def defaults(learner: Learner) -> Params:
    """Return good hyperparameters of one of our learners."""
    return dict(_DEFAULTS[learner])


def first(spec: ModelSpec, learner: Learner) -> Params:
    """Return the hyperparameters of the first trial, so that a search is never worse than none."""
    return own.defaults(spec) if learner is Learner.OWN else defaults(learner)


def grid(spec: ModelSpec, learner: Learner) -> dict[str, list[int | float | str]]:
    """Return the values that a grid search combines; what is not listed keeps its first one."""
    if learner is Learner.OWN:
        return own.grid(spec)
    return {name: list(values) for name, values in _GRIDS[learner].items()} | {
        name: [value] for name, value in defaults(learner).items() if name not in _GRIDS[learner]
    }


def build(spec: ModelSpec, learner: Learner, params: Params, *, threads: int = 1) -> Pipeline:
    """Return an unfitted pipeline for what `retraining.dataset.rows.inputs` makes.

    The same data, parameters and seed give the same model, whatever the number of threads.
    """
    if learner is Learner.OWN:
        return own.build(spec, params)
    prepared, model = _PARTS[learner](spec, params, threads)
    return Pipeline([("columns", prepared), ("model", model)])


def require(learners: Collection[Learner]) -> None:
    """Raise `DataError` where a learner needs a library that is not installed."""
    if Learner.XGBOOST in learners:
        xgboost.require()


def averages(learner: Learner) -> bool:
    """Return whether the model is the mean of its trees rather than their sum."""
    return learner is Learner.RANDOM_FOREST


def _lightgbm(spec: ModelSpec, params: Params, threads: int) -> tuple[ColumnTransformer, Any]:
    kind: Any = LGBMRegressor if spec.task is Task.REGRESSION else LGBMClassifier
    model = kind(
        **params,
        subsample_freq=1,
        n_jobs=threads,
        random_state=spec.retrain.search.seed,
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
    )
    return columns.codes(spec), model


def _hist_gradient_boosting(spec: ModelSpec, params: Params, _: int) -> tuple[ColumnTransformer, Any]:
    regression = spec.task is Task.REGRESSION
    kind = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
    model = kind(**params, early_stopping=False, random_state=spec.retrain.search.seed)
    return columns.codes(spec, present=True), model


def _xgboost(spec: ModelSpec, params: Params, threads: int) -> tuple[ColumnTransformer, Any]:
    return columns.codes(spec), xgboost.model(spec, params, threads)


def _random_forest(spec: ModelSpec, params: Params, threads: int) -> tuple[ColumnTransformer, Any]:
    kind = RandomForestRegressor if spec.task is Task.REGRESSION else RandomForestClassifier
    model = kind(**params, n_jobs=threads, random_state=spec.retrain.search.seed)
    return columns.codes(spec, imputed=True), model


def _linear(spec: ModelSpec, params: Params, _: int) -> tuple[ColumnTransformer, Any]:
    strength = float(params["strength"])
    if spec.task is Task.REGRESSION:
        model = Ridge(alpha=strength)
    else:
        model = LogisticRegression(C=1 / strength, max_iter=1000)
    return columns.scaled(spec), model


def _mlp(spec: ModelSpec, params: Params, _: int) -> tuple[ColumnTransformer, Any]:
    # Beyond the values that it was fitted on, a network goes on in a line, far into certainty: clip them.
    return columns.scaled(spec, MinMaxScaler(clip=True)), mlp.model(spec, params)


_PARTS: dict[Learner, Callable[[ModelSpec, Params, int], tuple[ColumnTransformer, Any]]] = {
    Learner.LIGHTGBM: _lightgbm,
    Learner.XGBOOST: _xgboost,
    Learner.HIST_GRADIENT_BOOSTING: _hist_gradient_boosting,
    Learner.RANDOM_FOREST: _random_forest,
    Learner.LINEAR: _linear,
    Learner.MLP: _mlp,
}
_SPACES: dict[Learner, Callable[[optuna.Trial], Params]] = {
    Learner.LIGHTGBM: lambda trial: {
        "n_estimators": trial.suggest_int("n_estimators", 50, 400, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 8, 96, log=True),
        "min_child_samples": trial.suggest_int("min_child_samples", 10, 200, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-3, 10, log=True),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.5, 1),
        "subsample": trial.suggest_float("subsample", 0.6, 1),
    },
    Learner.HIST_GRADIENT_BOOSTING: lambda trial: {
        "max_iter": trial.suggest_int("max_iter", 50, 400, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
        "max_leaf_nodes": trial.suggest_int("max_leaf_nodes", 8, 96, log=True),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 10, 200, log=True),
        "l2_regularization": trial.suggest_float("l2_regularization", 1e-3, 10, log=True),
    },
    Learner.RANDOM_FOREST: lambda trial: {
        "n_estimators": trial.suggest_int("n_estimators", 30, 150, log=True),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 5, 200, log=True),
        "max_features": trial.suggest_float("max_features", 0.2, 0.8),
    },
    Learner.LINEAR: lambda trial: {"strength": trial.suggest_float("strength", 1e-3, 1e3, log=True)},
    Learner.MLP: mlp.suggest,
    Learner.XGBOOST: xgboost.suggest,
}
_DEFAULTS: dict[Learner, Params] = {
    Learner.LIGHTGBM: {
        "n_estimators": 100,
        "learning_rate": 0.1,
        "num_leaves": 31,
        "min_child_samples": 20,
        "reg_lambda": 1e-3,
        "colsample_bytree": 1.0,
        "subsample": 1.0,
    },
    Learner.HIST_GRADIENT_BOOSTING: {
        "max_iter": 100,
        "learning_rate": 0.1,
        "max_leaf_nodes": 31,
        "min_samples_leaf": 20,
        "l2_regularization": 1e-3,
    },
    Learner.RANDOM_FOREST: {"n_estimators": 60, "min_samples_leaf": 20, "max_features": 0.35},
    Learner.LINEAR: {"strength": 1.0},
    Learner.MLP: mlp.DEFAULTS,
    Learner.XGBOOST: xgboost.DEFAULTS,
}
_GRIDS: dict[Learner, dict[str, tuple[int | float | str, ...]]] = {
    Learner.LIGHTGBM: {"n_estimators": (100, 300), "num_leaves": (15, 31, 63), "learning_rate": (0.05, 0.1)},
    Learner.HIST_GRADIENT_BOOSTING: {
        "max_iter": (100, 300),
        "max_leaf_nodes": (15, 31, 63),
        "learning_rate": (0.05, 0.1),
    },
    Learner.RANDOM_FOREST: {
        "n_estimators": (50, 100),
        "min_samples_leaf": (5, 20, 50),
        "max_features": (0.3, 0.6),
    },
    Learner.LINEAR: {"strength": (0.01, 0.1, 1.0, 10.0, 100.0)},
    Learner.MLP: {"depth": (1, 2), "width": (32, 128), "alpha": (0.1, 1.0)},
    Learner.XGBOOST: xgboost.GRID,
}
