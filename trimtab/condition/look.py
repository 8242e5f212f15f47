"""Reads what is known of one model: the results store, the slots, the processes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from monitors import deployment
from monitors.results.records import Event, WindowResult
from monitors.results.store import Store
from monitors.triage import Action, Triage
from monitors.triage.evidence import Evidence, number
from monitors.triage.records import KIND
from spec import ModelSpec, Settings, format_duration
from trimtab import overview, under_way
from trimtab.condition.findings import findings
from trimtab.condition.next_action import KINDS, next_action
from trimtab.condition.records import Champion, Condition, Decision
from trimtab.overview import Traffic

_BACK = 60  # windows in which the beginning of a row of alarms is looked for
_LAG = 3  # windows without a verdict are too many
_CALM = frozenset({Action.NONE, Action.WATCH})


def look(spec: ModelSpec, settings: Settings, troubles: Iterable[str] = ()) -> Condition:
    """Return the state of a model.

    Parameters
    ----------
    troubles
        What is already known to be wrong around it, such as processes that do not run.
    """
    traffic = overview.traffic(spec, settings) if spec.model in settings.slots else overview.Traffic((), None)
    now = settings.clock.now()
    with Store(settings.results_url) as store:
        latest = store.latest(spec.model)
        version = _champion(spec, settings, latest)
        evidence = Evidence.of(version or "", _recent(spec, store, latest, version))
        events = store.events(spec.model, kinds=[*KINDS, "registry"])
        busy = under_way.told(store.events(spec.model, kinds=under_way.KINDS), traffic.split)
        decision = _decision(store, spec.model, version, latest)
    triage = decision.triage if decision else None
    warnings = (*troubles, *_of_traffic(traffic), *_of_monitors(spec, evidence, now))
    return Condition(
        model=spec.model,
        task=spec.task.value,
        now=now,
        judged_until=evidence.at,
        champion=None if version is None else _since(version, events),
        slots=traffic.slots,
        under_way=busy,
        decision=decision,
        last_event=f"{events[-1].at:%Y-%m-%d %H:%M} {events[-1].kind}: {events[-1].text}" if events else "",
        next_action=next_action(spec, triage, events, now),
        findings=findings(spec, evidence),
        warnings=warnings,
        needs_somebody=bool(warnings)
        or evidence.at is None
        or (triage is not None and triage.action not in _CALM),
    )


def _champion(spec: ModelSpec, settings: Settings, latest: Sequence[WindowResult]) -> str | None:
    """Return the version in the champion's slot; before anything is deployed, the last that was judged."""
    deployed = deployment.read(settings.home, spec.model).champion_version
    newest = max(latest, key=lambda result: (result.start, len(result.version), result.version), default=None)
    return deployed or (newest.version if newest else None)


def _recent(
    spec: ModelSpec, store: Store, latest: Sequence[WindowResult], version: str | None
) -> tuple[WindowResult, ...]:
    """Return the version's newest windows, and the newest result of each monitor however old."""
    own = [result for result in latest if result.version == version]
    if not own:
        return ()
    since = max(result.start for result in own) - _BACK * spec.monitor.window
    older = (result for result in own if result.start < since)
    judged = (*older, *store.history(spec.model, version=version, start=since))
    return tuple(result for result in judged if result.monitor != KIND)


def _decision(
    store: Store, model: str, version: str | None, latest: Sequence[WindowResult]
) -> Decision | None:
    """Return the present episode's decision on the champion, with what the newest window adds to it."""
    event = store.last_event(model, KIND)
    if event is None:
        return None
    triage = Triage.of_payload(event.payload)
    if version is not None and triage.version != version:
        return None
    newest = next((r for r in latest if r.monitor == KIND and r.version == triage.version), None)
    why = number(newest, "triage", triage.action.value)
    if newest is None or why is None:
        return Decision(triage, event.at, triage.why, triage.evidence)
    evidence = tuple(one.text for one in newest.measurements if one.name == "evidence" and one.text)
    return Decision(triage, event.at, why.text or triage.why, evidence)


def _since(version: str, events: Sequence[Event]) -> Champion:
    """Say since when a version is the champion, and where it came from."""
    promoted, made = None, ""
    for event in events:
        if event.payload.get("version") != version:
            continue
        match event.kind, event.payload.get("outcome"):
            case (("rollout" | "registry"), "promoted"):
                promoted = event.at
            case "retrain", "accepted":
                request = event.payload.get("request") or {}
                made = f"retrained for {request.get('reason', 'a person')}"
    return Champion(version, promoted, made)


def _of_traffic(traffic: Traffic) -> Iterable[str]:
    if traffic.trouble:
        yield traffic.trouble
    for slot in traffic.slots:
        if slot.weight and not slot.version:
            yield f"slot {slot.slot} gets {slot.weight} % of the traffic and does not answer"


def _of_monitors(spec: ModelSpec, evidence: Evidence, now: datetime) -> Iterable[str]:
    if evidence.at is not None and now - evidence.at > _LAG * spec.monitor.window:
        length = format_duration(spec.monitor.window)
        yield f"no window is judged since {evidence.at:%Y-%m-%d %H:%M}, though one of {length} should be"
