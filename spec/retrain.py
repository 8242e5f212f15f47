"""When to retrain, on what, with which learners, and how long to search."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from spec.record import Record
from spec.units import Duration, Rate

_CRON_FIELDS = 5


class Learner(StrEnum):
    """Learners that the search may choose from."""

    LIGHTGBM = "lightgbm"
    XGBOOST = "xgboost"
    """Of the extra `xgboost`."""
    HIST_GRADIENT_BOOSTING = "hist_gradient_boosting"
    RANDOM_FOREST = "random_forest"
    LINEAR = "linear"
    MLP = "mlp"
    OWN = "own"
    """What `retrain.own` makes."""


class Range(Record):
    """Values from `low` to `high`; whole numbers where both are."""

    low: int | float
    high: int | float
    log: bool = False
    """Search the order of magnitude rather than the value; of positive numbers."""

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if not self.low < self.high or (self.log and self.low <= 0):
            msg = "low must be below high, and above 0 where log is true"
            raise ValueError(msg)
        return self


class Own(Record):
    """An estimator of one's own."""

    factory: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]
    """``package.module:function`` of (spec, hyperparameters) that returns an unfitted scikit-learn pipeline
    whose last step is called ``model``."""
    space: dict[str, Range | Annotated[tuple[int | float | str, ...], Field(min_length=1)]] = Field(
        default={}
    )
    """What is searched: a range, or a list of values, by hyperparameter."""


class Search(Record):
    """The budget of the hyperparameter search."""

    sampler: Literal["tpe", "random", "grid", "cma_es", "nsga2"] = "tpe"
    """Bayesian (`tpe`), `random`, all combinations of a `grid`, or evolutionary (`cma_es`, `nsga2`)."""
    pruner: Literal["median", "hyperband", "none"] = "median"
    """What ends a trial after an early fold; of one objective only."""
    objectives: Annotated[tuple[Literal["quality", "latency", "size"], ...], Field(min_length=1)] = (
        "quality",
    )
    """What trials minimise: the loss, seconds of a one-row call, bytes of the graph. Of several, the best
    loss and the cheapest trial near it become candidates."""
    folds: Annotated[int, Field(ge=1, le=10)] = 2
    """Spans of time, one after another, that trials are scored on; where there are rows enough."""
    trials: Annotated[int, Field(ge=1)] = 20
    time: Duration = timedelta(seconds=90)
    max_rows: Annotated[int, Field(ge=1000)] = 50_000
    """Trials train on at most this many rows (the newest); the final fit uses all."""
    seed: int = 0
    warm_start: bool = True
    """Try the champion's hyperparameters first, if it came from the same learner."""
    fine_tune: bool = True
    """Also train the champion further on the rows since, where its learner can, and compare."""

    @field_validator("objectives")
    @classmethod
    def _quality_is_first(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value[0] != "quality" or len(set(value)) != len(value):
            msg = "must begin with quality, and name each once"
            raise ValueError(msg)
        return value


class Scheduled(Record):
    """Retrain by the calendar."""

    schedule: str
    """A cron line of five fields, in UTC: ``0 3 * * 1`` is Monday at three."""

    @field_validator("schedule")
    @classmethod
    def _is_a_cron_line(cls, value: str) -> str:
        from croniter import croniter  # noqa: PLC0415 - most specs have no schedule

        if len(value.split()) != _CRON_FIELDS or not croniter.is_valid(value):
            msg = "must be a cron line of five fields, such as 0 3 * * 1"
            raise ValueError(msg)
        return value


class NewLabels(Record):
    """Retrain when so many labels have come since the champion was trained."""

    new_labels: Annotated[int, Field(ge=1)]


class HalfLife(Record):
    """Train on everything, where a row counts half as much as one that is so much newer."""

    half_life: Duration


TrainingWindow = Literal["all", "onset"] | HalfLife | Duration
"""The rows that a candidate learns from: all; those since the change that asked for the retrain; all, the
older the less; a span before the newest."""


class Retrain(Record):
    """When to retrain, on what, and how long to search."""

    on: tuple[Literal["performance", "harmful_drift"] | Scheduled | NewLabels, ...] = (
        "performance",
        "harmful_drift",
    )
    """What a retrain is started for: lost performance that labels show, a loss that the estimate expects of
    drifted inputs, the calendar, so many new labels. The rest only tells people."""
    cooldown: Duration = timedelta(days=1)
    """Least time between two retrains of the model."""
    budget: Rate = Rate(3, "week")
    """Most retrains in any span of this length."""
    give_up_after: Annotated[int, Field(ge=1)] = 3
    """So many candidates rejected in a row, and nothing retrains the model again until a person does."""
    window: Duration | None = None
    """Look at events of this span before the newest labelled one only; null for all there are."""
    windows: Annotated[tuple[TrainingWindow, ...], Field(min_length=1)] = ("all", "onset")
    """Training windows within it; the search tries each, since no single one is the best for every drift."""
    holdout: Duration = timedelta(days=14)
    """The newest labelled span, kept out of training to validate on."""
    min_rows: Annotated[int, Field(ge=100)] = 1000
    """Fewer labelled training rows refuse the retrain."""
    min_class_rows: Annotated[int, Field(ge=2)] = 20
    """Fewer training rows of any class refuse the retrain; of classes only."""
    class_weight: Literal["none", "balanced"] = "none"
    """`balanced`: rare classes weigh as much as frequent ones in training. Probabilities are then no longer
    those of the world; leave it, unless the decision is all that counts."""
    leakage: Literal["tell", "refuse"] = "tell"
    """What to do about a feature that alone explains nearly all of the truth."""
    learners: tuple[Learner, ...] = Field(default=(Learner.LIGHTGBM,), min_length=1)
    own: Own | None = None
    """What the learner `own` is."""
    augment: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")] | None = None
    """``package.module:function`` of (spec, rows) that returns the rows to fit on, such as with more of a
    rare class; a frame of the same columns."""
    label_errors: Literal["off", "tell", "remove"] = "tell"
    """What to do about training rows whose label is probably wrong: nothing, list them in the run's folder,
    or leave them out as well. Of classes only."""
    search: Search = Search()

    @property
    def causes(self) -> tuple[str, ...]:
        """The causes that `on` names: ``performance``, ``harmful_drift``, ``schedule``, ``new_labels``."""
        return tuple(
            cause if isinstance(cause, str) else next(iter(type(cause).model_fields)) for cause in self.on
        )
