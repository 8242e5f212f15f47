"""What `trimtab status` knows of each model: who answers with what share, and what the monitors last said.

Each model stands alone: what cannot be reached is a line of trouble of that model, the rest is still told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import httpx

from monitors.results.records import Event
from monitors.results.store import Store
from rollout.routers import Router, connect
from rollout.split import BOTH, Slot, Split
from spec import ModelSpec, NotFound, Settings, TrimtabError
from trimtab import under_way

_TIMEOUT_S = 1.0
_AT_ONCE = 8  # models that are asked at the same time: one that hangs keeps nobody waiting long


@dataclass(frozen=True, slots=True)
class SlotView:
    """One slot; `version` is empty when none is loaded or known, `role` is champion, challenger or idle.

    `weight` is the percentage of live requests; `mirrored` says that it gets copies of them. Where the
    traffic is not known the role is ``unknown`` and the weight None. `trouble` says why the slot's server
    does not tell its version; it is empty where it does.
    """

    slot: str
    role: str
    version: str
    weight: int | None
    mirrored: bool
    trouble: str = ""


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
    """One model; `last_event` is the last thing that happened to it, with its time, or empty.

    `under_way` tells its experiment, rollout and retrain; `troubles` what could not be reached.
    """

    model: str
    slots: tuple[SlotView, ...]
    monitors: tuple[MonitorView, ...]
    last_event: str
    under_way: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Traffic:
    """The slots of a model and how its requests are divided; `trouble` says why the latter is not known."""

    slots: tuple[SlotView, ...]
    split: Split | None
    trouble: str = ""

    @property
    def troubles(self) -> tuple[str, ...]:
        """What could not be reached, a line each."""
        silent = (f"slot {slot.slot}{_role(slot)}: {slot.trouble}" for slot in self.slots if slot.trouble)
        return (*((self.trouble,) if self.trouble else ()), *silent)


def look(specs: Iterable[ModelSpec], settings: Settings) -> list[ModelView]:
    """Return a view a model; what of it cannot be reached is among its troubles."""
    known = {spec.model: spec for spec in specs}
    router = connect(settings, known)
    with (
        Store(settings.results_url) as store,
        httpx.Client(timeout=_TIMEOUT_S, trust_env=False) as client,
        ThreadPoolExecutor(_AT_ONCE, "status") as threads,
    ):
        view = partial(_view, settings=settings, router=router, client=client, store=store)
        return list(threads.map(view, known.values()))


def traffic(spec: ModelSpec, settings: Settings) -> Traffic:
    """Return both slots of a model and its split; one that does not answer has no version."""
    with httpx.Client(timeout=_TIMEOUT_S, trust_env=False) as client:
        return _traffic(spec, settings, connect(settings, {spec.model: spec}), client)


def _view(
    spec: ModelSpec, settings: Settings, router: Router, client: httpx.Client, store: Store
) -> ModelView:
    found = _traffic(spec, settings, router, client)
    monitors: tuple[MonitorView, ...] = ()
    events: Sequence[Event] = ()
    troubles = found.troubles
    try:
        monitors, events = _monitors(spec.model, store), store.events(spec.model)
    except TrimtabError as error:
        troubles += (f"what the monitors said and what is under way is not known: {one_line(error)}",)
    return ModelView(
        model=spec.model,
        slots=found.slots,
        monitors=monitors,
        last_event=f"{events[-1].at:%Y-%m-%d %H:%M} {events[-1].kind}: {events[-1].text}" if events else "",
        under_way=under_way.told(events, found.split) if events or found.split else (),
        troubles=troubles,
    )


def one_line(error: TrimtabError) -> str:
    """Return an error's text without its line breaks."""
    return "; ".join(str(error).splitlines())


def _traffic(spec: ModelSpec, settings: Settings, router: Router, client: httpx.Client) -> Traffic:
    split, trouble = None, ""
    try:
        split = router.read(spec.model)
    except TrimtabError as error:
        trouble = f"who gets the traffic is not known: {one_line(error)}"
    return Traffic(tuple(_slot(spec, settings, slot, split, client) for slot in BOTH), split, trouble)


def _slot(
    spec: ModelSpec, settings: Settings, slot: Slot, split: Split | None, client: httpx.Client
) -> SlotView:
    version, trouble = "", ""
    try:
        version = _version(client, spec, settings, slot)
    except NotFound:
        trouble = "its server was never started here (`trimtab up` starts it)"
    except (httpx.HTTPError, ValueError) as error:
        why = str(error).partition("\n")[0] or type(error).__name__
        trouble = f"its server at {settings.slot_url(spec, slot)} does not answer: {why}"
    if split is None:
        return SlotView(slot, "unknown", version, None, mirrored=False, trouble=trouble)
    role = "champion" if slot == split.champion else ("idle" if split.settled else "challenger")
    return SlotView(slot, role, version, split.weights.get(slot, 0), split.mirror == slot, trouble)


def _role(slot: SlotView) -> str:
    if slot.weight is None:
        return ""
    return f" ({slot.role}, {slot.weight} % of the traffic)"


def _version(client: httpx.Client, spec: ModelSpec, settings: Settings, slot: str) -> str:
    answer = client.get(f"{settings.slot_url(spec, slot)}/v2/models/{spec.model}")
    if answer.is_client_error:  # it knows no such model: the slot is empty
        return ""
    match answer.raise_for_status().json():
        case {"versions": [first, *_]}:
            return str(first)
        case dict():
            return ""
    text = "another server's answer"
    raise httpx.DecodingError(text)


def _monitors(model: str, store: Store) -> tuple[MonitorView, ...]:
    results = sorted(store.latest(model), key=lambda result: (result.version, result.monitor))
    return tuple(
        MonitorView(
            str(result.monitor), result.version, str(result.status), result.start, result.end, result.rows
        )
        for result in results
    )
