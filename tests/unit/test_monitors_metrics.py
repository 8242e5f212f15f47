from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics
from sklearn.calibration import calibration_curve

from monitors.metrics import Array, shortfall, statistic
from spec import PerformanceMetric, Task

METRIC = PerformanceMetric
FALLING = {"log_loss", "brier", "calibration_error", "rmse", "mae", "mape", "pinball"}


def whole(metric: PerformanceMetric, scores: Array, labels: Array, quantile: float = 0.5) -> float:
    """The metric of rows that are one block."""
    block = np.zeros(len(labels), dtype=np.int64)
    return float(statistic(metric, scores, labels, block, quantile=quantile)(np.ones((1, 1)))[0])


def test_metrics_say_which_way_is_better() -> None:
    """Losses and errors fall as a model gets better, all else rises."""
    assert {metric.value for metric in METRIC if not metric.higher_is_better} == FALLING


def test_each_metric_is_of_classes_or_of_values() -> None:
    """Binary and multiclass models have the same metrics, regressions the others."""
    of_values = {METRIC.R2, METRIC.RMSE, METRIC.MAE, METRIC.MAPE, METRIC.PINBALL}

    for metric in METRIC:
        assert metric.suits(Task.REGRESSION) == (metric in of_values)
        assert metric.suits(Task.BINARY) == metric.suits(Task.MULTICLASS) == (metric not in of_values)


def test_calibration_error_by_hand() -> None:
    """Two rows at 0.8, of which one came true, and two at 0.3, of which none did: (0.6 + 0.6) / 4."""
    scores, labels = np.array([[0.8], [0.8], [0.3], [0.3]]), np.array([1.0, 0.0, 0.0, 0.0])

    assert whole(METRIC.CALIBRATION_ERROR, scores, labels) == pytest.approx(0.3)


def test_calibration_error_of_the_chosen_class_by_hand() -> None:
    """Sure to 0.9 and right, sure to 0.9 and wrong, sure to 0.6 and right: (0.8 + 0.4) / 3."""
    scores = np.array([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.2, 0.2, 0.6]])

    found = whole(METRIC.CALIBRATION_ERROR, scores, np.array([0.0, 2.0, 2.0]))

    assert found == pytest.approx((abs(0.9 - 1 + 0.9) + abs(0.6 - 1)) / 3)


def test_calibration_error_is_that_of_scikit_learns_curve() -> None:
    """Its bins, each with its share of the rows."""
    random = np.random.default_rng(0)
    scores = random.beta(1, 3, 5000)
    labels = (random.random(5000) < scores**1.5).astype(float)

    true, stated = calibration_curve(labels, scores, n_bins=10)

    sizes = np.histogram(scores, np.linspace(0, 1, 11))[0]
    expected = (np.abs(true - stated) * sizes[sizes > 0]).sum() / 5000
    assert whole(METRIC.CALIBRATION_ERROR, scores[:, None], labels) == pytest.approx(expected)


def test_roc_auc_of_several_classes_is_one_against_the_rest() -> None:
    """Where every class occurs it is scikit-learn's macro average."""
    random = np.random.default_rng(0)
    scores = random.dirichlet([1, 1, 1], 700)
    labels = np.array([random.choice(3, p=row) for row in scores]).astype(float)

    expected = metrics.roc_auc_score(labels, scores, multi_class="ovr", average="macro")

    assert whole(METRIC.ROC_AUC, scores, labels) == pytest.approx(expected, rel=1e-12)


def test_a_class_that_does_not_occur_is_left_out() -> None:
    """Two of three classes: the mean of the two, not an error and not a zero."""
    scores = np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.2, 0.7, 0.1]])
    labels = np.array([0.0, 1.0, 1.0])

    assert whole(METRIC.ROC_AUC, scores, labels) == 1.0
    assert whole(METRIC.RECALL, scores, labels) == 0.75
    assert whole(METRIC.PRECISION, scores, labels) == 0.75


def test_r2_holds_far_from_zero() -> None:
    """Labels around a million with a deviation of ten: naive sums of squares would cancel."""
    random = np.random.default_rng(3)
    labels = random.normal(1e6, 10, 700)
    answers = labels + random.normal(0, 4, 700)

    assert whole(METRIC.R2, answers[:, None], labels) == pytest.approx(metrics.r2_score(labels, answers))


def test_the_pinball_loss_of_the_median_is_half_the_absolute_error() -> None:
    """And it is least at the quantile that it asks for."""
    labels = np.random.default_rng(0).exponential(1, 1001)
    answers = {q: np.full((1001, 1), np.quantile(labels, q)) for q in (0.5, 0.9)}

    half = whole(METRIC.PINBALL, answers[0.5], labels)
    assert half == pytest.approx(whole(METRIC.MAE, answers[0.5], labels) / 2)
    assert whole(METRIC.PINBALL, answers[0.9], labels, 0.9) < whole(METRIC.PINBALL, answers[0.5], labels, 0.9)


def test_a_zero_label_spoils_the_percentage_of_its_own_day_only() -> None:
    """The other days keep theirs."""
    scores, labels = np.array([[2.0], [3.0], [4.0]]), np.array([1.0, 0.0, 2.0])
    of_weights = statistic(METRIC.MAPE, scores, labels, np.array([0, 1, 1]))

    assert of_weights(np.eye(2))[0] == 1.0
    assert np.isnan(of_weights(np.eye(2))[1])
    assert np.isnan(of_weights(np.ones((1, 2)))[0])


def test_a_shortfall_is_by_day_and_in_the_metrics_unit() -> None:
    """Ours is worse by 0.2 of accuracy on one day, undefined in AUC where a day has one class."""
    labels = np.array([1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    theirs = np.where(labels == 1, 0.9, 0.1)[:, None]
    ours = theirs.copy()
    ours[0] = 0.4
    day = np.repeat([0, 1], 5)

    assert shortfall(METRIC.ACCURACY, ours, theirs, labels, day) == pytest.approx([0.2, 0])
    assert shortfall(METRIC.LOG_LOSS, ours, theirs, labels, day)[0] > 0
    assert np.isnan(shortfall(METRIC.ROC_AUC, ours, theirs, labels, day)).tolist() == [False, True]
