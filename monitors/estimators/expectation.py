"""Metrics of classification where each row's label is known only by its probabilities.

A metric M is a function of the rows' label indicators, one row and one class an entry. Here they are replaced
by probabilities, so that indicators of 0 and 1 give the realised metric itself. Beside the value stand the
*gains*: rows × ∂M/∂(indicator), shape (rows, classes). They say how a metric moves with what comes true, and
so carry its variance: of row i, Var = Σ_k p_ik·g_ik² - (Σ_k p_ik·g_ik)², over rows².

Source of the closed forms: NannyML, How CBPE works; Białek, Perrakis, Kuberski, Nowicki (2024), Estimating
model performance under covariate shift without labels, arXiv 2401.08348, section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from monitors.finding import NoData
from monitors.metrics import Array, Blocks
from spec import PerformanceMetric

_DECISION = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Expectation:
    """A metric's expected value and its gains, shape (rows, classes)."""

    value: float
    gains: Array

    def row_variances(self, probabilities: Array) -> Array:
        """Return the variance that each row's label adds to rows × metric, shape (rows,)."""
        mean = (probabilities * self.gains).sum(axis=1)
        return np.asarray(np.maximum((probabilities * self.gains**2).sum(axis=1) - mean**2, 0.0))

    def residuals(self, probabilities: Array, labels: Array) -> Array:
        """Return what each row's label added to rows × metric beyond expectation, shape (rows,)."""
        mean = (probabilities * self.gains).sum(axis=1)
        return np.asarray(self.gains[np.arange(len(labels)), labels.astype(np.int64)] - mean)


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Rows as the model answered them.

    Parameters
    ----------
    scores
        Shape (rows, classes), rows sum to 1; P(negative) and P(positive) of a binary model.
    decided
        Indicators of the decision, shape (rows, classes).
    levels
        Rank of each score among the different ones of its class, 0, 1, …; shape (rows, classes).
    """

    scores: Array
    decided: Array
    levels: Blocks

    @classmethod
    def of(cls, scores: Array) -> Window:
        """Take the scores of a model: shape (rows, 1) with P(positive), or (rows, classes)."""
        if scores.shape[1] == 1:
            both = np.column_stack([1 - scores[:, 0], scores[:, 0]])
            chosen = (scores[:, 0] >= _DECISION).astype(np.int64)
        else:
            both, chosen = scores / scores.sum(axis=1, keepdims=True), scores.argmax(axis=1)
        return cls.deciding(
            both, np.eye(both.shape[1])[chosen], ranked=scores if scores.shape[1] > 1 else both
        )

    @classmethod
    def deciding(cls, scores: Array, decided: Array, *, ranked: Array | None = None) -> Window:
        """Take scores of every class with decisions that were made elsewhere.

        `ranked` are scores before they were made to sum to 1, which may break ties.
        """
        ordered = scores if ranked is None else ranked
        columns = (np.unique(column, return_inverse=True)[1] for column in ordered.T)
        return cls(scores, decided, np.column_stack(list(columns)))


Metric = Callable[[Array, Window], Expectation | NoData]


def expectation(metric: PerformanceMetric, probabilities: Array, window: Window) -> Expectation | NoData:
    """Return the expected value of a metric.

    Parameters
    ----------
    metric
        One of `METRICS`. Precision, recall, F1 and ROC AUC speak of the positive class of two, or are the
        plain mean over the classes, each against the rest, that have a value; as `monitors.metrics` has them.
    probabilities
        Of each class, shape (rows, classes); rows sum to 1. One row at least.
    """
    return METRICS[metric](probabilities, window)


def _accuracy(probabilities: Array, window: Window) -> Expectation:
    return _mean(probabilities, window.decided)


def _log_loss(probabilities: Array, window: Window) -> Expectation:
    tiny = np.finfo(float).eps
    return _mean(probabilities, -np.log(np.clip(window.scores, tiny, 1 - tiny)))


def _brier(probabilities: Array, window: Window) -> Expectation:
    square = (window.scores**2).sum(axis=1, keepdims=True) - 2 * window.scores + 1
    return _mean(probabilities, square / 2 if square.shape[1] == 2 else square)  # noqa: PLR2004 - binary


def _mean(probabilities: Array, losses: Array) -> Expectation:
    return Expectation(float((probabilities * losses).sum(axis=1).mean()), losses)


def _precision(expected: Array, decided: Array, _: Blocks) -> tuple[float, Array] | NoData:
    if not decided.any():
        return NoData("the model decides for no row of the class")
    return float(expected @ decided / decided.sum()), decided * (len(decided) / decided.sum())


def _recall(expected: Array, decided: Array, _: Blocks) -> tuple[float, Array] | NoData:
    total = expected.sum()
    if total <= 0:
        return NoData("no row of the class is expected")
    value = float(expected @ decided / total)
    return value, (decided - value) * (len(decided) / total)


def _f1(expected: Array, decided: Array, _: Blocks) -> tuple[float, Array] | NoData:
    total = expected.sum() + decided.sum()
    if total <= 0:
        return NoData("no row of the class is expected, nor decided for")
    value = float(2 * (expected @ decided) / total)
    return value, (2 * decided - value) * (len(decided) / total)


def _roc_auc(expected: Array, _: Array, level: Blocks) -> tuple[float, Array] | NoData:
    """Count pairs of rows by their probability to be a positive and a negative, ties half.

    AUC = Σ_{i≠j} p_i·(1 - p_j)·[s_i > s_j] / Σ_{i≠j} p_i·(1 - p_j); a row makes no pair with itself.
    """
    positive, count = np.bincount(level, weights=expected), np.bincount(level)
    negative = count - positive
    below = np.cumsum(negative) - negative / 2
    above = positive.sum() - np.cumsum(positive) + positive / 2
    itself = float(expected @ (1 - expected))
    pairs = float(positive.sum() * negative.sum()) - itself
    if pairs <= 0:
        return NoData("one class alone is expected")
    value = float((positive @ below - itself / 2) / pairs)
    own = 1 - 2 * expected
    moved = (below - above)[level] - own / 2
    of_pairs = negative.sum() - positive.sum() - own
    return value, (moved - value * of_pairs) * (len(level) / pairs)


def _against_the_rest(
    one: Callable[[Array, Array, Blocks], tuple[float, Array] | NoData],
) -> Metric:
    def metric(probabilities: Array, window: Window) -> Expectation | NoData:
        classes = probabilities.shape[1]
        asked = [1] if classes == 2 else range(classes)  # noqa: PLR2004 - binary
        answers = {at: one(probabilities[:, at], window.decided[:, at], window.levels[:, at]) for at in asked}
        found = {at: each for at, each in answers.items() if not isinstance(each, NoData)}
        if not found:
            return next(each for each in answers.values() if isinstance(each, NoData))
        gains = np.zeros_like(probabilities)
        for at, (_, gain) in found.items():
            gains[:, at] = gain / len(found)
        return Expectation(sum(value for value, _ in found.values()) / len(found), gains)

    return metric


METRICS: Mapping[PerformanceMetric, Metric] = {
    PerformanceMetric.ACCURACY: _accuracy,
    PerformanceMetric.LOG_LOSS: _log_loss,
    PerformanceMetric.BRIER: _brier,
    PerformanceMetric.PRECISION: _against_the_rest(_precision),
    PerformanceMetric.RECALL: _against_the_rest(_recall),
    PerformanceMetric.F1: _against_the_rest(_f1),
    PerformanceMetric.ROC_AUC: _against_the_rest(_roc_auc),
}
