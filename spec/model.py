"""One model's YAML as frozen types. Every default is stated here and nowhere else."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from spec import combinations
from spec.about import About
from spec.concept import ConceptDrift
from spec.cost import Cost
from spec.drift import SEASONS, DataDrift
from spec.experiment import Experiment
from spec.fairness import Fairness, Slices
from spec.features import Feature, FeatureType
from spec.latency import Latency
from spec.payloads import Payloads
from spec.performance import EstimateMethod, Performance, PerformanceMetric, Task
from spec.quality import Quality
from spec.record import Record
from spec.retrain import Retrain
from spec.rollout import Rollout
from spec.serving import Serving
from spec.units import Duration, Fraction, Size

NAME = r"^[a-z][a-z0-9_]{0,62}$"


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
    retention: Duration | None = None
    """Days of the inference log that ended longer ago are deleted; null keeps all."""
    payloads: Payloads | None = None
    """KServe serves the model, and its payload log is taken in: `trimtab up` and the chart start a receiver.
    `{}` for its defaults, null for none."""
    labels: str
    """Delta table of the ground truth, appended to as it arrives."""
    history: str | None = None
    """Parquet file of labelled rows from before the model was served."""
    id: str
    """Column that names a prediction; the key that labels join on."""
    time: str
    """Column of the event time; UTC."""
    target: Target


class Monitor(Record):
    """What is watched, and when it is too much."""

    window: Duration = timedelta(days=1)
    """Length of the event-time windows [t0, t1), aligned to the Unix epoch in UTC."""
    report: Duration | None = timedelta(days=7)
    """How often Evidently's HTML report is written; null for never."""
    data_drift: DataDrift = DataDrift()
    performance: Performance = Performance()
    slices: Slices = Slices()
    fairness: Fairness = Fairness()
    concept_drift: ConceptDrift = ConceptDrift()
    quality: Quality = Quality()
    latency: Latency = Latency()
    cost: Cost = Cost()

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


class Within(Record):
    """The budget that every optimized candidate must keep."""

    quality_drop: Fraction = 0.01
    """Largest rise of the validation loss over the best candidate's: relative, at worst, by days."""
    latency_p99: Duration | None = None
    """99th percentile of a one-row prediction in ONNX Runtime."""
    size: Size | None = None
    """Bytes of the ONNX file."""
    memory: Size | None = None
    """Resident bytes of a model server that holds the model; a variant that was not measured breaks it."""
    cpu_per_million: Duration | None = None
    """CPU time of a million predictions; a variant that was not measured breaks it."""


class Optimize(Record):
    """What is done to make the model small and fast."""

    passes: tuple[
        Literal[
            "select_features",
            "prune_cost_complexity",
            "distil",
            "prune_trees",
            "prune_units",
            "low_rank",
            "half",
            "quantize",
        ],
        ...,
    ] = ("distil", "prune_trees", "quantize")
    """Passes tried on each trained candidate, alone and one after another; export to ONNX always happens.
    A pass that has nothing to do on a model says so and costs nothing. What fits models again
    (`select_features`, `prune_cost_complexity`, `distil`) takes as long as the training, or longer."""
    max_variants: Annotated[int, Field(ge=1)] = 24
    """Chains of passes that are measured, of all candidates together, each candidate's plain export included;
    every candidate gets that one, whatever the number."""
    time: Duration = timedelta(minutes=1)
    """No further pass is begun when the search over chains has taken this long."""
    served: Annotated[int, Field(ge=0)] = 3
    """So many of the best variants, the chosen one among them, are measured in a process of the model server;
    0 for none, and then `within` can limit neither `memory` nor `cpu_per_million`."""
    within: Within = Within()

    @field_validator("passes")
    @classmethod
    def _names_each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            msg = "must name each pass once; their order is Trimtab's"
            raise ValueError(msg)
        return value


class Validate(Record):
    """What a candidate must show against the champion before it may be registered."""

    margin: Fraction = 0.005
    """Non-inferiority margin: how much worse the metric may be by day, relative to the champion's."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Confidence of the one-sided bound, from a bootstrap over days."""
    min_days: Annotated[int, Field(ge=2)] = 5
    """Fewer days of paired rows are not enough evidence."""
    season: Duration | None = timedelta(days=365)
    """Where there are rows from one season before the holdout, the candidate must not be worse on them
    either: seasons return. Null for series without any."""
    slice_margin: Fraction = 0.05
    """How much a slice's loss may rise, as a part of the champion's mean loss over all rows."""
    calibration: Fraction = 0.02
    """How much the calibration error may lie above the champion's."""
    robustness: Fraction = 0.25
    """How much the loss on spoilt rows (noise, a missing column, shuffled categories) may lie above the
    champion's on the same rows, as a part of it."""
    adversarial: bool = False
    """Whether small steps in the worst of a few directions are tried as well."""
    served: bool = True
    """Whether a process of the model server must load the file and answer rows of the holdout with it."""


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
    about: About = About()
    monitor: Monitor = Monitor()
    retrain: Retrain = Retrain()
    optimize: Optimize = Optimize()
    validation: Validate = Field(default=Validate(), alias="validate")
    rollout: Rollout = Rollout()
    experiment: Experiment = Experiment()
    serving: Serving = Serving()
    notify: Notify = Notify()

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        combinations.check(self)
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
    def estimate_method(self) -> EstimateMethod | None:
        """The method of `monitor.performance`, or what suits the task; None for no estimate."""
        wanted = self.monitor.performance.estimate
        if wanted != "auto":
            return wanted
        return EstimateMethod.LOSS_MODEL if self.task is Task.REGRESSION else EstimateMethod.PAPE

    @property
    def protected(self) -> tuple[str, ...]:
        """Names of the protected features, in the model's order."""
        return tuple(name for name, feature in self.features.items() if feature.protected)

    @property
    def dropped(self) -> tuple[str, ...]:
        """Names of the features that no log and no reference holds, in the model's order."""
        return tuple(name for name, feature in self.features.items() if feature.private == "drop")

    @property
    def logged(self) -> ModelSpec:
        """The model as its log knows it: without the features that are private and dropped."""
        if not self.dropped:
            return self
        kept = {name: one for name, one in self.features.items() if name not in self.dropped}
        return self.model_copy(update={"features": kept})

    @property
    def latency_gate(self) -> timedelta:
        """The 99th percentile that a canary must keep."""
        return self.rollout.gates.latency_p99 or self.monitor.latency.p99

    @property
    def compared(self) -> dict[str, Feature]:
        """The features whose values can be held against earlier ones: a moment is always a new one."""
        return {name: feature for name, feature in self.features.items() if feature.calendar is None}

    def features_of(self, *types: FeatureType) -> tuple[str, ...]:
        """Names of the features of the given types, in the model's order."""
        return tuple(name for name, feature in self.features.items() if feature.type in types)
