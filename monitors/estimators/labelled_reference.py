"""A version's reference as labelled rows: what an estimator is learnt from."""

from __future__ import annotations

import numpy as np
import pandas as pd

from monitors.estimators.blocks import Times
from monitors.estimators.estimate import Estimator, fit
from monitors.finding import NoData
from monitors.metrics import Array
from monitors.performance import Truth
from monitors.reference_profile import PREDICTION
from monitors.references import Reference
from spec import ModelSpec, Task


def score_column(of_class: str) -> str:
    """Name the column of a reference that holds P(class) of a multiclass model."""
    return f"{PREDICTION}:{of_class}"


def of_reference(spec: ModelSpec, reference: Reference, *, seed: int = 0) -> Estimator | NoData:
    """Make the estimator of a version.

    Days go together where the reference's frame holds the spec's time column, else rows count as independent.

    Returns
    -------
    `NoData` if the frame holds no target, if it lacks a multiclass model's probabilities (`score_column` of
    every class), or as `fit`.
    """
    frame = reference.frame
    target, needed = spec.data.target.name, _score_columns(spec)
    if target not in frame:
        return NoData("the reference was registered without its target")
    lacking = [name for name in needed if name not in frame]
    if lacking:
        return NoData(f"the reference was registered without {', '.join(lacking)}")
    labels, scores = _labels(spec, frame[target]), frame[needed].to_numpy(dtype=float)
    known = np.isfinite(labels) & np.isfinite(scores).all(axis=1)
    timed = spec.data.time in frame
    times = _times(frame[spec.data.time]) if timed else np.zeros(len(frame), dtype=np.int64)
    truth = Truth(scores[known], labels[known], times[known])
    return fit(spec, frame[known].reset_index(drop=True), truth, timed=timed, seed=seed)


def _score_columns(spec: ModelSpec) -> list[str]:
    if spec.task is Task.MULTICLASS:
        return [score_column(name) for name in spec.data.target.classes or ()]
    return [PREDICTION]


def _labels(spec: ModelSpec, column: pd.Series) -> Array:
    """Return 0 or 1, the index of the class, or the value; NaN where unknown."""
    if spec.task is Task.MULTICLASS:
        codes = {name: float(code) for code, name in enumerate(spec.data.target.classes or ())}
        column = column.map(codes)
    return np.asarray(column.to_numpy(dtype=float, na_value=np.nan), dtype=float)


def _times(column: pd.Series) -> Times:
    return np.asarray(pd.to_datetime(column, utc=True).dt.as_unit("us").astype("int64"))
