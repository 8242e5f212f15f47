"""Bring a model back to what served before: end its rollout, or make the version before champion again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.ending import TAKEN_BACK
from spec import ModelSpec, NotFound, Settings, Unavailable
from trimtab import switch
from trimtab.switch import Switched
from trimtab.under_way import unfinished

if TYPE_CHECKING:
    from monitors.results.records import Event
    from retraining.registry import Approval
    from rollout.routers import Router
    from rollout.split import Split


KIND = "rollback"
"""The kind of the events that rollbacks by hand are stored as."""


def roll_back(spec: ModelSpec, settings: Settings, router: Router, approval: Approval) -> Switched:
    """End the rollout that is on its way, if there is one; else give all traffic to the version before.

    What is on its way need not have traffic: a person may be asked before its first step. All traffic is the
    champion's then, no alias moves, and the rollout's run in Airflow ends as rolled back by itself. Without
    a rollout, ``previous`` is loaded into the idle slot if it is no longer there, gets all traffic, and then
    the alias ``champion`` and the name of who wanted it. A second call finishes one that broke, and undoes
    one that did not.

    Raises
    ------
    NotFound
        No version was champion before.
    Refused
        The model server will not load it, or somebody moved the traffic meanwhile.
    Unavailable
        The registry, the model server or the gateway did not answer; the traffic may be back already.
    """
    split = router.read(spec.model)
    if not split.settled:
        done = _end_canary(spec, settings, router, split)
        _take_back(spec, settings, approval)
        return done
    ended = _end_unseen(spec, settings, router, split, approval)
    if ended is not None:
        return ended
    from retraining.registry import Registry  # behind the canary, whose traffic waits for no import

    switch.impatient()
    registry = Registry(settings)
    previous = registry.version(spec.model, "previous")
    if previous is None:
        hint = f"promote one first (trimtab rollout {spec.model})"
        msg = f"{spec.model} has no version before its champion: {hint}"
        raise NotFound(msg)
    champion = registry.version(spec.model, "champion")
    slot = switch.give_all(spec, settings, router, split, previous)
    registry.promote(spec.model, previous, approval, force=True)
    text = f"version {previous} is the champion again and answers from slot {slot}; version {champion} is not"
    return Switched(spec.model, previous, slot, text)


def _end_canary(spec: ModelSpec, settings: Settings, router: Router, split: Split) -> Switched:
    from rollout import leases

    back = leases.release(router, spec.model)
    version = _answering(spec, settings, back)
    text = f"all traffic is back at version {version} in slot {back.champion} (it was: {split})"
    return Switched(spec.model, version, back.champion, text)


def _end_unseen(
    spec: ModelSpec, settings: Settings, router: Router, split: Split, approval: Approval
) -> Switched | None:
    """End a rollout that has no traffic (yet); None where none is known that could still get some."""
    try:
        began = _unfinished(spec, settings)
        if began is None:
            return None
        champion = _answering(spec, settings, split)
        if champion == str(began.payload.get("version")):  # it is being promoted this moment
            return None
        _take_back(spec, settings, approval)
    except Unavailable:  # the results store knows of it; without that the way back must not be barred
        return None
    now = router.read(spec.model)
    if not now.settled:  # its first step began meanwhile
        return _end_canary(spec, settings, router, now)
    text = (
        f"version {champion} stays the champion in slot {split.champion}: the rollout of version "
        f"{began.payload.get('version')} had no traffic and is ended; once more, and the version before "
        "the champion is back"
    )
    return Switched(spec.model, champion, split.champion, text)


def _answering(spec: ModelSpec, settings: Settings, split: Split) -> str:
    from rollout import slots

    try:
        return slots.loaded(spec, settings, split.champion) or "none"
    except Unavailable:  # the traffic is there all the same
        return "unknown"


def _unfinished(spec: ModelSpec, settings: Settings) -> Event | None:
    from monitors.results.store import Store

    with Store(settings.results_url) as store:
        return unfinished(store.events(spec.model, kinds=["rollout"]), "rollout")


def _take_back(spec: ModelSpec, settings: Settings, approval: Approval) -> None:
    """Tell the run of the rollout that began and has not ended that it is over; harmless without one."""
    from monitors.results.store import Store

    began = _unfinished(spec, settings)
    if began is None:
        return
    told = {key: began.payload.get(key) for key in ("version", "run")} | {"outcome": TAKEN_BACK}
    text = f"taken back by {approval}"
    with Store(settings.results_url) as store:
        store.record_event(spec.model, "rollout", text, settings.clock.now(), told)


def note(settings: Settings, undone: Switched, approval: Approval) -> None:
    """Keep what was done among the model's events."""
    from monitors.results.store import Store

    payload = undone.payload() | {"approved": str(approval)}
    with Store(settings.results_url) as store:
        store.record_event(undone.model, KIND, undone.text, settings.clock.now(), payload)
