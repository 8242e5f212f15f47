from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from monitors.finding import NoData
from monitors.performance import Estimate, Truth, all_metrics, beside, estimate, judge, truth
from monitors.references import Band
from spec import ModelSpec, PerformanceMetric, Task, loads

METRIC = PerformanceMetric
DAY = 86_400 * 10**6
SPEC = """
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y}}
features: {amount: numeric}
monitor: {performance: {metric: roc_auc, drop: 0.02, min_labels: 100}}
"""


def binary(days: int, per_day: int, seed: int = 0, *, storm: float = 0.0) -> Truth:
    """Calibrated scores; with `storm`, the truth of a day leans one way by a common random amount."""
    random = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), per_day)
    logit = random.normal(0, 1.5, days * per_day)
    lean = random.normal(0, storm, days)[day]
    labels = (random.random(days * per_day) < 1 / (1 + np.exp(-(logit + lean)))).astype(float)
    return Truth(1 / (1 + np.exp(-logit))[:, None], labels, day * DAY)


def measured(rows: Truth, metric: PerformanceMetric) -> Estimate:
    """The estimate, which must exist."""
    found = estimate(rows, metric)
    assert isinstance(found, Estimate)
    return found


def test_days_that_go_together_widen_the_interval() -> None:
    """The same number of rows says less when each day has a weather of its own."""

    def width(storm: float) -> float:
        found = [measured(binary(14, 100, seed, storm=storm), METRIC.LOG_LOSS) for seed in range(20)]
        return float(np.mean([interval.high - interval.low for interval in found]))

    assert width(1.5) > 1.5 * width(0.0)


def test_with_fewer_than_five_days_rows_are_resampled_in_groups() -> None:
    """A day alone still has an interval, from 20 groups of rows."""
    one_day = measured(binary(1, 400), METRIC.ROC_AUC)

    assert one_day.blocks == 20
    assert 0 < one_day.high - one_day.low < 0.2


def test_the_same_rows_give_the_same_interval() -> None:
    """The resampling is seeded."""
    assert measured(binary(14, 50), METRIC.ROC_AUC) == measured(binary(14, 50), METRIC.ROC_AUC)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_a_single_class_has_no_auc(label: float) -> None:
    """AUC without positives or without negatives is `NoData` with the reason."""
    rows = binary(7, 20)

    found = estimate(Truth(rows.scores, np.full(len(rows), label), rows.times), METRIC.ROC_AUC)

    assert found == NoData("roc_auc is not defined: the labels are of a single class")


def test_constant_labels_have_no_r2() -> None:
    """R² of labels without variance is `NoData` with the reason."""
    rows = binary(7, 20)

    found = estimate(Truth(rows.scores, np.ones(len(rows)), rows.times), METRIC.R2)

    assert found == NoData("r2 is not defined: the labels are all the same")


@pytest.mark.parametrize("metric", list(METRIC))
def test_no_rows_are_no_data(metric: PerformanceMetric) -> None:
    """Without a labelled row there is no metric."""
    nothing = Truth(np.empty((0, 1)), np.empty(0), np.empty(0, dtype=np.int64))

    assert estimate(nothing, metric) == NoData("no labelled rows")


def test_a_single_row_is_no_data() -> None:
    """One row has a loss and no interval."""
    one = Truth(np.array([[0.4]]), np.array([1.0]), np.zeros(1, dtype=np.int64))

    assert estimate(one, METRIC.LOG_LOSS) == NoData("a single labelled row has no interval")


@pytest.mark.parametrize(
    ("metric", "score", "label", "why"),
    [
        (METRIC.PRECISION, 0.4, 1.0, "no row was decided to be positive"),
        (METRIC.RECALL, 0.6, 0.0, "no row is positive"),
        (METRIC.F1, 0.4, 0.0, "no row is positive, and none was decided to be"),
        (METRIC.MAPE, 1.0, 0.0, "a label is 0"),
        (METRIC.RMSE, 1e200, 0.0, "the sums are too large"),
        (METRIC.MAE, 1e307, 0.0, "the sums are too large"),
    ],
)
def test_what_is_not_defined_says_why(
    metric: PerformanceMetric, score: float, label: float, why: str
) -> None:
    """Neither a zero nor a warning stands for a metric that the rows do not have."""
    rows = Truth(np.full((70, 1), score), np.full(70, label), np.arange(70) // 10 * DAY)

    assert estimate(rows, metric) == NoData(f"{metric} is not defined: {why}")


@pytest.mark.parametrize("side", ["scores", "labels"])
def test_a_number_that_is_not_finite_is_no_data(side: str) -> None:
    """One broken row is told with its count, not averaged."""
    rows = binary(7, 20)
    getattr(rows, side)[3] = np.nan

    assert estimate(rows, METRIC.LOG_LOSS) == NoData("the scores or labels of 1 rows are not finite")


def test_a_metric_that_few_resamples_have_is_no_data() -> None:
    """A positive that both resamples leave out gives neither of them an AUC."""
    labels = np.zeros(7)
    labels[0] = 1.0
    rows = Truth(np.linspace(0, 1, 7)[:, None], labels, np.zeros(7, dtype=np.int64))

    assert estimate(rows, METRIC.ROC_AUC, resamples=2, seed=3) == NoData(
        "roc_auc is not defined on most resamples of the days"
    )


@pytest.mark.parametrize("task", list(Task))
def test_all_metrics_are_those_of_the_task_one_by_one(task: Task) -> None:
    """Measuring them together changes no number, and leaves none out."""
    rows = binary(14, 30)
    classes = "{name: y, classes: [a, b, c]}" if task is Task.MULTICLASS else "{name: y}"
    text = SPEC.replace("task: binary", f"task: {task}").replace("{name: y}", classes)
    spec = loads(text.replace("metric: roc_auc", "quantile: 0.9" if task is Task.REGRESSION else "over: 7"))
    if task is Task.MULTICLASS:
        rows = Truth(
            np.column_stack([1 - rows.scores, rows.scores, 0 * rows.scores]), rows.labels, rows.times
        )
    if task is Task.REGRESSION:
        rows = Truth(rows.scores, rows.labels + 1, rows.times)

    found = all_metrics(rows, spec)

    assert found == {metric: estimate(rows, metric, quantile=0.9) for metric in METRIC if metric.suits(task)}
    assert all(isinstance(number, Estimate) for number in found.values())


def test_metrics_beside_the_judged_one_have_no_limit() -> None:
    """They are there for people, from as many labels on as the verdict needs."""
    found = all_metrics(binary(14, 30), loads(SPEC))
    found[METRIC.F1] = NoData("why")

    told = beside(found, loads(SPEC), 420)

    assert {number.method for number in told} == {metric.value for metric in found} - {"roc_auc"}
    assert {number.name: number.limit for number in told} == {"performance": None, "no_data": None}
    assert beside(found, loads(SPEC), 99) == ()


BAND = Band(0.75, 0.74, 0.76)


@cache
def loads_once() -> ModelSpec:
    """The spec of these tests, read once."""
    return loads(SPEC)


@pytest.mark.parametrize(("value", "status"), [(0.7199, "alarm"), (0.7201, "ok")])
def test_an_exact_measurement_may_fall_by_the_drop(value: float, status: str) -> None:
    """Without noise the floor is the expected value less the drop: 0.74 - 0.02."""
    finding = judge(Estimate(value, value, value, 500, 14), Band(0.74, 0.74, 0.74), loads(SPEC), 500)

    assert finding.status == status
    assert finding.measurements[0].limit == pytest.approx(0.72)


@pytest.mark.parametrize(("value", "status"), [(0.6999, "alarm"), (0.7001, "ok")])
def test_noise_of_both_samples_lowers_the_floor(value: float, status: str) -> None:
    """Half-widths of 0.03 and 0.04 make the smallest significant loss 0.05, more than the drop."""
    measured = Estimate(value, value - 0.03, value + 0.03, 500, 14)

    finding = judge(measured, Band(0.75, 0.71, 0.79), loads(SPEC), 500)

    assert finding.status == status
    assert finding.measurements[0].limit == pytest.approx(0.70)


def test_chance_alone_raises_the_alarm_as_rarely_as_stated() -> None:
    """Two samples of the same normal means alarm in about 2.5 % of 4,000 pairs, never in 4 %."""
    rng = np.random.default_rng(0)
    half = 1.96 * 0.02
    alarms = 0
    for expected, seen in rng.normal(0.75, 0.02, (4000, 2)):
        band = Band(expected, expected - half, expected + half)
        measured = Estimate(seen, seen - half, seen + half, 500, 14)
        alarms += judge(measured, band, loads_once(), 500).status == "alarm"

    assert 0.018 < alarms / 4000 < 0.033


@pytest.mark.parametrize(("value", "status"), [(0.8001, "alarm"), (0.7999, "ok")])
def test_a_loss_has_a_ceiling(value: float, status: str) -> None:
    """Of a metric that falls as the model gets better, the limit lies above the expected value."""
    spec = loads(SPEC.replace("roc_auc", "log_loss"))

    finding = judge(Estimate(value, value - 0.03, value + 0.03, 500, 14), Band(0.75, 0.71, 0.79), spec, 500)

    assert finding.status == status
    assert finding.measurements[0].limit == pytest.approx(0.80)


@pytest.mark.parametrize(("rows", "status"), [(100, "alarm"), (99, "no_data")])
def test_too_few_labels_are_no_data(rows: int, status: str) -> None:
    """With one label less than `min_labels` there is no verdict, however bad the number."""
    assert judge(Estimate(0.5, 0.4, 0.6, rows, 14), BAND, loads(SPEC), rows).status == status


def test_without_an_expected_band_there_is_a_number_and_no_verdict() -> None:
    """A version whose reference says nothing of the metric is measured and not judged."""
    finding = judge(Estimate(0.5, 0.4, 0.6, 500, 14), None, loads(SPEC), 500)

    assert finding.status == "no_data"
    assert [measurement.name for measurement in finding.measurements] == ["performance", "no_data"]


def test_what_is_not_measured_is_no_data_with_the_reason() -> None:
    """The reason stands in the results, under the metric."""
    finding = judge(NoData("why"), BAND, loads(SPEC), 0)

    assert [(m.name, m.method, m.text) for m in finding.measurements] == [("no_data", "roc_auc", "why")]


def joined(label: pa.Array, scores: list[list[float] | None]) -> pa.Table:
    """Log rows beside their labels."""
    times = pa.array(range(len(scores)), pa.timestamp("us", "UTC"))
    return pa.table({"event_time": times, "scores": pa.array(scores, pa.list_(pa.float64())), "label": label})


def test_rows_without_a_label_or_a_score_are_left_out() -> None:
    """Only pairs of a score and a truth are measured."""
    rows = truth(loads(SPEC), joined(pa.array([True, None, False]), [[0.9], [0.5], None]))

    assert (rows.scores.tolist(), rows.labels.tolist(), rows.times.tolist()) == ([[0.9]], [1.0], [0])


def test_classes_are_numbered_in_the_order_of_the_models_outputs() -> None:
    """The label of a multiclass model becomes the index of its column in the scores."""
    text = SPEC.replace("binary", "multiclass").replace("{name: y}", "{name: y, classes: [c, a, b]}")
    spec: ModelSpec = loads(text.replace("metric: roc_auc, ", ""))

    rows = truth(spec, joined(pa.array(["a", "c"]), [[0.1, 0.7, 0.2], [0.8, 0.1, 0.1]]))

    assert rows.labels.tolist() == [1.0, 0.0]
    assert rows.scores.shape == (2, 3)


def test_no_joined_rows_are_no_truth() -> None:
    """An empty join is an empty truth, not an error."""
    assert len(truth(loads(SPEC), joined(pa.array([], pa.bool_()), []))) == 0
