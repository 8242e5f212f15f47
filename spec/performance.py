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
    """Metrics of realised performance; the last three fall as the model gets better."""

    ROC_AUC = "roc_auc"
    ACCURACY = "accuracy"
    R2 = "r2"
    LOG_LOSS = "log_loss"
    RMSE = "rmse"
    MAE = "mae"

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger value is a better model."""
        return self not in {self.LOG_LOSS, self.RMSE, self.MAE}

    def suits(self, task: Task) -> bool:
        """Whether the metric is defined for the task."""
        regression = self in {self.R2, self.RMSE, self.MAE}
        if self is PerformanceMetric.ROC_AUC:
            return task is Task.BINARY
        return regression == (task is Task.REGRESSION)


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
    drop: Annotated[float, Field(ge=0)] = 0.02
    """How far beyond the reference band the metric may lie, in its own unit."""
    over: Annotated[int, Field(ge=1)] = 7
    """Measure over this many windows, ending with the closed one."""
    estimate: EstimateMethod | Literal["auto"] | None = "auto"
    """How performance is estimated without labels: confidence-based, with weights for moved inputs, or by a
    model of the loss; `auto` is what suits the task, null is never."""
    min_labels: Annotated[int, Field(ge=10)] = 200
    """With fewer labelled rows there is no verdict on performance."""
