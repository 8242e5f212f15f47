"""A user's own estimator: a factory that the spec names, and the space that it is searched in."""

from __future__ import annotations

import optuna
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from retraining.imports import function
from retraining.records import Params
from spec import DataError, ModelSpec, Problem
from spec.retrain import Own, Range


def wanted(spec: ModelSpec) -> Own:
    """Return what the spec says of it.

    Raises
    ------
    DataError
        It says nothing.
    """
    if spec.retrain.own is None:
        must = "must name a factory where learners has own"
        raise DataError([Problem("retrain.own", must, "none", "Say own: {factory: package.module:function}")])
    return spec.retrain.own


def suggest(spec: ModelSpec, trial: optuna.Trial) -> Params:
    """Return one trial's hyperparameters."""
    return {name: _suggested(trial, name, span) for name, span in wanted(spec).space.items()}


def defaults(spec: ModelSpec) -> Params:
    """Return the first value of each list and the lowest of each range."""
    return {
        name: span.low if isinstance(span, Range) else span[0] for name, span in wanted(spec).space.items()
    }


def grid(spec: ModelSpec) -> dict[str, list[int | float | str]]:
    """Return the values of a grid search: every listed one, and both ends of each range."""
    return {
        name: [span.low, span.high] if isinstance(span, Range) else list(span)
        for name, span in wanted(spec).space.items()
    }


def build(spec: ModelSpec, params: Params) -> Pipeline:
    """Return what the factory makes of the spec and the hyperparameters: an unfitted pipeline.

    Its steps take the features as `retraining.dataset.rows.inputs` makes them, and the last one is called
    ``model``. Whether it converts to ONNX exactly is for the gate of parity to say.

    Raises
    ------
    DataError
        The factory makes something else.
    """
    factory = function(wanted(spec).factory, "retrain.own.factory")
    made = factory(spec, params)
    if not isinstance(made, Pipeline) or made.steps[-1][0] != "model":
        steps = made.steps if isinstance(made, Pipeline) else ()
        found = ", ".join(name for name, _ in steps) or type(made).__name__
        must = "must return a scikit-learn Pipeline whose last step is called model"
        raise DataError([Problem("retrain.own.factory", must, found)])
    if not isinstance(made.steps[-1][1], BaseEstimator):
        must, found = "must end with a scikit-learn estimator", type(made.steps[-1][1]).__name__
        raise DataError([Problem("retrain.own.factory", must, found)])
    return made


def _suggested(
    trial: optuna.Trial, name: str, span: Range | tuple[int | float | str, ...]
) -> int | float | str:
    if not isinstance(span, Range):
        return span[span.index(trial.suggest_categorical(name, list(span)))]
    if isinstance(span.low, int) and isinstance(span.high, int):
        return trial.suggest_int(name, span.low, span.high, log=span.log)
    return trial.suggest_float(name, span.low, span.high, log=span.log)
