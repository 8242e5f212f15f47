"""Parts of a YAML that are right by themselves and contradict each other."""

from __future__ import annotations

import pytest

from monitors.estimators.expectation import METRICS
from monitors.estimators.loss_model import LOSSES
from spec import PerformanceMetric, SpecError, Task, loads

HEAD = """\
model: shop
task: {task}
data: {{inference_log: log, labels: labels, id: id, time: t, target: {{name: y{classes}}}}}
features: {{amount: numeric, sex: {{type: categorical, protected: {protected}}}}}
"""


def problems(text: str, task: str = "binary", *, classes: str | None = None, protected: bool = False) -> str:
    """What is wrong with a model, a line each; none where it is read."""
    named = classes or ("[a, b, c]" if task == "multiclass" else "")
    head = HEAD.format(
        task=task, classes=f", classes: {named}" if named else "", protected=str(protected).lower()
    )
    try:
        loads(head + text, "shop.yaml")
    except SpecError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("text", "task", "told"),
    [
        (
            "monitor: {concept_drift: {detector: ddm}}",
            "regression",
            "monitor.concept_drift.detector: must be adwin or page_hinkley: ddm counts wrong answers",
        ),
        (
            "monitor: {performance: {metric: roc_auc}}",
            "regression",
            "monitor.performance.metric: roc_auc is not defined for regression; found 'roc_auc'",
        ),
        (
            "monitor: {performance: {metric: mae}}",
            "multiclass",
            "monitor.performance.metric: mae is not defined for multiclass; found 'mae'",
        ),
        (
            "monitor: {performance: {estimate: cbpe}}",
            "regression",
            "monitor.performance.estimate: cbpe does not estimate regression models; found 'cbpe'",
        ),
        (
            "monitor: {performance: {estimate: loss_model, metric: r2}}",
            "regression",
            "monitor.performance.estimate: r2 cannot be estimated without labels; name another metric",
        ),
        (
            "monitor: {performance: {quantile: 0.9}}",
            "binary",
            "monitor.performance.quantile: only a regression answers a quantile; found 0.9",
        ),
        (
            "monitor: {performance: {drop: 2}}",
            "binary",
            "monitor.performance.drop: must be below 1: roc_auc never changes by more; found 2.0",
        ),
        (
            "monitor: {fairness: {max: 0.2}}",
            "binary",
            "monitor.fairness: needs a feature with protected: true, the groups of which are compared",
        ),
        ("monitor: {slices: [age]}", "binary", "monitor.slices: must name features; found 'age'"),
        (
            "monitor: {slices: {by: [sex, sex]}}",
            "binary",
            "monitor.slices.by: must name each feature once; found 'sex'",
        ),
        (
            "retrain: {on: [{schedule: 0 3 * * 1}, {schedule: 0 3 * * 4}]}",
            "binary",
            "retrain.on: must name each cause once; found 'schedule'",
        ),
        (
            "optimize: {served: 0, within: {memory: 300MB}}",
            "binary",
            "optimize.within.memory: cannot be held where optimize.served is 0: it is measured in a model",
        ),
        (
            "retrain: {window: 14d, holdout: 14d}",
            "binary",
            "retrain.window: must be longer than retrain.holdout, or no row is left to train on; found '2w'",
        ),
    ],
)
def test_what_can_never_work_has_one_clear_error(text: str, task: str, told: str) -> None:
    """A contradiction is told once, at the line and key that a person changes."""
    (line,) = problems(text, task).splitlines()

    assert line.startswith(f"shop.yaml:5: {told}")


def test_harmful_drift_needs_the_estimate() -> None:
    """Who asks for it by name and switches the estimate off gets an error; the default list gets none."""
    off = "monitor: {performance: {estimate: null}}"

    assert "harmful_drift is what the estimate expects" in problems(
        f"{off}\nretrain: {{on: [harmful_drift]}}"
    )
    assert problems(off) == ""


def test_classes_are_named_once() -> None:
    """A class that stands twice would have two outputs."""
    assert "data.target.classes: must name each class once; found 'a'" in problems(
        "", "multiclass", classes="[a, a, b]"
    )


def test_all_contradictions_are_told_at_once_each_at_its_line() -> None:
    """Three mistakes in three places are three problems."""
    text = (
        "monitor:\n  concept_drift:\n    detector: ddm\n  performance:\n    metric: brier\n"
        "retrain: {window: 1d}"
    )
    told = problems(text, "regression").splitlines()

    assert [line.split(" ")[0] for line in sorted(told)] == ["shop.yaml:10:", "shop.yaml:7:", "shop.yaml:9:"]


@pytest.mark.parametrize(
    ("text", "task", "protected"),
    [
        ("monitor: {concept_drift: {detector: ddm}}", "multiclass", False),
        ("monitor: {concept_drift: {detector: page_hinkley}}", "regression", False),
        ("monitor: {performance: {quantile: 0.9, metric: pinball, drop: 30}}", "regression", False),
        ("monitor: {performance: {metric: log_loss, drop: 2}}", "binary", False),
        ("monitor: {performance: {metric: r2}}", "regression", False),
        ("monitor: {fairness: {metric: demographic_parity}, slices: [sex, amount]}", "regression", True),
        ("retrain: {on: [{schedule: 0 3 * * 1}, {new_labels: 500}], window: 15d}", "binary", False),
    ],
)
def test_what_works_is_read(text: str, task: str, protected: bool) -> None:
    """The nearest combinations that mean something are no mistakes."""
    assert problems(text, task, protected=protected) == ""


def test_the_metrics_that_can_be_estimated_are_those_of_the_estimators() -> None:
    """What the spec lets people ask for is what an estimator tells, of classes and of values."""
    known = {
        metric
        for metric in PerformanceMetric
        if metric in (LOSSES if metric.suits(Task.REGRESSION) else METRICS)
    }

    assert known == {metric for metric in PerformanceMetric if metric.can_be_estimated}
