"""What Alertmanager delivers, and the request for a retrain that is made of it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from spec import Problem, RequestError

SCHEMA_VERSION = 1
ACTION = "retrain"


class _Payload(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # newer Alertmanagers add keys


class Alert(_Payload):
    """One alert of a notification."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: AwareDatetime = Field(alias="startsAt")

    @property
    def is_for_retrain(self) -> bool:
        """Whether its rule says that a retrain helps, firing or resolved."""
        return self.labels.get("action") == ACTION

    @property
    def asks_for_retrain(self) -> bool:
        """Whether it fires and its rule says that a retrain helps."""
        return self.status == "firing" and self.is_for_retrain


class Notification(_Payload):
    """Alertmanager's webhook body, version 4: one group of alerts."""

    version: Literal["4"]
    group_key: str = Field(alias="groupKey", min_length=1)
    alerts: tuple[Alert, ...]

    @classmethod
    def read(cls, body: bytes) -> Notification:
        """Read a webhook body; unknown keys are ignored.

        Raises
        ------
        RequestError
            With every problem of the body.
        """
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            raise RequestError([_problem(dict(detail)) for detail in error.errors()]) from error

    def retrains(self) -> dict[str, tuple[Alert, ...]]:
        """Return the alerts of each model that asks for a retrain (`""` without a model), oldest first.

        A model asks while one of its alerts fires; those that have been resolved come along.
        """
        wanted = sorted((a for a in self.alerts if a.is_for_retrain), key=lambda alert: alert.starts_at)
        models = dict.fromkeys(a.labels.get("model", "") for a in wanted if a.asks_for_retrain)
        return {m: tuple(a for a in wanted if a.labels.get("model", "") == m) for m in models}

    def solved(self) -> frozenset[str]:
        """Return the models whose alerts here have asked for a retrain and have all been resolved."""
        asked = {a.labels["model"] for a in self.alerts if a.is_for_retrain and "model" in a.labels}
        return frozenset(asked - self.retrains().keys())


@dataclass(frozen=True, slots=True)
class RetrainRequest:
    """Why a model is to be retrained; `conf` is what the DAG run is told.

    `requested_at` is processing time by the clock (simulated in a replay), timezone-aware.
    """

    model: str
    reason: str
    alert: str
    version: str
    requested_at: datetime
    summary: str
    description: str
    episode: str
    schema_version: int = SCHEMA_VERSION

    @classmethod
    def of(cls, group_key: str, alerts: tuple[Alert, ...], now: datetime) -> RetrainRequest:
        """Make the request of one model's alerts, oldest first and one of them firing.

        The oldest that fires speaks for all. The episode began with the oldest of all, so that it stays
        the same when that one is resolved before the others.
        """
        oldest = next(alert for alert in alerts if alert.asks_for_retrain)
        return cls(
            model=oldest.labels.get("model", ""),
            reason=oldest.labels.get("cause", ""),
            alert=oldest.labels.get("alertname", ""),
            version=oldest.labels.get("version", ""),
            requested_at=now,
            summary=oldest.annotations.get("summary", ""),
            description=oldest.annotations.get("description", ""),
            episode=episode(group_key, alerts[0].starts_at),
        )

    def conf(self) -> dict[str, str | int]:
        """Return the `conf` of the DAG run, JSON-able."""
        return {
            "schema_version": self.schema_version,
            "model": self.model,
            "reason": self.reason,
            "alert": self.alert,
            "version": self.version,
            "requested_at": self.requested_at.isoformat(),
            "summary": self.summary,
            "description": self.description,
            "episode": self.episode,
        }


def episode(group_key: str, starts_at: datetime) -> str:
    """Return the id of an alert episode: 16 hex digits of its group and its earliest start.

    It is the same however often and in whatever company the alert is delivered. The body itself
    is never hashed: a group grows while it fires.
    """
    text = f"{group_key}\n{starts_at.timestamp():.6f}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def run_id(episode_id: str, attempt: int) -> str:
    """Return the id of the DAG run of an episode's attempt, the first being 1."""
    return f"alert-{episode_id}" + (f".{attempt}" if attempt > 1 else "")


def attempt_of(dag_run_id: str, episode_id: str) -> int:
    """Return which attempt of the episode a DAG run is; 0 if it belongs to another."""
    match = re.fullmatch(rf"alert-{episode_id}(?:\.(\d+))?", dag_run_id)
    return int(match[1] or 1) if match else 0


def _problem(detail: dict[str, object]) -> Problem:
    location = detail["loc"]
    where = ".".join(str(part) for part in location) if isinstance(location, tuple) else ""
    message = str(detail["msg"])
    found = repr(detail["input"])
    shown = found if len(found) <= 60 else f"{found[:57]}..."  # noqa: PLR2004 - one line of a log
    return Problem(where or "body", message[:1].lower() + message[1:], shown)
