"""What the results store keeps: numbers of windows, events, how runs ended."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

MonitorName = Literal["drift", "quality", "performance", "latency", "estimate", "concept", "slices", "triage"]
Status = Literal["ok", "alarm", "no_data"]
Outcome = Literal["ok", "alarm", "no_data", "error"]
LABELLED: tuple[MonitorName, ...] = ("performance", "concept", "slices")
"""Those that need the truth."""
MONITORS: tuple[MonitorName, ...] = ("drift", "quality", "latency", "estimate", *LABELLED)
"""Those that judge windows of rows."""
RUNNING: tuple[MonitorName, ...] = (*MONITORS, "triage")
"""Those whose runs are counted."""
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One number of a window.

    Parameters
    ----------
    name
        What was measured, such as ``feature_drift_score``.
    value
        Finite; leave a measurement out where there is no number.
    feature, method
        Which input, and which distance, metric, check or quantile.
    low, high
        Confidence bounds, in the unit of `value`.
    limit
        The threshold that `value` was held against.
    n
        Rows behind the number.
    text
        Detail for a reader.
    """

    name: str
    value: float
    feature: str | None = None
    method: str | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    n: int | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        numbers = (self.value, self.low, self.high, self.limit)
        if not all(number is None or math.isfinite(number) for number in numbers):
            msg = f"a measurement holds finite numbers; {self.name} holds {numbers}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class WindowResult:
    """What one monitor found for one version of a model in one window ``[start, end)`` of event time.

    `computed_at` is processing time (the clock of the settings), `duration_s` wall seconds.
    `reference` and `code_revision` say what it was compared with and by which code.
    `reason` says why it was computed: ``first``, or what made it be computed again.
    `revision` counts from 1; the store sets it.
    """

    model: str
    version: str
    monitor: MonitorName
    start: datetime
    end: datetime
    rows: int
    status: Status
    measurements: tuple[Measurement, ...]
    computed_at: datetime
    duration_s: float
    reference: str | None
    code_revision: str
    reason: str = "first"
    revision: int = 1


@dataclass(frozen=True, slots=True)
class WindowProfile:
    """What was counted of one version's rows in one window ``[start, end)``, by the plan of a fingerprint.

    `content` is what `monitors.profiles.profile_format` writes; `rows` may be 0.
    """

    model: str
    version: str
    plan: str
    start: datetime
    end: datetime
    rows: int
    content: bytes


@dataclass(frozen=True, slots=True)
class WindowLosses:
    """What is kept of the losses of one version's labelled rows in one window ``[start, end)``.

    `content` is what JSON can hold of a `monitors.concept.blocks.BlockLoss`.
    """

    model: str
    version: str
    start: datetime
    end: datetime
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a model (or to the whole house: None), at processing time `at`."""

    model: str | None
    kind: str
    text: str
    at: datetime
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Runs:
    """How often a monitor ended with an outcome, and when it last did (wall time, wall seconds)."""

    model: str
    monitor: str
    outcome: str
    count: int
    last_at: datetime
    last_duration_s: float


@dataclass(frozen=True, slots=True)
class Newest:
    """Where the newest result of a monitor for one version stands: its window's start and its id."""

    model: str
    version: str
    monitor: str
    start: datetime
    id: int
