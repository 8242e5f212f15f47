"""One model's YAML as frozen types. Every default is stated here and nowhere else."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from spec.drift import SEASONS, DataDrift
from spec.record import Record
from spec.units import Duration, Fraction, Size

NAME = r"^[a-z][a-z0-9_]{0,62}$"
SHADOW: Literal["shadow"] = "shadow"


class Task(StrEnum):
    """What the model predicts."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


class FeatureType(StrEnum):
    """How a feature is stored, monitored and fed to the model."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"


class Feature(Record):
    """One input column of the model."""

    type: FeatureType
    """`numeric` is a float64 column, `categorical` a string, `boolean` a bool; all may be null."""
    unit: str | None = None
    """Unit of a numeric feature, shown where people look at it."""

    @model_validator(mode="before")
    @classmethod
    def _accept_bare_type(cls, value: object) -> object:
        return {"type": value} if isinstance(value, str) else value


class Target(Record):
    """The ground truth."""

    name: str
    """Column of the label in label files and in the history."""
    delay: Duration = timedelta(days=1)
    """How long after a window's end nearly all of its labels have arrived."""
    classes: tuple[str, ...] | None = Field(default=None, min_length=3)
    """The classes of a multiclass model, in the order of its outputs."""


class Data(Record):
    """Where the model's data live. A path without a scheme is relative to the state folder."""

    inference_log: str
    """Delta table of every answered prediction."""
    labels: str
    """Delta table of the ground truth, appended to as it arrives."""
    history: str | None = None
    """Parquet file of labelled rows from before the model was served."""
    id: str
    """Column that names a prediction; the key that labels join on."""
    time: str
    """Column of the event time; UTC."""
    target: Target


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


class Performance(Record):
    """When realised performance counts as lost."""

    metric: PerformanceMetric | None = None
    """Defaults to `roc_auc` (binary), `log_loss` (multiclass) or `rmse` (regression)."""
    drop: Annotated[float, Field(ge=0)] = 0.02
    """How far beyond the reference band the metric may lie, in its own unit."""
    over: Annotated[int, Field(ge=1)] = 7
    """Measure over this many windows, ending with the closed one."""
    min_labels: Annotated[int, Field(ge=10)] = 200
    """With fewer labelled rows there is no verdict on performance."""


class Quality(Record):
    """What makes a window's data faulty."""

    null_rate: Fraction = 0.1
    """How far a feature's share of nulls may rise above the reference's."""
    unseen_categories: Fraction = 0.05
    """Largest share of rows with a category that the reference does not have."""
    out_of_range: Fraction = 0.05
    """Largest share of rows outside the reference's [min, max]."""
    min_rows: Annotated[int, Field(ge=0)] = 1
    """Fewer rows in a window are a violation of volume."""


class Latency(Record):
    """The latency objective of the model server."""

    p99: Duration = timedelta(milliseconds=50)
    """99th percentile of a request's time in the model server."""
    slo: Fraction = 0.999
    """Share of requests that must be answered without an error."""


class Monitor(Record):
    """What is watched, and when it is too much."""

    window: Duration = timedelta(days=1)
    """Length of the event-time windows [t0, t1), aligned to the Unix epoch in UTC."""
    report: Duration | None = timedelta(days=7)
    """How often Evidently's HTML report is written; null for never."""
    data_drift: DataDrift = DataDrift()
    performance: Performance = Performance()
    quality: Quality = Quality()
    latency: Latency = Latency()

    @model_validator(mode="after")
    def _windows_fit_the_reference(self) -> Self:
        against = self.data_drift.reference
        if against.rolling is not None and against.rolling < self.window:
            msg = "data_drift.reference.rolling: must be one window or longer"
            raise ValueError(msg)
        if against.seasonal is not None:
            season = SEASONS[against.seasonal]
            if season % self.window or season == self.window:
                msg = f"data_drift.reference.seasonal: windows must divide the {against.seasonal} evenly"
                raise ValueError(msg)
        return self


class Learner(StrEnum):
    """Learners that the search may choose from."""

    LIGHTGBM = "lightgbm"
    HIST_GRADIENT_BOOSTING = "hist_gradient_boosting"
    RANDOM_FOREST = "random_forest"
    LINEAR = "linear"


class Search(Record):
    """The budget of the hyperparameter search."""

    sampler: Literal["tpe", "random"] = "tpe"
    trials: Annotated[int, Field(ge=1)] = 20
    time: Duration = timedelta(seconds=90)
    max_rows: Annotated[int, Field(ge=1000)] = 50_000
    """Trials train on at most this many rows (the newest); the final fit uses all."""
    seed: int = 0


class Retrain(Record):
    """When to retrain, on what, and how long to search."""

    on: tuple[Literal["performance"], ...] = ("performance",)
    """The alerts that start a retrain; others only tell people."""
    cooldown: Duration = timedelta(days=1)
    """Least time between two retrains of the model."""
    window: Duration | None = None
    """Train on events of this span before the newest labelled one; null for all there are."""
    holdout: Duration = timedelta(days=14)
    """The newest labelled span, kept out of training to validate on."""
    min_rows: Annotated[int, Field(ge=100)] = 1000
    """Fewer labelled training rows refuse the retrain."""
    learners: tuple[Learner, ...] = Field(default=(Learner.LIGHTGBM,), min_length=1)
    search: Search = Search()


class Within(Record):
    """The budget that every optimized candidate must keep."""

    quality_drop: Fraction = 0.01
    """Largest relative loss of the validation metric against the best candidate."""
    latency_p99: Duration | None = None
    """99th percentile of a one-row prediction in ONNX Runtime."""
    size: Size | None = None
    """Bytes of the ONNX file."""


class Optimize(Record):
    """What is done to make the model small and fast."""

    passes: tuple[Literal["prune_trees"], ...] = ("prune_trees",)
    """Passes tried on each trained candidate; export to ONNX always happens."""
    within: Within = Within()


class Validate(Record):
    """What a candidate must show against the champion before it may be registered."""

    margin: Fraction = 0.005
    """Non-inferiority margin: how much worse the metric may be by day, relative to the champion's."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Confidence of the one-sided bound, from a bootstrap over days."""
    min_days: Annotated[int, Field(ge=2)] = 5
    """Fewer days of paired rows are not enough evidence."""


class Gates(Record):
    """The limits that the canary must be shown to keep."""

    errors: Fraction = 0.01
    """How far the challenger's error rate may lie above the champion's."""
    latency_p99: Duration | None = None
    """Defaults to `monitor.latency.p99`."""
    disagreement: Fraction = 0.5
    """Largest share of mirrored rows on which the two versions decide differently."""
    quality: Annotated[float, Field(ge=0)] = 0.005
    """How much worse the performance metric may be by day, on the same rows, in its own unit."""


class Rollout(Record):
    """How a registered version earns the traffic."""

    steps: tuple[Literal["shadow"] | Fraction, ...] = Field(
        default=(SHADOW, 0.05, 0.25, 0.5, 1.0), min_length=1
    )
    """Shares of live traffic, rising to 100 %; `shadow` mirrors and may only come first."""
    gates: Gates = Gates()
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """Probability of rolling back a challenger that is no worse, or promoting one that is."""
    min_requests: Annotated[int, Field(ge=1)] = 500
    """Requests that the challenger must have answered at a step before it may pass."""
    min_days: Annotated[int, Field(ge=2)] = 7
    """Event-time days of paired, labelled rows that the quality gate needs."""
    deadline: Duration = timedelta(days=30)
    """A step that is still undecided after this long is rolled back."""
    lease: Duration = timedelta(minutes=2)
    """The guard returns traffic to the champion when nobody renews for this long (wall time)."""

    @model_validator(mode="after")
    def _steps_rise_to_all(self) -> Self:
        shares = [step for step in self.steps if step != SHADOW]
        if SHADOW in self.steps[1:]:
            msg = "steps: shadow may only come first"
            raise ValueError(msg)
        if not shares or shares[-1] != 1 or any(b <= a for a, b in pairwise(shares)):
            msg = "steps: the shares must rise and end with 100%"
            raise ValueError(msg)
        if shares[0] == 0:
            msg = "steps: a share of 0 % sends no traffic; use shadow"
            raise ValueError(msg)
        if any(round(share * 100, 6) % 1 for share in shares):
            msg = "steps: the shares must be whole percents"
            raise ValueError(msg)
        return self


class Notify(Record):
    """Whom to tell."""

    slack: str = "#ml-alerts"
    """Slack channel of the model's alerts and rollouts."""


class ModelSpec(Record):
    """Everything that Trimtab knows about one model."""

    model: Annotated[str, Field(pattern=NAME)]
    """Name of the model: in the registry, the metrics, the DAGs and the URLs."""
    task: Task
    data: Data
    features: dict[str, Feature] = Field(min_length=1)
    """Input columns, in the model's order."""
    monitor: Monitor = Monitor()
    retrain: Retrain = Retrain()
    optimize: Optimize = Optimize()
    validation: Validate = Field(default=Validate(), alias="validate")
    rollout: Rollout = Rollout()
    notify: Notify = Notify()

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        reserved = {self.data.id, self.data.time, self.data.target.name}
        clash = sorted(reserved & set(self.features))
        if clash:
            msg = f"features: {', '.join(clash)} is the id, time or target of data and cannot be a feature"
            raise ValueError(msg)
        if len(reserved) < 3:  # noqa: PLR2004 - id, time and target
            msg = "data: id, time and target.name must be three different columns"
            raise ValueError(msg)
        if (self.task is Task.MULTICLASS) != (self.data.target.classes is not None):
            msg = "data.target.classes: a multiclass model names its classes, no other model does"
            raise ValueError(msg)
        if not self.performance_metric.suits(self.task):
            msg = f"monitor.performance.metric: {self.performance_metric} is not defined for {self.task}"
            raise ValueError(msg)
        return self

    @property
    def performance_metric(self) -> PerformanceMetric:
        """The metric of `monitor.performance`, or the task's default."""
        defaults = {
            Task.BINARY: PerformanceMetric.ROC_AUC,
            Task.MULTICLASS: PerformanceMetric.LOG_LOSS,
            Task.REGRESSION: PerformanceMetric.RMSE,
        }
        return self.monitor.performance.metric or defaults[self.task]

    @property
    def latency_gate(self) -> timedelta:
        """The 99th percentile that a canary must keep."""
        return self.rollout.gates.latency_p99 or self.monitor.latency.p99

    def features_of(self, *types: FeatureType) -> tuple[str, ...]:
        """Names of the features of the given types, in the model's order."""
        return tuple(name for name, feature in self.features.items() if feature.type in types)
