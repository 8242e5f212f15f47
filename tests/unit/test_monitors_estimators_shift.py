"""PAPE and the loss model under a shift of the inputs with known truth, and the estimator that holds them."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from monitors.estimators import blocks, calibration
from monitors.estimators.bands import Expected
from monitors.estimators.density_ratio import density_ratio
from monitors.estimators.encoding import Encoder
from monitors.estimators.estimate import Estimates, Estimator, fit
from monitors.estimators.pape import Pape
from monitors.finding import NoData
from monitors.metrics import statistic
from monitors.performance import Truth
from spec import ModelSpec, PerformanceMetric
from spec.performance import EstimateMethod

Array = npt.NDArray[np.float64]
M = PerformanceMetric
CLASSES = ["a", "b", "c"]


def spec(task: str = "binary", **performance: Any) -> ModelSpec:
    """Return a model of two numbers and a category."""
    target: dict[str, Any] = {"name": "y"}
    if task == "multiclass":
        target["classes"] = CLASSES
    return ModelSpec.model_validate(
        {
            "model": "m",
            "task": task,
            "data": {"inference_log": "i", "labels": "l", "id": "row", "time": "at", "target": target},
            "features": {"x": "numeric", "z": "numeric", "kind": "categorical"},
            "monitor": {"performance": performance},
        }
    )


def binary(rows: int, seed: int, shift: float = 0.0) -> tuple[pd.DataFrame, Truth]:
    """Return rows whose label depends on x and z, scored by a model that sees x alone; `shift` moves z."""
    random = np.random.default_rng(seed)
    x, z = random.normal(0, 1, rows), random.normal(shift, 1, rows)
    frame = pd.DataFrame({"x": x, "z": z, "kind": np.where(z > 0, "up", "down")})
    labels = (random.random(rows) < 1 / (1 + np.exp(-(1.5 * x + z)))).astype(float)
    return frame, Truth((1 / (1 + np.exp(-1.5 * x)))[:, None], labels, np.arange(rows) * 10**9)


def regression(rows: int, seed: int, shift: float = 0.0) -> tuple[pd.DataFrame, Truth]:
    """Return rows whose error grows with |x|."""
    random = np.random.default_rng(seed)
    x = random.normal(shift, 1, rows)
    frame = pd.DataFrame({"x": x, "z": random.normal(0, 1, rows), "kind": "only"})
    predicted = 50 + 3 * x
    labels = predicted + random.normal(0, 1, rows) * (0.5 + np.abs(x))
    return frame, Truth(predicted[:, None], labels, np.arange(rows) * 10**9)


def real(metric: PerformanceMetric, truth: Truth) -> float:
    """Return the realised metric."""
    one = np.zeros(len(truth), dtype=np.int64)
    return float(statistic(metric, truth.scores, truth.labels, one)(np.ones((1, 1)))[0])


def made(
    model: ModelSpec, frame: pd.DataFrame, truth: Truth, method: EstimateMethod | None = None
) -> Estimator:
    """Fit an estimator that exists."""
    estimator = fit(model, frame, truth, method=method)
    assert isinstance(estimator, Estimator)
    return estimator


def known(found: Estimates, metric: PerformanceMetric) -> Expected:
    """Return an estimate that exists."""
    one = found[metric]
    assert isinstance(one, Expected)
    return one


def test_pape_is_nearer_than_cbpe_under_covariate_shift() -> None:
    """Where a feature that the model does not see moves, weights take off half of CBPE's error or more."""
    reference = binary(4_000, 1)
    window = binary(4_000, 2, shift=0.8)
    by = {}
    for method in (EstimateMethod.CBPE, EstimateMethod.PAPE):
        found = made(spec(), *reference, method).estimate(window[0], window[1].scores, window[1].times)
        by[method] = {
            metric: abs(known(found, metric).value - real(metric, window[1]))
            for metric in (M.ACCURACY, M.LOG_LOSS, M.BRIER)
        }

    for metric, error in by[EstimateMethod.CBPE].items():
        assert by[EstimateMethod.PAPE][metric] < error / 2


def test_pape_is_cbpe_where_nothing_differs() -> None:
    """A window that cannot be told from the reference is estimated by CBPE, and the method says so."""
    reference, window = binary(2_000, 3), binary(1_000, 4)

    found = made(spec(), *reference).estimate(window[0], window[1].scores, window[1].times)

    assert known(found, M.ROC_AUC).method == "cbpe"
    plain = made(spec(), *reference, EstimateMethod.CBPE).estimate(
        window[0], window[1].scores, window[1].times
    )
    assert found == plain


def test_pape_gives_way_where_nothing_overlaps() -> None:
    """A window of rows such as the reference never had is not reweighted."""
    reference, window = binary(2_000, 5), binary(1_000, 6, shift=9.0)

    found = made(spec(), *reference).estimate(window[0], window[1].scores, window[1].times)

    assert known(found, M.ACCURACY).method == "cbpe"


def test_density_ratio_is_the_known_one() -> None:
    """For normal laws a deviation apart, log weights go with the log of the true ratio."""
    random = np.random.default_rng(7)
    reference, window = random.normal(0, 1, (4_000, 1)), random.normal(1, 1, (4_000, 1))

    found = density_ratio(reference, window, np.arange(4_000))

    assert found.differs
    assert found.overlaps
    assert found.weights.mean() == pytest.approx(1)
    assert np.corrcoef(np.log(found.weights), reference[:, 0] - 0.5)[0, 1] > 0.95


def test_density_ratio_finds_one_category_among_many() -> None:
    """Where the tenth of twenty categories becomes six times as frequent, its rows weigh about that much."""
    random = np.random.default_rng(24)
    law = np.full(20, 0.05)
    more = np.where(np.arange(20) == 10, 0.30, 0.70 / 19)
    reference, window = (random.choice(20, (4_000, 1), p=each).astype(float) for each in (law, more))

    found = density_ratio(reference, window, np.arange(4_000))

    of_it = reference[:, 0] == 10
    assert found.differs
    assert found.weights[of_it].mean() == pytest.approx(6, rel=0.25)
    assert found.weights[~of_it].mean() == pytest.approx(0.7 / 0.95, rel=0.1)


def test_weights_that_tell_nothing_are_held_back() -> None:
    """Where the feature that moves is not about the label, PAPE goes under half the way of its weights."""
    apart = {"pape": 0.0, "weights": 0.0}
    for seed in range(4):
        frame, truth = binary(1_500, 30 + seed)
        moved, window = binary(800, 40 + seed)
        random = np.random.default_rng(seed)
        frame["z"], moved["z"] = random.normal(0, 1, 1_500), random.normal(0.8, 1, 800)
        frame["kind"] = moved["kind"] = "same"
        plain, pape = (
            made(spec(), frame, truth, each) for each in (EstimateMethod.CBPE, EstimateMethod.PAPE)
        )
        inner = pape.inner
        assert isinstance(inner, Pape)
        rows = inner.encoder.matrix(moved, window.scores)
        ratio = density_ratio(inner.rows, rows, inner.cbpe.block)
        weighted = calibration.ensemble(
            inner.cbpe.sample, inner.cbpe.block, weights=ratio.weights, draws=2, seed=0
        )
        alone = inner.cbpe.expect([M.ACCURACY], window.scores, ensemble=weighted)[M.ACCURACY]
        assert isinstance(alone, Expected)
        base = known(plain.estimate(moved, window.scores), M.ACCURACY).value
        apart["pape"] += abs(known(pape.estimate(moved, window.scores), M.ACCURACY).value - base)
        apart["weights"] += abs(alone.value - base)

    assert apart["pape"] < apart["weights"] / 2


def test_weights_move_an_answer_to_the_worse_alone() -> None:
    """A window that weights say is easier keeps CBPE's value, its band reaching the weighted answer."""
    reference = binary(4_000, 11)
    random = np.random.default_rng(12)
    x, z = random.normal(0, 1, 4_000), random.normal(0, 0.2, 4_000)
    frame = pd.DataFrame({"x": x, "z": z, "kind": np.where(z > 0, "up", "down")})
    scores = (1 / (1 + np.exp(-1.5 * x)))[:, None]
    plain, pape = (
        made(spec(), *reference, method).estimate(frame, scores)
        for method in (EstimateMethod.CBPE, EstimateMethod.PAPE)
    )
    labels = (random.random(4_000) < 1 / (1 + np.exp(-(1.5 * x + z)))).astype(float)
    easier = Truth(scores, labels, np.zeros(4_000, dtype=np.int64))

    for metric in (M.ACCURACY, M.LOG_LOSS, M.ROC_AUC):
        one, other = known(plain, metric), known(pape, metric)
        assert (real(metric, easier) > other.value) == metric.higher_is_better
        assert other.value == pytest.approx(one.value)
        assert other.low < one.low
        assert one.high < other.high
        assert other.low <= real(metric, easier) <= other.high


def test_loss_model_follows_the_loss() -> None:
    """Where inputs move to where errors are larger, MAE and RMSE are estimated within their bands."""
    reference, window = regression(2_000, 8), regression(1_500, 9, shift=1.0)

    found = made(spec("regression"), *reference).estimate(window[0], window[1].scores, window[1].times)

    for metric in (M.MAE, M.RMSE, M.MAPE, M.PINBALL):
        one, true = known(found, metric), real(metric, window[1])
        assert one.low <= true <= one.high
        assert abs(one.value - true) < abs(real(metric, reference[1]) - true) / 2
    assert found[M.R2] == NoData("r2 cannot be estimated without labels")


def test_mape_needs_labels_other_than_zero() -> None:
    """A reference with a label of 0 has no MAPE to learn."""
    frame, truth = regression(300, 10)
    truth.labels[0] = 0

    found = made(spec("regression"), frame, truth).estimate(frame, truth.scores)

    assert found[M.MAPE] == NoData("a label of the reference is 0")
    assert isinstance(found[M.MAE], Expected)


def test_every_metric_of_the_task_has_an_answer() -> None:
    """The metrics that suit the task, and no other: a number with a band, or why there is none."""
    frame, truth = binary(1_000, 11)

    found = made(spec(), frame, truth).estimate(frame, truth.scores)

    assert set(found) == {metric for metric in M if metric.suits(spec().task)}
    assert found[M.CALIBRATION_ERROR] == NoData("calibration_error cannot be estimated without labels")


def test_a_window_of_ten_thousand_rows_is_cheap() -> None:
    """An estimate takes under a second of CPU, from a reference of 5,000 rows."""
    reference, window = binary(5_000, 12), binary(10_000, 13, shift=0.5)
    for method in (EstimateMethod.CBPE, EstimateMethod.PAPE):
        estimator = made(spec(), *reference, method)
        started = time.process_time()
        estimator.estimate(window[0], window[1].scores, window[1].times)
        assert time.process_time() - started < 1.0


def test_same_window_same_estimate() -> None:
    """An estimator answers the same twice, and another of its seed answers as it does."""
    reference, (frame, truth) = binary(800, 14), binary(500, 15, shift=0.7)
    one, other = made(spec(), *reference), made(spec(), *reference)

    assert one.estimate(frame, truth.scores) == one.estimate(frame, truth.scores)
    assert one.estimate(frame, truth.scores) == other.estimate(frame, truth.scores)


@pytest.mark.parametrize(
    ("rows", "labels", "why"),
    [
        (150, None, "the reference has 150 labelled rows; 200 are needed"),
        (300, 1.0, "the reference's labels are of a single class"),
    ],
)
def test_nothing_is_learnt_from_too_little(rows: int, labels: float | None, why: str) -> None:
    """A reference too small, or of one class, gives a reason in place of an estimator."""
    frame, truth = binary(rows, 16)
    if labels is not None:
        truth.labels[:] = labels

    assert fit(spec(), frame, truth) == NoData(why)


def test_spec_may_want_no_estimate() -> None:
    """`estimate: null` is kept to."""
    assert fit(spec(estimate=None), *binary(300, 17)) == NoData("the spec wants no estimate of performance")


def test_small_windows_have_no_estimate() -> None:
    """29 rows are too few, 30 are enough."""
    frame, truth = binary(400, 18)
    estimator = made(spec(), frame, truth, EstimateMethod.CBPE)

    assert estimator.estimate(frame[:29], truth.scores[:29])[M.ACCURACY] == NoData("29 rows; 30 are needed")
    assert isinstance(estimator.estimate(frame[:30], truth.scores[:30])[M.ACCURACY], Expected)


def test_what_is_missing_or_unknown_is_missing_to_the_trees() -> None:
    """Null numbers, unknown categories and infinities are encoded without an error."""
    frame, truth = binary(300, 23)
    encoder = Encoder.of(spec(), frame, truth.scores)
    odd = pd.DataFrame({"x": [np.nan, np.inf, 1e300], "z": [0.0, -np.inf, 1.0], "kind": ["new", None, "up"]})

    matrix = encoder.matrix(odd, np.array([[0.1], [0.5], [0.9]]))

    assert np.isnan(matrix[0, 0])
    assert matrix[1, 0] == matrix[2, 0]  # both beyond the reference
    assert np.isnan(matrix[:2, 2]).all()
    assert encoder.categorical.tolist() == [False, False, True, False]


def test_days_are_blocks() -> None:
    """Event times of thirty days make thirty blocks."""
    times = np.repeat(np.arange(30), 5) * blocks.DAY

    assert blocks.number(times, 150).max() == 29
