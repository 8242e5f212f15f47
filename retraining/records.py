"""What the stages hand to each other: frozen records that survive a trip through JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from spec.retrain import Learner

Params = dict[str, int | float | str]


class Record(BaseModel):
    """A frozen record; `model_dump(mode="json")` and `model_validate` are inverse."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    schema_version: Literal[1] = 1

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON types; times as ISO 8601."""
        return self.model_dump(mode="json")


class FaultyWindow(Record):
    """A window of event time, [start, end), in which the data that a version answered were wrong."""

    version: str
    start: datetime
    end: datetime


class Snapshot(Record):
    """The labelled rows of one retrain, frozen into two Parquet files in the run's folder.

    From `taken_at`, the versions, the hash of the history and `excluded` the same rows can be read again.
    """

    run: str
    taken_at: datetime
    """Processing time; labels that arrived later are not in."""
    log_version: int | None
    """Version of the inference log's Delta table; None where there is no such table."""
    labels_version: int | None
    history_sha256: str | None
    """Hash of the history file; None where the spec names none."""
    excluded: tuple[FaultyWindow, ...] = ()
    """Windows that do not count, because their data were found wrong."""
    window_start: datetime
    holdout_start: datetime
    """Training is [window_start, holdout_start - label delay), the holdout [holdout_start, window_end]."""
    window_end: datetime
    """Event time of the newest labelled row."""
    train_rows: int
    holdout_rows: int
    gap_rows: int
    """Rows between the two: their labels were not known when the first holdout row was answered."""
    history_rows: int
    """How many of all rows came from the history file."""
    copies: int
    """Rows that were left out because they repeat another one under another id."""
    onset: datetime | None = None
    """When the change began that asked for the retrain, as far as it is dated; event time."""
    old_weight: float = 1.0
    """How much a row from before the onset counts in the training window `onset`; 0 leaves it out."""
    suspects: dict[str, float] = {}
    """Features that alone tell the truth too well, with ROC AUC or R²; see `retraining.dataset.leakage`."""
    base_prediction: tuple[float, ...]
    """What the trivial model answers: [P(positive)], [P(class), …] or [mean] of the training rows."""
    sha256: str
    """Hash of both Parquet files."""


class Tuned(Record):
    """What the search found for one learner: a training window and hyperparameters."""

    learner: Learner
    window: str
    """Name of the training window, see `retraining.dataset.windows`."""
    params: Params
    trial: int
    trials: int
    """Trials of the learner, those that were ended early included."""
    loss: float
    """Mean over the folds of the log loss (nats) or root mean squared error (target's unit)."""

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.learner.value} trial {self.trial}"

    @property
    def folder(self) -> str:
        """Where its files are in the run's folder."""
        return f"{self.learner.value}/{self.trial}"


class Tuning(Record):
    """What the search found: the best of each learner, and of several objectives the cheapest near it."""

    found: tuple[Tuned, ...]
    refused: dict[str, str] = {}
    """Learner to the reason why none of its trials counts."""
    folds: int
    trials: str
    """CSV file of every trial."""
    seconds: float


class Candidate(Record):
    """A fitted model, as ONNX files in the run's folder."""

    learner: Learner
    window: str = "all"
    """Name of the training window, see `retraining.dataset.windows`."""
    params: Params
    trials: int
    """Finished trials of the search."""
    validation_loss: float
    """Loss of the trial, see `Tuned.loss`."""
    proxy: str
    """ONNX file fitted without the validation rows, for decisions that need rows it has not seen."""
    onnx: str
    """ONNX file fitted on all training rows."""
    native: str | None = None
    """Folder of the pipeline that `onnx` was made of, see `retraining.native`; None if it has no form."""
    continues: str | None = None
    """Version of the champion that was trained further; None for one that was fitted anew."""
    parity_rows: int
    parity_difference: float
    """Largest difference between the ONNX graph and the fitted pipeline."""


class Search(Record):
    """The candidates, and why others are none."""

    candidates: tuple[Candidate, ...]
    refused: dict[str, str]
    """Name of what was tuned to the reason why its model cannot be served."""
    doubted_labels: int = 0
    """Training rows whose label is probably wrong, see `retraining.dataset.label_errors`."""
    seconds: float


def _named(candidate: str) -> str:
    """Return what people call a candidate: the folder of its files, such as ``lightgbm/7``."""
    return candidate.rpartition("/")[0]


class Variant(Record):
    """One way to ship a candidate, with what it costs and why it was kept or not."""

    learner: Learner
    """Learner of the candidate that the passes began with; a student may be of another."""
    candidate: str
    """ONNX file of that candidate, which names it."""
    passes: tuple[str, ...]
    plans: tuple[dict[str, Any], ...] = ()
    """What each of the passes decided."""
    trees: int | None
    """Boosting rounds or trees in the file; None for a model without trees."""
    onnx: str
    """ONNX file in the run's folder."""
    proxy: str
    """The same of the proxy, which has seen neither the validation rows nor those of the season before."""
    all_rows: bool = True
    """Whether the file is fitted on all training rows; others were rejected on what the proxy showed."""
    loss: float
    """Loss on the validation rows, as of `Candidate.validation_loss`, without seeing them in training."""
    size: int
    """Bytes of the ONNX file."""
    latency_p50: float
    """Seconds of a one-row call in ONNX Runtime on one thread."""
    latency_p99: float
    served_p50: float | None = None
    """Seconds of a one-row request to a model server of its own, over HTTP, the client's part included; this
    and what follows is None where it was not measured, see `retraining.measurement.served.Served`."""
    served_p99: float | None = None
    rows_per_second: float | None = None
    """Rows that the model server answers in requests of 256."""
    cold_start_seconds: float | None = None
    """From the start of the model server to its first answer."""
    load_seconds: float | None = None
    """The part of it in which the file is loaded, checked and warmed up."""
    memory: int | None = None
    """Resident bytes of the model server."""
    cpu_per_million: float | None = None
    """CPU-seconds of the model server for a million one-row predictions."""
    joules_per_million: float | None = None
    """Estimated energy of these, as of `monitors.operations.energy`."""
    price_per_million: float | None = None
    """What both cost, in ``monitor.cost.currency``; None also where the spec states no price."""
    pareto: bool = False
    """Whether no other variant is as good in loss, latency and size, and better in one of them."""
    rejected: bool = False
    """Whether it breaks the budget, or could not be made of the model of all rows."""
    chosen: bool = False
    reasons: tuple[str, ...] = ()
    """Why it was not chosen; empty for the chosen one."""

    @property
    def name(self) -> str:
        """The variant as people read it."""
        trees = "" if self.trees is None else f", {self.trees} trees"
        return f"{_named(self.candidate)} ({' + '.join(self.passes) or 'as trained'}{trees})"


class Refusal(Record):
    """A pass that was not applied to a model, and why."""

    learner: Learner
    candidate: str
    """ONNX file of the candidate that the passes began with."""
    passes: tuple[str, ...]
    """The passes before it."""
    by: str
    """The pass."""
    reason: str

    @property
    def name(self) -> str:
        """What it was to be applied to, as people read it."""
        return f"{_named(self.candidate)} ({' + '.join(self.passes) or 'as trained'})"


class Choice(Record):
    """The variant to validate, and the table it was chosen from."""

    chosen: Variant
    variants: tuple[Variant, ...]
    why: str = ""
    """What the choice rests on, in one sentence."""
    refused: tuple[Refusal, ...] = ()
    """What was not tried or could not be done."""


class Gate(Record):
    """The verdict of one gate, with the numbers that it rests on."""

    name: str
    passed: bool
    reason: str
    """One sentence, also for a gate that was passed."""
    value: float | None = None
    upper: float | None = None
    """Upper bound of `value`, where the gate has one."""
    limit: float | None = None
    """What `value`, or `upper`, may not exceed."""
    rows: int | None = None
    days: int | None = None


class Validation(Record):
    """The verdict on the chosen variant, measured on the holdout rows."""

    accepted: bool
    reasons: tuple[str, ...]
    """What the verdict rests on, for an accepted one too: the recent rows, then each gate that failed."""
    gates: tuple[Gate, ...] = ()
    against: str | None
    """Version of the champion; None for the trivial baseline."""
    rows: int
    days: int
    candidate: dict[str, float]
    """Metric name to value on the holdout."""
    opponent: dict[str, float]
    difference: float | None
    """Mean daily shortfall of the spec's metric, weighted by rows; below zero the candidate is better."""
    upper: float | None
    """One-sided upper bound of `difference`; None where the evidence does not suffice for one."""
    limit: float | None
    """What `upper` may not exceed."""
    confidence: float

    def summary(self) -> str:
        """Return the verdict and its reasons as one line for people."""
        return f"candidate {'accepted' if self.accepted else 'rejected'}: {'; '.join(self.reasons)}"


class StepVerdict(Record):
    """What the rollout's judge said when a step ended."""

    step: str
    """As the YAML spells it."""
    told: tuple[str, ...]
    """A headline, then a line a gate: its value, limit, interval and sample size."""
    verdict: dict[str, Any] | None = None
    """The same as data; None where a person ended the step without the judge."""


class Rollout(Record):
    """What the judge said of a version at each step of the rollout that promoted or rejected it."""

    steps: tuple[StepVerdict, ...]
