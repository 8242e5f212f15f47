"""What `trimtab status` knows of each model: who answers with what share, and what the monitors last said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import httpx

from monitors.results import Store
from rollout.routers import Router, connect
from rollout.split import BOTH
from spec import ModelSpec, NotFound, Settings

_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class SlotView:
    """One slot; `version` is empty when none is loaded, `role` is champion, challenger or idle.

    `weight` is the percentage of live requests; `mirrored` says that it gets copies of them.
    """

    slot: str
    role: str
    version: str
    weight: int
    mirrored: bool


@dataclass(frozen=True, slots=True)
class MonitorView:
    """The newest result of a monitor for one version; times are event time."""

    monitor: str
    version: str
    status: str
    window_start: datetime
    window_end: datetime
    rows: int


@dataclass(frozen=True, slots=True)
class ModelView:
    """One model; `last_event` is the last thing that happened to it, with its time, or empty."""

    model: str
    slots: tuple[SlotView, ...]
    monitors: tuple[MonitorView, ...]
    last_event: str


def look(specs: Iterable[ModelSpec], settings: Settings) -> list[ModelView]:
    """Return a view a model; a slot that does not answer has no version."""
    known = {spec.model: spec for spec in specs}
    router = connect(settings, known)
    with Store(settings.results_url) as store, httpx.Client(timeout=_TIMEOUT_S, trust_env=False) as client:
        return [
            ModelView(
                name, _slots(spec, settings, router, client), _monitors(name, store), _event(name, store)
            )
            for name, spec in known.items()
        ]


def slots(spec: ModelSpec, settings: Settings) -> tuple[SlotView, ...]:
    """Return both slots of a model; one that does not answer has no version."""
    with httpx.Client(timeout=_TIMEOUT_S, trust_env=False) as client:
        return _slots(spec, settings, connect(settings, {spec.model: spec}), client)


def _slots(spec: ModelSpec, settings: Settings, router: Router, client: httpx.Client) -> tuple[SlotView, ...]:
    split = router.read(spec.model)
    found = []
    for slot in BOTH:
        version = _version(client, spec, settings, slot)
        role = "champion" if slot == split.champion else ("idle" if split.settled else "challenger")
        weight = split.weights.get(slot, 0)
        found.append(SlotView(slot, role, version, weight, split.mirror == slot))
    return tuple(found)


def _version(client: httpx.Client, spec: ModelSpec, settings: Settings, slot: str) -> str:
    try:
        answer = client.get(f"{settings.slot_url(spec, slot)}/v2/models/{spec.model}")
    except (NotFound, httpx.TransportError):  # nobody has started it, or it does not answer
        return ""
    versions = answer.json().get("versions", []) if answer.is_success else []
    return str(versions[0]) if versions else ""


def _monitors(model: str, store: Store) -> tuple[MonitorView, ...]:
    results = sorted(store.latest(model), key=lambda result: (result.version, result.monitor))
    return tuple(
        MonitorView(
            str(result.monitor), result.version, str(result.status), result.start, result.end, result.rows
        )
        for result in results
    )


def _event(model: str, store: Store) -> str:
    events = store.events(model)
    return f"{events[-1].at:%Y-%m-%d %H:%M} {events[-1].kind}: {events[-1].text}" if events else ""
