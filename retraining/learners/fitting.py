"""Fit a learner's pipeline and ask it."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from retraining.dataset.labelled import Rows
from retraining.dataset.rows import FloatArray
from retraining.graphs.parity import answer
from retraining.learners.pipelines import build
from retraining.records import Params
from spec import ModelSpec
from spec.retrain import Learner


def fit(spec: ModelSpec, learner: Learner, params: Params, rows: Rows) -> Pipeline:
    """Return a pipeline that is fitted on rows, weighed where they are."""
    weights: dict[str, Any] = {} if rows.weights is None else {"model__sample_weight": rows.weights}
    with threadpool_limits(1):  # OpenMP's threads wait for each other by spinning: ruinous beside other work
        return build(spec, learner, params).fit(rows.inputs, rows.truth, **weights)


def scores(spec: ModelSpec, pipeline: Pipeline, inputs: pd.DataFrame) -> FloatArray:
    """Return a fitted pipeline's P(positive) [n], class probabilities [n, k], or values [n]."""
    with threadpool_limits(1):
        return answer(spec, pipeline, inputs)[0]
