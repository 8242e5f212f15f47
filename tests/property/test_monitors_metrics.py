from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics

from monitors.metrics import DEFINITIONS, Array, Rows, shortfall, statistic
from spec import PerformanceMetric, Task

METRIC = PerformanceMetric
CLASSES = 3
QUANTILE = 0.8
Drawn = tuple[Array, Array]
Peer = Callable[[Array, Array], float]
probability = st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0]) | st.floats(0, 1)  # ties, edges of bins, and others
value = st.sampled_from([0.0, 1.0, -2.5]) | st.integers(-(10**9), 10**9).map(lambda number: number / 1000)
bounded = settings(max_examples=40, deadline=None)


def decided(scores: Array) -> Array:
    """The decisions of either kind of classifier."""
    return scores[:, 0] >= 0.5 if scores.shape[1] == 1 else scores.argmax(axis=1)


def averaged(score: Callable[..., float]) -> Peer:
    """A score of decisions, for two classes or for more."""

    def of(labels: Array, scores: Array) -> float:
        how = (
            {"average": "binary"} if scores.shape[1] == 1 else {"average": "macro", "labels": range(CLASSES)}
        )
        return score(labels, decided(scores), zero_division=np.nan, **how)

    return of


def auc(labels: Array, scores: Array) -> float:
    """Each class that divides the rows against the rest."""
    sides = [(labels == 1, scores[:, 0])]
    if scores.shape[1] > 1:
        sides = [(labels == index, scores[:, index]) for index in range(CLASSES)]
    areas = [
        metrics.roc_auc_score(is_class, of_class) for is_class, of_class in sides if len(set(is_class)) > 1
    ]
    return float(np.mean(areas)) if areas else np.nan


def brier(labels: Array, scores: Array) -> float:
    """Scikit-learn takes two columns or one."""
    if scores.shape[1] == 1:
        return metrics.brier_score_loss(labels, scores[:, 0], labels=[0, 1], pos_label=1)
    return metrics.brier_score_loss(labels, scores, labels=range(CLASSES))


def calibration_error(labels: Array, scores: Array) -> float:
    """Bin by bin, with a loop."""
    stated, came = scores.max(axis=1), decided(scores) == labels
    if scores.shape[1] == 1:
        came = labels == 1
    total = 0.0
    for edge in range(10):
        low, high = edge / 10, (edge + 1) / 10
        inside = (stated <= high) & ((stated > low) | (edge == 0))
        total += abs(float((stated[inside] - came[inside]).sum())) / len(labels)
    return total


def of_values(score: Callable[..., float], **options: float) -> Peer:
    """A score of one column."""
    return lambda labels, scores: score(labels, scores[:, 0], **options)


PEERS: dict[PerformanceMetric, Peer] = {
    METRIC.ROC_AUC: auc,
    METRIC.ACCURACY: lambda labels, scores: metrics.accuracy_score(labels, decided(scores)),
    METRIC.F1: averaged(metrics.f1_score),
    METRIC.PRECISION: averaged(metrics.precision_score),
    METRIC.RECALL: averaged(metrics.recall_score),
    METRIC.LOG_LOSS: lambda labels, scores: metrics.log_loss(
        labels, scores if scores.shape[1] > 1 else scores[:, 0], labels=range(max(scores.shape[1], 2))
    ),
    METRIC.BRIER: brier,
    METRIC.CALIBRATION_ERROR: calibration_error,
    METRIC.R2: lambda labels, scores: metrics.r2_score(labels, scores[:, 0]) if np.ptp(labels) else np.nan,
    METRIC.RMSE: of_values(metrics.root_mean_squared_error),
    METRIC.MAE: of_values(metrics.mean_absolute_error),
    METRIC.MAPE: lambda labels, scores: (
        metrics.mean_absolute_percentage_error(labels, scores[:, 0]) if labels.all() else np.nan
    ),
    METRIC.PINBALL: of_values(metrics.mean_pinball_loss, alpha=QUANTILE),
}
OF_CLASSES = [metric for metric in METRIC if metric.suits(Task.BINARY)]
OF_VALUES = [metric for metric in METRIC if metric.suits(Task.REGRESSION)]


@st.composite
def binary(draw: st.DrawFn) -> Drawn:
    """One row or more, of one class or of two."""
    rows = draw(st.lists(st.tuples(probability, st.booleans()), min_size=1, max_size=30))
    return np.array([[score] for score, _ in rows]), np.array([label for _, label in rows], dtype=float)


@st.composite
def multiclass(draw: st.DrawFn) -> Drawn:
    """Probabilities of three classes, with ties; any of the classes may never occur."""
    share = st.integers(0, 4)
    rows = draw(
        st.lists(
            st.tuples(share, share, share, st.integers(0, 2)).filter(lambda row: sum(row[:3])), min_size=1
        )
    )
    shares = np.array([row[:3] for row in rows], dtype=float)
    return shares / shares.sum(axis=1, keepdims=True), np.array([row[3] for row in rows], dtype=float)


@st.composite
def regression(draw: st.DrawFn) -> Drawn:
    """Values beside values, equal ones and zeros among them."""
    rows = draw(st.lists(st.tuples(value, value), min_size=1, max_size=30))
    return np.array([[answer] for answer, _ in rows]), np.array([truth for _, truth in rows])


def measured(metric: PerformanceMetric, scores: Array, labels: Array, block: npt.NDArray[np.int64]) -> float:
    """The metric of all rows."""
    of_weights = statistic(metric, scores, labels, block, quantile=QUANTILE)
    return float(of_weights(np.ones((1, int(block.max()) + 1)))[0])


def agree(ours: float, theirs: float, scale: float = 1.0) -> bool:
    """Whether two numbers are the same, both missing included."""
    return ours == pytest.approx(theirs, rel=1e-6, abs=1e-9 * scale, nan_ok=True)


@bounded
@given(drawn=binary() | multiclass(), days=st.integers(1, 4))
def test_metrics_of_classes_are_scikit_learns(drawn: Drawn, days: int) -> None:
    """Ties, single rows and single classes included, and however the rows fall into days."""
    scores, labels = drawn
    block = np.arange(len(labels)) % min(days, len(labels))

    for metric in OF_CLASSES:
        assert agree(measured(metric, scores, labels, block), PEERS[metric](labels, scores)), metric


@bounded
@given(drawn=regression(), days=st.integers(1, 4))
def test_metrics_of_values_are_scikit_learns(drawn: Drawn, days: int) -> None:
    """Zeros, equal values and single rows included, and however the rows fall into days."""
    scores, labels = drawn
    block = np.arange(len(labels)) % min(days, len(labels))
    # of labels that differ by nothing but rounding, the variance is rounding too
    assume(np.ptp(labels) == 0 or np.ptp(labels) > 1e-6 * np.abs(labels).max())

    for metric in OF_VALUES:
        ours, theirs = measured(metric, scores, labels, block), PEERS[metric](labels, scores)
        assert agree(ours, theirs, np.abs(labels).max() + 1), metric


@bounded
@given(drawn=binary() | multiclass(), days=st.integers(1, 4), seed=st.integers(0, 99))
def test_a_weight_is_that_many_copies_of_the_day(drawn: Drawn, days: int, seed: int) -> None:
    """Resampling days by their weights is measuring the repeated rows, for every metric of classes."""
    scores, labels = drawn
    block = np.arange(len(labels)) % min(days, len(labels))
    weights = np.random.default_rng(seed).integers(0, 4, int(block.max()) + 1)
    copies = np.repeat(np.arange(len(labels)), weights[block])
    assume(len(copies))

    for metric in OF_CLASSES:
        ours = statistic(metric, scores, labels, block)(weights[None].astype(float))[0]
        alone = np.zeros(len(copies), dtype=np.int64)
        assert agree(ours, measured(metric, scores[copies], labels[copies], alone)), metric


@bounded
@given(drawn=binary() | multiclass() | regression())
def test_every_value_lies_in_the_range_that_the_registry_states(drawn: Drawn) -> None:
    """A metric is inside its range, or undefined."""
    scores, labels = drawn
    suitable = OF_CLASSES if scores.shape[1] > 1 or set(np.unique(labels)) <= {0, 1} else OF_VALUES
    assume(suitable is OF_VALUES or ((scores >= 0) & (scores <= 1)).all())
    rows = Rows(scores, labels, np.zeros(len(labels), dtype=np.int64), QUANTILE)

    for metric in suitable:
        found, definition = float(DEFINITIONS[metric].of(rows)(np.ones((1, 1)))[0]), DEFINITIONS[metric]
        assert np.isnan(found) or definition.least - 1e-9 <= found <= definition.most + 1e-9, metric


@bounded
@given(drawn=binary(), other=st.lists(probability, min_size=30, max_size=30))
def test_a_shortfall_changes_its_sign_with_the_sides(drawn: Drawn, other: list[float]) -> None:
    """Ours beside theirs is minus theirs beside ours, and a model beside itself falls short by nothing."""
    scores, labels = drawn
    theirs = np.array(other[: len(labels)])[:, None]
    block = np.arange(len(labels)) % min(2, len(labels))

    for metric in OF_CLASSES:
        there, back = (
            shortfall(metric, *sides, labels, block) for sides in ((scores, theirs), (theirs, scores))
        )
        assert np.array_equal(there, -back, equal_nan=True), metric
        itself = shortfall(metric, scores, scores, labels, block)
        assert not itself[np.isfinite(itself)].any(), metric
