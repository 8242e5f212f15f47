"""How a step of a rollout ends: judged, broken off, taken back by a person, or overtaken by a newer rollout.

An ending is ``{"decision", "reason", "summary", "verdict"}``, plain enough for Airflow's XCom: the judge's
decision or `SUPERSEDED`, why in a line, the same for people, and the judge's verdict if it gave one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rollout.verdict import Verdict
    from spec import Settings

SUPERSEDED = "superseded"
TAKEN_BACK = "taken_back"
"""Outcome of the event by which a person ends a rollout; its payload names the run."""
_SKEW = timedelta(hours=1)  # of the clock of whoever took it back
KEY = "ending"
"""Under which a task pushes its ending to XCom."""


def judged(verdict: Verdict) -> dict[str, Any]:
    """Return the ending that the judge decided on."""
    ended = {"decision": str(verdict.decision), "reason": verdict.reason, "summary": verdict.summary()}
    return ended | {"verdict": verdict.model_dump(mode="json")}


def broken(reason: str) -> dict[str, Any]:
    """Return the ending of a step that went back without a judgement."""
    return {"decision": "rollback", "reason": reason, "summary": reason, "verdict": None}


def superseded() -> dict[str, Any]:
    """Return the ending of a rollout that makes room; nothing is held against its version."""
    return broken("a newer rollout of the model waits") | {"decision": SUPERSEDED}


def newer_waits(model: str) -> bool:
    """Return whether another run of the model's rollout is queued: it was asked for later than this one.

    Only for tasks and triggers: it asks Airflow through the process that watches them.
    """
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    return RuntimeTaskInstance.get_dr_count(dag_id=f"rollout_{model}", states=["queued"]) > 0


def taken_back(model: str, settings: Settings, rollout: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the ending of a rollout that a person took back (`trimtab rollback`); None while nobody did.

    Parameters
    ----------
    rollout
        What the task `load` returned.

    Raises
    ------
    Unavailable
        The results store did not answer.
    """
    from monitors.results.store import Store

    since = datetime.fromisoformat(rollout["began"]) - _SKEW
    with Store(settings.results_url) as store:
        for event in store.events(model, since, kinds=["rollout"]):
            if event.payload.get("outcome") == TAKEN_BACK and event.payload.get("run") == rollout.get("run"):
                return broken(event.text)
    return None
