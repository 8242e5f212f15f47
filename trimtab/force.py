"""Make a version the champion without its gates, and keep who wanted that and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spec import ModelSpec, NotFound, Refused, Settings, did_you_mean
from trimtab import switch
from trimtab.switch import Switched

if TYPE_CHECKING:
    from retraining.registry import Approval, Registry
    from rollout.routers import Router
    from rollout.split import Split


def promote(
    spec: ModelSpec, settings: Settings, router: Router, version: str | None, approval: Approval
) -> Switched:
    """Give a version all traffic, then the alias ``champion`` and the name of who wanted it.

    A canary of the same version is promoted from where it stands; one of another version loses its traffic,
    and its run ends as rolled back by itself. A second call finishes one that broke.

    Parameters
    ----------
    version
        By default the challenger.

    Raises
    ------
    NotFound
        There is no such version, or no challenger.
    Refused
        It is the champion already, its server will not load it, or somebody moved the traffic meanwhile.
    Unavailable
        The registry, the model server or the gateway did not answer.
    """
    from retraining.registry import Registry

    switch.impatient()
    registry = Registry(settings)
    wanted = _wanted(registry, spec, version)
    before = registry.version(spec.model, "champion")
    slot = switch.give_all(spec, settings, router, _freed(spec, settings, router, wanted), wanted)
    registry.promote(spec.model, wanted, approval, force=True)
    now = router.read(spec.model)
    if now.champion != slot:  # the run of the canary that was ended took back what it thought was its own
        slot = switch.give_all(spec, settings, router, now, wanted)
    text = f"version {wanted} is the champion and answers from slot {slot} (before: {before}), past its gates"
    return Switched(spec.model, wanted, slot, text)


def _wanted(registry: Registry, spec: ModelSpec, version: str | None) -> str:
    wanted = version or registry.version(spec.model, "challenger")
    if wanted is None:
        msg = f"{spec.model} has no challenger; name a version"
        raise NotFound(msg)
    known = {found.version: found for found in registry.versions(spec.model)}
    if wanted not in known:
        msg = f"{spec.model} has no version {wanted!r} in the registry. {did_you_mean(wanted, known)}"
        raise NotFound(msg)
    if known[wanted].status == "champion":
        msg = f"version {wanted} of {spec.model} is the champion already"
        raise Refused(msg)
    return wanted


def _freed(spec: ModelSpec, settings: Settings, router: Router, wanted: str) -> Split:
    """Return the split to start from: what is there, without the canary of another version."""
    from rollout import leases, slots

    split = router.read(spec.model)
    if split.settled or slots.loaded(spec, settings, split.idle) == wanted:
        return split
    return leases.release(router, spec.model)


def note(settings: Settings, done: Switched, approval: Approval) -> None:
    """Keep what was done among the model's events."""
    from monitors.results.store import Store

    payload = done.payload() | {"outcome": "forced", "approved": str(approval)}
    text = f"{done.text}: {approval}"
    with Store(settings.results_url) as store:
        store.record_event(done.model, "rollout", text, settings.clock.now(), payload)
