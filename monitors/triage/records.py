"""A decision of the triage, and what it says to whoever carries it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from monitors.results.records import Measurement
from monitors.windows import Window

SCHEMA_VERSION = 1
KIND = "triage"
"""The kind of the events that decisions are stored as."""


class Action(StrEnum):
    """What is to be done, the most urgent first."""

    FIX_DATA = "fix_data"
    RETRAIN = "retrain"
    FIX_INFRA = "fix_infra"
    COLLECT_LABELS = "collect_labels"
    WATCH = "watch"
    NONE = "none"


class Cause(StrEnum):
    """Why it is to be done."""

    QUALITY = "quality"
    PERFORMANCE = "performance"
    HARMFUL_DRIFT = "harmful_drift"
    SCHEDULE = "schedule"
    NEW_LABELS = "new_labels"
    SERVICE = "service"
    TRAFFIC = "traffic"
    NO_LABELS = "no_labels"
    UNSURE = "unsure"
    PENDING = "pending"
    BENIGN = "benign"
    PREDICTIONS = "predictions"
    PRIOR_SHIFT = "prior_shift"
    GROUPS = "groups"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class TrainingWindow:
    """The rows that a retrain should learn from.

    Parameters
    ----------
    start
        Events before it are left out; None for all that there are.
    old_weight
        Weight of a row from before the onset, in (0, 1]; that of a later row is 1.
    excluded
        Windows of event time whose data were faulty, the oldest first.
    why
        One sentence.
    """

    start: datetime | None
    old_weight: float
    excluded: tuple[Window, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Triage:
    """One decision about one version.

    Parameters
    ----------
    at
        End of the newest window that was looked at (event time).
    why
        What a person is told: the reason of the decision, and no more than needed to follow it.
    evidence
        One sentence a monitor that had something to say.
    onset
        When the change began, as far as the labels tell; event time.
    training
        Of a retrain only.
    numbers
        Why the loss changed, where it is known; see `monitors.attribution`.
    dossier
        Sentences that were found out when the episode began, and hold as long as it lasts.
    """

    model: str
    version: str
    action: Action
    cause: Cause
    at: datetime
    why: str
    evidence: tuple[str, ...] = ()
    onset: datetime | None = None
    training: TrainingWindow | None = None
    numbers: tuple[Measurement, ...] = ()
    dossier: tuple[str, ...] = ()
    schema_version: int = field(default=SCHEMA_VERSION)

    @property
    def episode(self) -> tuple[str, Action, Cause]:
        """What makes it another episode: the version, the action or its cause."""
        return self.version, self.action, self.cause

    def told(self, *sentences: str) -> Self:
        """Return the decision with sentences that hold for its whole episode, as evidence too."""
        return replace(self, dossier=(*self.dossier, *sentences), evidence=(*self.evidence, *sentences))

    def continues(self, began: Triage) -> Self:
        """Return the decision with what was found out when its episode began."""
        return replace(self.told(*began.dossier), numbers=began.numbers)

    def payload(self) -> dict[str, Any]:
        """Return everything as JSON-able values; `outcome` is the action."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain | {"outcome": self.action.value}

    @classmethod
    def of_payload(cls, payload: Mapping[str, Any]) -> Self:
        """Return what `payload` was made of."""
        training = payload["training"]
        return cls(
            model=payload["model"],
            version=payload["version"],
            action=Action(payload["action"]),
            cause=Cause(payload["cause"]),
            at=datetime.fromisoformat(payload["at"]),
            why=payload["why"],
            evidence=tuple(payload["evidence"]),
            onset=_time(payload["onset"]),
            training=None if training is None else _training(training),
            numbers=tuple(Measurement(**number) for number in payload["numbers"]),
            dossier=tuple(payload.get("dossier", ())),
            schema_version=payload["schema_version"],
        )


def _training(plain: Mapping[str, Any]) -> TrainingWindow:
    windows = (
        Window(datetime.fromisoformat(w["start"]), datetime.fromisoformat(w["end"]))
        for w in plain["excluded"]
    )
    return TrainingWindow(_time(plain["start"]), plain["old_weight"], tuple(windows), plain["why"])


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value.isoformat() if isinstance(value, datetime) else value
