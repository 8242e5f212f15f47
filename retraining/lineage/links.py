"""The links of a lineage, each told from one kind of record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from monitors.results.records import Event
from retraining.lineage.rolled_out import is_about, story
from retraining.records import Choice, Rollout, Snapshot, Tuning, Validation
from retraining.registry import Rejection, Version


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the chain.

    Parameters
    ----------
    told
        A sentence a statement; where the link is not there, why.
    facts
        What it says, JSON-able; empty where it is not there.
    """

    name: str
    told: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)


def alert(trigger: Mapping[str, str]) -> Link:
    """Return the alert that asked for the retrain, or who else did."""
    if not trigger.get("alert"):
        who = "a person" if trigger.get("reason") in {None, "manual"} else trigger["reason"]
        return Link("alert", (f"None: {who} asked for the retrain.",), dict(trigger))
    said = f"{trigger['alert']} about version {trigger.get('version', '?')}: {trigger.get('summary', '')}"
    return Link(
        "alert", tuple(part for part in (said, trigger.get("description", "")) if part), dict(trigger)
    )


def triage(trigger: Mapping[str, str], taken: Snapshot | None, events: Sequence[Event]) -> Link:
    """Return the decision that was in force when the retrain was asked for, or else when it read its rows."""
    asked = trigger.get("requested_at")
    read = None if taken is None else taken.taken_at
    until = datetime.fromisoformat(asked) if asked else read
    before = [event for event in events if event.kind == "triage" and (until is None or event.at <= until)]
    if not before:
        return Link("triage", ("None: no decision was stored before the retrain was asked for.",))
    decided = before[-1]
    told = [f"{decided.text}, decided at {_time(decided.at)}"]
    told += [f"evidence: {sentence}" for sentence in decided.payload.get("evidence", ())]
    return Link("triage", tuple(told), {"at": decided.at.isoformat()} | dict(decided.payload))


def run(
    model: str, name: str, trigger: Mapping[str, str], taken: Snapshot | None, events: Sequence[Event]
) -> Link:
    """Return the run, found by its name; where its first task was cleared, the start that led to the rows."""
    began = [
        event
        for event in events
        if event.kind == "retrain"
        and event.payload.get("outcome") == "started"
        and event.payload.get("run") == name
        and (taken is None or event.at <= taken.taken_at)
    ]
    facts: dict[str, Any] = {"run": name, "reason": trigger.get("reason"), "episode": trigger.get("episode")}
    if "run" not in trigger:
        return Link("run", (f"{name}, from the command line: no DAG ran.",), facts)
    told = f"{name} of the DAG retrain_{model}"
    if began:
        facts["started_at"] = began[-1].at.isoformat()
        told += f", started at {_time(began[-1].at)}"
    if trigger.get("episode"):
        told += f", for the alert's episode {trigger['episode']}"
    return Link("run", (f"{told}.",), facts)


def snapshot(taken: Snapshot | None) -> Link:
    """Return which rows it had, and from where."""
    if taken is None:
        return _lost("snapshot", "snapshot.json")
    versions = {
        "predictions": taken.log_version,
        "labels": taken.labels_version,
    }
    sources = [f"{name} at Delta version {number}" for name, number in versions.items() if number is not None]
    if taken.history_sha256 is not None:
        sources.append(f"the history file {taken.history_sha256[:12]}…")
    span = f"{_time(taken.window_start)} – {_time(taken.window_end)}"
    told = (
        f"{taken.train_rows:,} rows to train on and {taken.holdout_rows:,} to judge by, of {span}.",
        f"From {', '.join(sources)}; SHA-256 {taken.sha256}.",
    )
    return Link("snapshot", told, taken.to_json())


def trials(tuning: Tuning | None) -> Link:
    """Return what the search found, one sentence a candidate."""
    if tuning is None:
        return _lost("trials", "tuning.json")
    told = (
        f"{found.name}, the best of {found.trials} on the window {found.window!r}: loss {found.loss:.5f}."
        for found in tuning.found
    )
    return Link("trials", tuple(told), tuning.to_json())


def passes(choice: Choice | None) -> Link:
    """Return which variant was chosen, and why."""
    if choice is None:
        return _lost("passes", "choice.json")
    told = [f"{choice.chosen.name}, of {len(choice.variants)} variants."]
    told += [f"{choice.why}."] if choice.why else []
    facts = {"chosen": choice.chosen.to_json(), "why": choice.why, "variants": len(choice.variants)}
    return Link("passes", tuple(told), facts | {"refused": [item.to_json() for item in choice.refused]})


def gates(verdict: Validation | None) -> Link:
    """Return what each gate said of the candidate."""
    if verdict is None:
        return _lost("gates", "validation.json")
    told = [f"{gate.name} {'passed' if gate.passed else 'failed'}: {gate.reason}." for gate in verdict.gates]
    return Link("gates", tuple(told or (f"{verdict.summary()}.",)), verdict.to_json())


def rollout(found: Version, events: Sequence[Event], kept: Rollout | None) -> Link:
    """Return what the rollout said of the version, and how it ended."""
    own = [event for event in events if event.kind == "rollout" and is_about(event, found.version)]
    facts = {"status": found.status, "events": [asdict(event) for event in own]}
    facts |= {"verdicts": kept.to_json()["steps"]} if kept else {}
    verdict = found.tags.get("trimtab.verdict")
    return Link("rollout", story(found, own, kept), facts | ({"verdict": verdict} if verdict else {}))


def rejected(found: Rejection) -> Link:
    """Return that a retrain without a version was not rolled out."""
    at, by = (found.tags.get(f"trimtab.{name}", "unknown") for name in ("rejected_at", "rejected_by"))
    told = f"None: rejected at {at} by {by}, it has no version."
    return Link("rollout", (told,), {"status": "rejected", "rejected_by": by, "rejected_at": at})


def _lost(name: str, what: str) -> Link:
    return Link(name, (f"Not known: the version's run in MLflow has no {what}.",))


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"
