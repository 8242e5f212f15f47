"""Bring a model back to what served before: end its canary, or make the version before champion again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from spec import ModelSpec, NotFound, Refused, Settings, Unavailable

if TYPE_CHECKING:
    from retraining.registry import Approval
    from rollout.routers import Router
    from rollout.split import Split


KIND = "rollback"
"""The kind of the events that rollbacks by hand are stored as."""


@dataclass(frozen=True, slots=True)
class Undone:
    """What a rollback did, in one sentence for people; `version` answers all requests now."""

    model: str
    version: str
    slot: str
    text: str

    def payload(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        return asdict(self)


def roll_back(spec: ModelSpec, settings: Settings, router: Router, approval: Approval) -> Undone:
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
    slot = _bring_back(spec, settings, router, split, previous)
    registry.promote(spec.model, previous, approval, force=True)
    text = f"version {previous} is the champion again and answers from slot {slot}; version {champion} is not"
    return Undone(spec.model, previous, slot, text)


def _end_canary(spec: ModelSpec, settings: Settings, router: Router, split: Split) -> Undone:
    from rollout import leases, slots

    back = leases.release(router, spec.model)
    try:
        version = slots.loaded(spec, settings, back.champion) or "none"
    except Unavailable:  # the traffic is back all the same
        version = "unknown"
    text = f"all traffic is back at version {version} in slot {back.champion} (it was: {split})"
    return Undone(spec.model, version, back.champion, text)


def _bring_back(spec: ModelSpec, settings: Settings, router: Router, seen: Split, previous: str) -> str:
    """Give all traffic to the slot of the version before, loaded there first; return the slot."""
    from rollout import slots
    from rollout.split import Split

    if slots.loaded(spec, settings, seen.champion) == previous:  # an earlier call came as far as this
        return seen.champion
    if slots.loaded(spec, settings, seen.idle) != previous:
        slots.load(spec, settings, seen.idle, previous)

    def change(current: Split) -> Split:
        if current != seen:
            msg = f"The traffic of {spec.model} was moved meanwhile ({current}); look, and try again"
            raise Refused(msg)
        return Split(champion=seen.idle)

    return router.amend(spec.model, change).champion


def note(settings: Settings, undone: Undone, approval: Approval) -> None:
    """Keep what was done among the model's events."""
    from monitors.results import Store

    payload = undone.payload() | {"approved": str(approval)}
    with Store(settings.results_url) as store:
        store.record_event(undone.model, KIND, undone.text, settings.clock.now(), payload)
