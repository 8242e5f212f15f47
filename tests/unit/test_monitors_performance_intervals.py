from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from scipy.stats import binom, t

from monitors.metrics import Array, statistic
from monitors.performance import Estimate, Truth, all_metrics, estimate, judge
from monitors.references import Band
from spec import ModelSpec, PerformanceMetric, loads

METRIC = PerformanceMetric
DAY = 86_400 * 10**6
RUNS = 150


def spec_of(task: str, monitor: str = "") -> ModelSpec:
    """A model of a task."""
    target = "{name: y, classes: [a, b, c]}" if task == "multiclass" else "{name: y}"
    return loads(f"""
model: shop
task: {task}
data: {{inference_log: log, labels: labels, id: id, time: t, target: {target}}}
features: {{amount: numeric}}
{monitor}
""")


def softmax(logits: Array) -> Array:
    """Probabilities of classes."""
    odds = np.exp(logits)
    return odds / odds.sum(axis=1, keepdims=True)


def world(task: str, days: int, per_day: int, seed: int, storm: float) -> Truth:
    """Scores, right on average; with `storm`, the truth of a day leans one way by a common random amount."""
    random = np.random.default_rng(seed)
    rows, day = days * per_day, np.repeat(np.arange(days), per_day)
    if task == "regression":
        answers = random.normal(100, 20, rows)
        labels = answers + 10 * (random.normal(0, 1, rows) + random.normal(0, storm, days)[day])
        return Truth(answers[:, None], labels, day * DAY)
    outputs = 1 if task == "binary" else 3
    logits = random.normal(0, 1.5, (rows, outputs))
    true = logits + random.normal(0, storm, (days, outputs))[day]
    drawn = random.random(rows)
    if task == "binary":
        labels = drawn < 1 / (1 + np.exp(-true[:, 0]))
        return Truth(1 / (1 + np.exp(-logits)), labels.astype(float), day * DAY)
    labels = (softmax(true).cumsum(axis=1) < drawn[:, None]).sum(axis=1)
    return Truth(softmax(logits), labels.astype(float), day * DAY)


@pytest.mark.parametrize(("days", "storm"), [(5, 0.4), (14, 0.4), (14, 0.0)])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_intervals_of_every_metric_cover_the_truth(task: str, days: int, storm: float) -> None:
    """They hold it nine times of ten at least (95 % is meant), also when the rows of a day go together.

    And they are no wider than that needs: their reach is that of the spread over the simulated worlds.
    """
    spec = spec_of(task)
    everything = world(task, 2000, 50, 999, storm)
    alone = np.zeros(len(everything), dtype=np.int64)
    found: dict[PerformanceMetric, list[Estimate]] = defaultdict(list)
    for seed in range(RUNS):
        for metric, number in all_metrics(world(task, days, 40, seed, storm), spec).items():
            assert isinstance(number, Estimate)
            found[metric].append(number)

    for metric, numbers in found.items():
        true = statistic(metric, everything.scores, everything.labels, alone)(np.ones((1, 1)))[0]
        covered = sum(number.low <= true <= number.high for number in numbers)
        assert covered >= binom.ppf(0.001, RUNS, 0.9), metric
        reach = np.mean([number.high - number.value for number in numbers])
        assert reach < 1.5 * t.ppf(0.975, days - 1) * np.std([number.value for number in numbers]), metric


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_few_rows_of_a_calibrated_model_raise_no_alarm_about_calibration(task: str) -> None:
    """Chance makes the error of 210 rows many times that of 10,000: no reason for alarms beyond 2.5 %."""
    metric = METRIC.CALIBRATION_ERROR
    spec = spec_of(task, "monitor: {performance: {metric: calibration_error, drop: 0, min_labels: 10}}")
    known = estimate(world(task, 28, 400, 999, 0.0), metric)
    assert isinstance(known, Estimate)
    band = Band(known.value, known.low, known.high)

    numbers = [estimate(world(task, 7, 30, seed, 0.0), metric) for seed in range(200)]
    alarms = sum(judge(number, band, spec, 210).status == "alarm" for number in numbers)

    assert np.mean([number.value for number in numbers if isinstance(number, Estimate)]) > 3 * known.value
    assert alarms <= binom.ppf(0.999, 200, 0.025)


def test_a_model_that_is_badly_calibrated_raises_the_alarm() -> None:
    """What the interval allows chance does not hide a model that is far too sure."""
    metric = METRIC.CALIBRATION_ERROR
    spec = spec_of("binary", "monitor: {performance: {metric: calibration_error, min_labels: 10}}")
    known = world("binary", 14, 100, 1, 0.0)
    surer = Truth(known.scores**4 / (known.scores**4 + (1 - known.scores) ** 4), known.labels, known.times)
    good, bad = estimate(known, metric), estimate(surer, metric)
    assert isinstance(good, Estimate)

    assert judge(bad, Band(good.value, good.low, good.high), spec, 1400).status == "alarm"
