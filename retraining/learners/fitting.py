"""Fit a learner's pipeline and ask it."""

from __future__ import annotations

from typing import Any

import pandas as pd
from lightgbm.basic import LightGBMError
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from retraining.dataset.labelled import Rows
from retraining.dataset.rows import FloatArray
from retraining.graphs import parity
from retraining.learners.pipelines import build
from retraining.records import Params
from spec import ModelSpec, Refused
from spec.retrain import Learner

_FAILURES = (ValueError, ArithmeticError, LightGBMError)


def fit(spec: ModelSpec, learner: Learner, params: Params, rows: Rows) -> Pipeline:
    """Return a pipeline that is fitted on rows, weighed where they are.

    Raises
    ------
    Refused
        The learner cannot be fitted on these rows with these hyperparameters, for the reason that it gives.
    """
    pipeline = build(spec, learner, params)
    weights: dict[str, Any] = {} if rows.weights is None else {"model__sample_weight": rows.weights}
    with threadpool_limits(1):  # OpenMP's threads wait for each other by spinning: ruinous beside other work
        try:
            return pipeline.fit(rows.inputs, rows.truth, **weights)
        except _FAILURES as error:
            msg = f"{learner} cannot be fitted on {len(rows)} rows: {' '.join(str(error).split())[:400]}"
            raise Refused(msg) from error


def scores(spec: ModelSpec, pipeline: Pipeline, inputs: pd.DataFrame) -> FloatArray:
    """Return a fitted pipeline's P(positive) [n], class probabilities [n, k], or values [n]."""
    with threadpool_limits(1):
        return parity.scores(spec, pipeline, inputs)
