"""The gate between a pipeline and its ONNX graph: the same answers, or no registration.

Converters are known to be wrong without an error (one-hot codes of missing indicators, forests on NaN,
native categories of histogram boosting), so what is served is compared with what was trained, on real
rows and on rows at the edge: nulls, unseen categories, values far outside the training range, values on
which a tree decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
import pandas as pd
from sklearn.pipeline import Pipeline

from retraining.dataset.rows import FloatArray, inputs
from retraining.graphs import trees
from retraining.graphs.scorer import Scorer
from spec import FeatureType, ModelSpec, Refused, Task

TOLERANCE = 1e-4
_REAL_ROWS = 10_000
_EDGE_BASES = 4
_DECISIONS = 200
_LIGHTGBM_ZERO = 1e-34  # LightGBM takes smaller values for zero, before it compares
_LARGEST = float(np.finfo(np.float32).max)
_UNSEEN = "\u2060never seen\u2060"
_WORST = 5


@dataclass(frozen=True, slots=True)
class Parity:
    """How faithful a graph is: rows compared, and the largest difference (of a probability or value)."""

    rows: int
    difference: float


class NotFaithful(Refused):
    """The ONNX graph answers differently from the pipeline it was made of; `worst` names the rows."""

    def __init__(self, message: str, worst: tuple[str, ...]) -> None:
        self.worst = worst
        super().__init__("\n  ".join((message, *worst)))

    def __reduce__(self) -> tuple[type[NotFaithful], tuple[str, tuple[str, ...]]]:
        """Pickle by the parts."""
        return type(self), (str(self).split("\n", maxsplit=1)[0], self.worst)


def check(spec: ModelSpec, pipeline: Pipeline, model: bytes, frame: pd.DataFrame, seed: int = 0) -> Parity:
    """Compare a graph with its pipeline on up to 10,000 rows of `frame` and on edge rows made from it.

    Parameters
    ----------
    frame
        [n ≥ 1, …] rows as the pipeline was fitted on; null categories as they are there.

    Raises
    ------
    NotFaithful
        A probability differs by 1e-4 or more (a value: by 1e-4 of the predictions' standard deviation), or
        a label differs on a row that is not a tie within that tolerance.
    Refused
        The pipeline itself cannot answer a row that the model server will be sent.
    """
    rng = np.random.default_rng(seed)
    picked = np.sort(rng.permutation(len(frame))[:_REAL_ROWS])
    real = _as_served(spec, frame.iloc[picked])
    edges = _edges(spec, real, rng) | _decision_edges(spec, real, model, rng)
    rows = pd.concat([real, *edges.values()])
    names = [f"row {index}" for index in real.index]
    names += [f"edge row ({kind})" for kind, block in edges.items() for _ in range(len(block))]
    expected, labels = _by_pipeline(spec, pipeline, real, edges)
    scorer = Scorer(spec.task, model)
    served = inputs(spec, rows)
    found = scorer.predict(served)
    gaps = _gaps(expected, found)
    allowed = _allowed(spec, expected, expected[: len(real)])
    flips = _flips(spec, expected, labels, scorer.labels(served))
    wrong = ~(gaps < allowed) | flips  # NaN is wrong
    if wrong.any():
        raise _refusal(spec, wrong, gaps / allowed, flips, names, expected, found)
    return Parity(len(rows), float(gaps.max()))


def scores(spec: ModelSpec, pipeline: Pipeline, rows: pd.DataFrame) -> FloatArray:
    """Return what a pipeline answers rows as it was fitted on, in the form in which the graph does.

    P(positive) [n], class probabilities [n, k] in the spec's order, or values [n].
    """
    if spec.task is Task.REGRESSION:
        return np.asarray(pipeline.predict(rows), "float64").reshape(-1)
    probabilities = np.asarray(pipeline.predict_proba(rows), "float64")
    if spec.task is Task.BINARY:
        return probabilities[:, 1]
    classes = list(pipeline.classes_)
    if classes == list(range(len(classes))):
        return probabilities
    return probabilities[:, [classes.index(name) for name in spec.data.target.classes or ()]]


def answer(spec: ModelSpec, pipeline: Pipeline, rows: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Return a pipeline's `scores` and its labels [n], which cost as much again."""
    found = scores(spec, pipeline, rows)
    if spec.task is Task.REGRESSION:
        return found, found
    labels = pipeline.predict(rows)
    classes = list(pipeline.classes_)
    if spec.task is Task.BINARY or classes == list(range(len(classes))):
        return found, labels.astype("float64")
    names = list(spec.data.target.classes or ())
    return found, np.asarray([names.index(label) for label in labels], "float64")


def _as_served(spec: ModelSpec, frame: pd.DataFrame) -> pd.DataFrame:
    """Round numbers to float32, as requests are, so that only the conversion is judged."""
    rounded = inputs(spec, frame)
    columns = frame[list(spec.features)].copy()
    for name in spec.features_of(FeatureType.NUMERIC, FeatureType.BOOLEAN):
        columns[name] = rounded[name].astype("float64")
    for name in spec.features_of(FeatureType.CATEGORICAL):
        columns[name] = columns[name].astype(object)
    return columns


def _edges(spec: ModelSpec, real: pd.DataFrame, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    bases = real.iloc[rng.integers(0, len(real), _EDGE_BASES)]
    edges = {}
    everything_missing = bases.copy()
    for name, feature in spec.features.items():
        text = feature.type is FeatureType.CATEGORICAL
        for kind, value in _text_edges(real[name]) if text else _real_edges(real[name]):
            edges[f"{name} {kind}"] = bases.assign(**{name: pd.Series(value, bases.index, real[name].dtype)})
            if kind == "missing":
                everything_missing[name] = edges[f"{name} {kind}"][name]
    edges["everything missing"] = everything_missing
    return edges


def _decision_edges(
    spec: ModelSpec, real: pd.DataFrame, model: bytes, rng: np.random.Generator
) -> dict[str, pd.DataFrame]:
    """Make rows that lie exactly on the values at which trees of the graph decide, if it has trees."""
    values = np.unique(trees.thresholds(onnx.load_from_string(model)))
    values = values[np.abs(values) > _LIGHTGBM_ZERO]
    edges = {}
    for name in spec.features_of(FeatureType.NUMERIC):
        within = values[(values >= real[name].min()) & (values <= real[name].max())]
        if len(within):
            tried = rng.choice(within, min(_DECISIONS, len(within)), replace=False)
            bases = real.iloc[rng.integers(0, len(real), len(tried))]
            edges[f"{name} on a threshold"] = bases.assign(**{name: tried})
    return edges


def _real_edges(column: pd.Series[float]) -> Iterator[tuple[str, float]]:
    low, high = (float(column.min()), float(column.max())) if column.notna().any() else (0.0, 1.0)
    reach = 10 * (high - low) + 1
    yield "missing", np.nan
    yield "far below", max(float(low - reach), -_LARGEST)
    yield "far above", min(float(high + reach), _LARGEST)
    yield "zero", 0.0


def _text_edges(column: pd.Series[str]) -> Iterator[tuple[str, str | float | None]]:
    nulls = column[column.isna()]
    yield "missing", nulls.iloc[0] if len(nulls) else ""
    yield "unseen", _UNSEEN


def _by_pipeline(
    spec: ModelSpec, pipeline: Pipeline, real: pd.DataFrame, edges: dict[str, pd.DataFrame]
) -> tuple[FloatArray, FloatArray]:
    expected, labels = answer(spec, pipeline, real)
    try:
        edge_scores, edge_labels = answer(spec, pipeline, pd.concat(edges.values()))
    except (ValueError, TypeError) as error:
        listed = "\n  ".join(_unanswered(spec, pipeline, edges)) or str(error)
        msg = (
            "The pipeline cannot answer rows that the model server may be sent; impute missing numbers, "
            f"take missing categories as empty strings and let encoders ignore unseen ones:\n  {listed}"
        )
        raise Refused(msg) from error
    return np.concatenate([expected, edge_scores]), np.concatenate([labels, edge_labels])


def _unanswered(spec: ModelSpec, pipeline: Pipeline, edges: dict[str, pd.DataFrame]) -> Iterator[str]:
    for kind, block in edges.items():
        try:
            answer(spec, pipeline, block)
        except (ValueError, TypeError) as error:
            yield f"{kind}: {' '.join(str(error).split())[:160]}"


def _gaps(expected: FloatArray, found: FloatArray) -> FloatArray:
    gaps = np.abs(expected - found)
    return gaps if gaps.ndim == 1 else gaps.max(axis=1)


def _allowed(spec: ModelSpec, expected: FloatArray, real: FloatArray) -> FloatArray:
    if spec.task is not Task.REGRESSION:
        return np.full(len(expected), TOLERANCE)
    rounding = 4 * float(np.finfo(np.float32).eps)  # the value itself is served as float32
    return TOLERANCE * float(np.std(real)) + rounding * np.abs(expected) + float(np.finfo(np.float32).tiny)


def _flips(spec: ModelSpec, expected: FloatArray, labels: FloatArray, found: FloatArray) -> np.ndarray:
    """Return the rows with another label, ties aside: a forest of 100 trees often votes 50 to 50."""
    if spec.task is Task.REGRESSION:
        return np.zeros(len(expected), dtype=bool)
    if spec.task is Task.BINARY:
        margin = np.abs(2 * expected - 1)
    else:
        best = np.sort(expected, axis=1)[:, -2:]
        margin = best[:, 1] - best[:, 0]
    return np.asarray((labels != found) & ~(margin < TOLERANCE))


def _refusal(
    spec: ModelSpec,
    wrong: np.ndarray,
    badness: FloatArray,
    flips: np.ndarray,
    names: list[str],
    expected: FloatArray,
    found: FloatArray,
) -> NotFaithful:
    order = np.argsort(-np.where(np.isnan(badness), np.inf, badness) * wrong, kind="stable")
    worst = [
        f"{names[i]}: pipeline {_shown(expected[i])}, ONNX {_shown(found[i])}"
        for i in order[:_WORST]
        if wrong[i]
    ]
    message = (
        f"The ONNX graph of {spec.model!r} is not the pipeline: {int(wrong.sum())} of {len(wrong)} rows "
        f"differ, {int(flips.sum())} labels flip. Worst rows:"
    )
    return NotFaithful(message, tuple(worst))


def _shown(score: FloatArray) -> str:
    return np.array2string(np.asarray(score), precision=6)
