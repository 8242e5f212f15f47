from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from retraining.dataset.labelled import days_of
from retraining.metrics import expected, objective, row_losses, upper_bound
from spec import DataError, ModelSpec, PerformanceMetric, Task


def test_the_mean_row_loss_is_the_log_loss() -> None:
    """Averaged over rows, the loss is scikit-learn's, for two classes and for three."""
    rng = np.random.default_rng(0)
    truth, p = rng.integers(0, 2, 50), rng.random(50)
    truth3, p3 = rng.integers(0, 3, 50), rng.dirichlet([1, 1, 1], 50)

    assert log_loss(truth, p) == pytest.approx(row_losses(Task.BINARY, truth, p).mean())
    assert log_loss(truth3, p3) == pytest.approx(objective(Task.MULTICLASS, truth3, p3))


def test_one_confident_mistake_costs_a_bounded_amount() -> None:
    """A probability of 0 for what happened costs 16 nats, not infinity."""
    assert [pytest.approx(15.94, abs=0.01)] == row_losses(
        Task.BINARY, np.array([1]), np.array([0.0])
    ).tolist()


def test_regression_is_searched_by_the_root_of_the_mean_square() -> None:
    """Rows have squared errors; the objective is in the target's unit."""
    truth, values = np.array([0.0, 0.0]), np.array([3.0, 4.0])

    assert [9.0, 16.0] == row_losses(Task.REGRESSION, truth, values).tolist()
    assert pytest.approx(12.5**0.5) == objective(Task.REGRESSION, truth, values)


def test_days_are_utc_days() -> None:
    """Rows two minutes apart around midnight UTC belong to two days, whatever their zone."""
    times = pd.Series(pd.to_datetime(["2024-03-10T23:59:00Z", "2024-03-11T00:01:00Z"])).dt.tz_convert(
        "Asia/Tokyo"
    )

    assert [0, 1] == days_of(times).tolist()


def test_the_bound_lies_above_the_mean_and_shrinks_with_days() -> None:
    """More days of the same noise give a tighter bound; the same call gives the same bound."""
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, 4000)
    few, many = np.arange(4000) % 5, np.arange(4000) % 50

    wide, tight = upper_bound(values, few, 0.95), upper_bound(values, many, 0.95)

    assert values.mean() < tight < wide
    assert tight == upper_bound(values, many, 0.95)


def test_expected_performance_has_every_metric_of_the_task(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]
) -> None:
    """What a version is registered with can be compared with every metric that monitors measure."""
    frame = orders(n=2000)
    scores = np.full(2000, 0.4) + 0.2 * frame["returned"].to_numpy()

    found = expected(shop(), frame["returned"].to_numpy("int64"), scores, frame["ordered_at"])

    assert {metric for metric in PerformanceMetric if metric.suits(Task.BINARY)} == set(found)
    assert 1.0 == found[PerformanceMetric.ROC_AUC].value
    loss = found[PerformanceMetric.LOG_LOSS]
    assert loss.low <= loss.value <= loss.high


def test_a_metric_without_a_value_is_an_error(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]
) -> None:
    """ROC AUC of one class is undefined, and no band is made up for it."""
    frame = orders(n=2000)

    with pytest.raises(DataError, match="holdout: roc_auc: must be measurable"):
        expected(shop(), np.ones(2000, "int64"), np.full(2000, 0.4), frame["ordered_at"])
