"""Where a version comes from and what became of it, as one record from the alert to the rollout.

Everything is read back from what was written at the time: the tags and files of the version's MLflow run, and
the events of the results store. What is not there is said in a sentence, and never guessed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from monitors.records import Event
from monitors.results import Store
from retraining.records import Choice, Record, Rollout, Snapshot, Tuning, Validation
from retraining.registry import Registry, Reign, Rejection, Version
from retraining.rolled_out import is_about, story
from spec import ModelSpec, NotFound, Settings, did_you_mean

LINKS = ("alert", "triage", "run", "snapshot", "trials", "passes", "gates", "rollout")
"""The links of the chain, in its order."""
_RETRAINED = "retrain/"
_PREFIX = "trimtab."
_R = TypeVar("_R", bound=Record)


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


@dataclass(frozen=True, slots=True)
class Lineage:
    """The story of one version, or of a retrain that ended without one.

    Parameters
    ----------
    version
        None of a retrain that ended without one.
    source
        What made it: ``retrain/<run>`` or ``adopt-<hash>``.
    reigns
        When it was challenger and champion.
    """

    model: str
    version: str | None
    status: str
    source: str
    mlflow_run: str
    reigns: tuple[Reign, ...]
    links: tuple[Link, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON types; times as ISO 8601."""
        plain = asdict(self)
        plain["links"] = {
            link.name: {"told": list(link.told), "facts": dict(link.facts)} for link in self.links
        }
        told: dict[str, Any] = json.loads(json.dumps(plain, default=_iso))
        return told


def lineage(
    spec: ModelSpec, settings: Settings, version: str | None = None, *, run: str | None = None
) -> Lineage:
    """Return the lineage of a version; of the champion by default.

    Parameters
    ----------
    run
        Instead of a version, the name of a retrain: of its version, or up to what refused it.

    Raises
    ------
    NotFound
        There is no such version or run, or no champion.
    Unavailable
        The registry, or the results store, did not answer.
    """
    registry = Registry(settings)
    found = _found(registry, spec.model, version) if run is None else _of_run(registry, spec.model, run)
    with tempfile.TemporaryDirectory() as folder:
        files = {file.name: file for file in registry.records(found.run_id, Path(folder))}
        records = _Records(files)
        with Store(settings.results_url) as store:
            events = store.events(spec.model, kinds=("triage", "retrain", "rollout"))
        links = tuple(_links(spec.model, found, records, events))
    named = found.version if isinstance(found, Version) else None
    return Lineage(
        model=spec.model,
        version=named,
        status=found.status if isinstance(found, Version) else "rejected",
        source=found.tags.get(f"{_PREFIX}source", ""),
        mlflow_run=found.run_id,
        reigns=tuple(reign for reign in registry.history(spec.model) if reign.version == named),
        links=links,
    )


def _found(registry: Registry, model: str, version: str | None) -> Version:
    wanted = version or registry.version(model, "champion")
    if wanted is None:
        msg = f"{model} has no champion yet; name a version, or adopt a model with `trimtab adopt {model}`"
        raise NotFound(msg)
    known = {item.version: item for item in registry.versions(model)}
    if wanted not in known:
        msg = f"{model} has no version {wanted!r} in the registry. {did_you_mean(wanted, known)}"
        raise NotFound(msg)
    return known[wanted]


def _of_run(registry: Registry, model: str, run: str) -> Version | Rejection:
    """Return the version that a run made, which may have been tried again, or else its rejection."""
    known: dict[str, Version | Rejection] = {}
    ended: tuple[Version | Rejection, ...] = (*registry.rejections(model), *registry.versions(model))
    for found in ended:
        source = found.tags.get(f"{_PREFIX}source", "")
        if source.startswith(_RETRAINED):
            known[source.removeprefix(_RETRAINED)] = found
    if run not in known:
        msg = (
            f"{model} has no retrain {run!r} that made a version or was rejected. {did_you_mean(run, known)}"
        )
        raise NotFound(msg)
    return known[run]


class _Records:
    """The stages' records among the files of a version's run."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files

    def get(self, kind: type[_R]) -> _R | None:
        """Return a record; None where there is none, or none that this version of Trimtab can read."""
        file = self._files.get(f"{kind.__name__.lower()}.json")
        if file is None:
            return None
        try:
            return kind.model_validate_json(file.read_text("utf-8"))
        except ValidationError:
            return None


def _links(
    model: str, found: Version | Rejection, records: _Records, events: Sequence[Event]
) -> Iterator[Link]:
    source = found.tags.get(f"{_PREFIX}source", "")
    if not source.startswith(_RETRAINED):
        yield from (_adopted(name, why) for name, why in _ADOPTED.items())
    else:
        yield from _made(model, found, source, records, events)
    if isinstance(found, Version):
        yield _rollout(found, events, records.get(Rollout))
    else:
        yield _rejected(found)


_ADOPTED = {
    "alert": "nobody asked for it by an alert",
    "triage": "nothing had to be decided",
    "run": "no retrain made it",
    "snapshot": "its rows were given, not read and frozen",
    "trials": "whoever made it searched",
    "passes": "it is served as it was given",
    "gates": "nothing held it to a champion",
}
_MAKERS = {
    "snapshot": ("prepare",),
    "trials": ("tune",),
    "passes": ("train", "optimize"),
    "gates": ("validate",),
}
"""The stages that a link tells of."""


def _made(
    model: str, found: Version | Rejection, source: str, records: _Records, events: Sequence[Event]
) -> Iterator[Link]:
    """Yield the links of a retrain but for the last; after what refused it, that they were not reached."""
    trigger = {
        key.removeprefix(f"{_PREFIX}trigger."): value
        for key, value in found.tags.items()
        if key.startswith(f"{_PREFIX}trigger.")
    }
    taken = records.get(Snapshot)
    yield _alert(trigger)
    yield _triage(trigger, taken, events)
    yield _run(model, source, trigger, taken, events)
    told = {
        "snapshot": _snapshot(taken),
        "trials": _trials(records.get(Tuning)),
        "passes": _passes(records.get(Choice)),
        "gates": _gates(records.get(Validation)),
    }
    by = found.tags.get(f"{_PREFIX}rejected_by", "") if isinstance(found, Rejection) else ""
    ended = False
    for name, link in told.items():
        if ended:
            yield Link(name, (f"Not reached: {by} ended the retrain.",))
        elif by in _MAKERS[name]:
            ended = True
            yield Link(name, (f"Refused by {by}: {found.tags[f'{_PREFIX}verdict']}",), {"refused_by": by})
        else:
            yield link


def _adopted(name: str, why: str) -> Link:
    return Link(name, (f"None: the model was adopted, and {why}.",))


def _lost(name: str, what: str) -> Link:
    return Link(name, (f"Not known: the version's run in MLflow has no {what}.",))


def _alert(trigger: Mapping[str, str]) -> Link:
    if not trigger.get("alert"):
        who = "a person" if trigger.get("reason") in {None, "manual"} else trigger["reason"]
        return Link("alert", (f"None: {who} asked for the retrain.",), dict(trigger))
    said = f"{trigger['alert']} about version {trigger.get('version', '?')}: {trigger.get('summary', '')}"
    return Link(
        "alert", tuple(part for part in (said, trigger.get("description", "")) if part), dict(trigger)
    )


def _triage(trigger: Mapping[str, str], taken: Snapshot | None, events: Sequence[Event]) -> Link:
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


def _run(
    model: str, source: str, trigger: Mapping[str, str], taken: Snapshot | None, events: Sequence[Event]
) -> Link:
    """Return the run, found by its name; where its first task was cleared, the start that led to the rows."""
    run = source.removeprefix(_RETRAINED)
    began = [
        event
        for event in events
        if event.kind == "retrain"
        and event.payload.get("outcome") == "started"
        and event.payload.get("run") == run
        and (taken is None or event.at <= taken.taken_at)
    ]
    facts: dict[str, Any] = {"run": run, "reason": trigger.get("reason"), "episode": trigger.get("episode")}
    if "run" not in trigger:
        return Link("run", (f"{run}, from the command line: no DAG ran.",), facts)
    told = f"{run} of the DAG retrain_{model}"
    if began:
        facts["started_at"] = began[-1].at.isoformat()
        told += f", started at {_time(began[-1].at)}"
    if trigger.get("episode"):
        told += f", for the alert's episode {trigger['episode']}"
    return Link("run", (f"{told}.",), facts)


def _snapshot(taken: Snapshot | None) -> Link:
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


def _trials(tuning: Tuning | None) -> Link:
    if tuning is None:
        return _lost("trials", "tuning.json")
    told = (
        f"{found.name}, the best of {found.trials} on the window {found.window!r}: loss {found.loss:.5f}."
        for found in tuning.found
    )
    return Link("trials", tuple(told), tuning.to_json())


def _passes(choice: Choice | None) -> Link:
    if choice is None:
        return _lost("passes", "choice.json")
    told = [f"{choice.chosen.name}, of {len(choice.variants)} variants."]
    told += [f"{choice.why}."] if choice.why else []
    facts = {"chosen": choice.chosen.to_json(), "why": choice.why, "variants": len(choice.variants)}
    return Link("passes", tuple(told), facts | {"refused": [item.to_json() for item in choice.refused]})


def _gates(verdict: Validation | None) -> Link:
    if verdict is None:
        return _lost("gates", "validation.json")
    told = [f"{gate.name} {'passed' if gate.passed else 'failed'}: {gate.reason}." for gate in verdict.gates]
    return Link("gates", tuple(told or (f"{verdict.summary()}.",)), verdict.to_json())


def _rollout(found: Version, events: Sequence[Event], kept: Rollout | None) -> Link:
    """Return what the rollout said of the version, and how it ended."""
    own = [event for event in events if event.kind == "rollout" and is_about(event, found.version)]
    facts = {"status": found.status, "events": [asdict(event) for event in own]}
    facts |= {"verdicts": kept.to_json()["steps"]} if kept else {}
    verdict = found.tags.get(f"{_PREFIX}verdict")
    return Link("rollout", story(found, own, kept), facts | ({"verdict": verdict} if verdict else {}))


def _rejected(found: Rejection) -> Link:
    at, by = (found.tags.get(f"{_PREFIX}{name}", "unknown") for name in ("rejected_at", "rejected_by"))
    told = f"None: rejected at {at} by {by}, it has no version."
    return Link("rollout", (told,), {"status": "rejected", "rejected_by": by, "rejected_at": at})


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"


def _iso(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
