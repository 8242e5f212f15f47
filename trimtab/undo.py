"""Bring a model back to what served before: end its canary, or make the version before champion again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spec import ModelSpec, NotFound, Settings, Unavailable
from trimtab import switch
from trimtab.switch import Switched

if TYPE_CHECKING:
    from retraining.registry import Approval
    from rollout.routers import Router
    from rollout.split import Split


KIND = "rollback"
"""The kind of the events that rollbacks by hand are stored as."""


def roll_back(spec: ModelSpec, settings: Settings, router: Router, approval: Approval) -> Switched:
    """Give all traffic to the champion if a canary is on its way, else to the version before it.

    A canary that loses its traffic loses its lease: its run in Airflow ends as rolled back by itself. Without
    one, ``previous`` is loaded into the idle slot if it is no longer there, gets all traffic, and then the
    alias ``champion`` and the name of who wanted it. A second call finishes one that
    broke, and undoes one that did not.

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
        return _end_canary(spec, settings, router, split)
    from retraining.registry import Registry  # behind the canary, whose traffic waits for no import

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
    from rollout import leases, slots

    back = leases.release(router, spec.model)
    try:
        version = slots.loaded(spec, settings, back.champion) or "none"
    except Unavailable:  # the traffic is back all the same
        version = "unknown"
    text = f"all traffic is back at version {version} in slot {back.champion} (it was: {split})"
    return Switched(spec.model, version, back.champion, text)


def note(settings: Settings, undone: Switched, approval: Approval) -> None:
    """Keep what was done among the model's events."""
    from monitors.results import Store

    payload = undone.payload() | {"approved": str(approval)}
    with Store(settings.results_url) as store:
        store.record_event(undone.model, KIND, undone.text, settings.clock.now(), payload)
