"""What a model predicts, how its answers are scored, and when performance counts as lost."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from spec.record import Record


class Task(StrEnum):
    """What the model predicts."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


class PerformanceMetric(StrEnum):
    """Metrics of realised performance: of probabilities and the decisions made from them, then of values."""

    ROC_AUC = "roc_auc"
    ACCURACY = "accuracy"
    F1 = "f1"
    PRECISION = "precision"
    RECALL = "recall"
    LOG_LOSS = "log_loss"
    BRIER = "brier"
    CALIBRATION_ERROR = "calibration_error"
    R2 = "r2"
    RMSE = "rmse"
    MAE = "mae"
    MAPE = "mape"
    PINBALL = "pinball"

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger value is a better model."""
        return self in _HIGHER_IS_BETTER

    @property
    def is_bounded(self) -> bool:
        """Whether two models never differ by more than 1."""
        return self not in _OF_VALUES and self is not PerformanceMetric.LOG_LOSS

    @property
    def can_be_estimated(self) -> bool:
        """Whether an estimator tells it without labels."""
        return self not in {PerformanceMetric.CALIBRATION_ERROR, PerformanceMetric.R2}

    def suits(self, task: Task) -> bool:
        """Whether the metric is defined for the task."""
        return (self in _OF_VALUES) == (task is Task.REGRESSION)


_HIGHER_IS_BETTER = frozenset(
    {
        PerformanceMetric.ROC_AUC,
        PerformanceMetric.ACCURACY,
        PerformanceMetric.F1,
        PerformanceMetric.PRECISION,
        PerformanceMetric.RECALL,
        PerformanceMetric.R2,
    }
)
_OF_VALUES = frozenset(
    {
        PerformanceMetric.R2,
        PerformanceMetric.RMSE,
        PerformanceMetric.MAE,
        PerformanceMetric.MAPE,
        PerformanceMetric.PINBALL,
    }
)


class EstimateMethod(StrEnum):
    """Ways to estimate performance before labels arrive."""

    CBPE = "cbpe"
    PAPE = "pape"
    LOSS_MODEL = "loss_model"

    def suits(self, task: Task) -> bool:
        """Whether the method estimates what models of the task do."""
        return (self is EstimateMethod.LOSS_MODEL) == (task is Task.REGRESSION)


class Performance(Record):
    """When realised performance counts as lost."""

    metric: PerformanceMetric | None = None
    """Defaults to `roc_auc` (binary), `log_loss` (multiclass) or `rmse` (regression)."""
    quantile: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Which quantile of the target the model answers; `pinball` is measured at it."""
    drop: Annotated[float, Field(ge=0)] = 0.02
    """How far beyond the reference band the metric may lie, in its own unit."""
    over: Annotated[int, Field(ge=1)] = 7
    """Measure over this many windows, ending with the closed one."""
    estimate: EstimateMethod | Literal["auto"] | None = "auto"
    """How performance is estimated without labels: confidence-based, with weights for moved inputs, or by a
    model of the loss; `auto` is what suits the task, null is never."""
    min_labels: Annotated[int, Field(ge=10)] = 200
    """With fewer labelled rows there is no verdict on performance."""
