"""How a rollout that ends gives the traffic back, and what it leaves alone because it is somebody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spec import ModelSpec, Settings, Unavailable

if TYPE_CHECKING:
    from rollout.routers import Router
    from rollout.split import Split


def give_back(
    router: Router, spec: ModelSpec, settings: Settings, rollout: dict[str, Any], champion: str | None
) -> None:
    """Settle the traffic on the slot that the rollout began from, also after a promotion that broke.

    A canary ends at once, whatever its server says, unless that is of another version: somebody else's, who
    was quicker. All traffic in the rollout's slot is either a promotion whose alias has not moved, which is
    taken back, or a person's (`trimtab rollback`, `trimtab promote --force`), which stays. The version in the
    slot tells; where its server is away the alias does, and where neither is known nothing moves: what has
    all traffic has passed every gate, or a person wanted it.

    Parameters
    ----------
    rollout
        What the task `load` returned.
    champion
        The version that the alias names; None where the registry did not answer.
    """
    from rollout import slots
    from rollout.split import Split, other

    slot, before = rollout["slot"], other(rollout["slot"])

    def end_canary(current: Split) -> Split:
        return current.returned() if current.champion == before else current

    def take_back(current: Split) -> Split:
        return Split(champion=before) if current.champion == slot else current

    # A server that is away does not spare a canary, whatever the alias says.
    if not _is_ours(_version(spec, settings, rollout), rollout, rollout["champion"]):
        return
    if router.amend(spec.model, end_canary).champion == before:
        return
    with slots.held(spec, settings):  # nobody is just loading what he gives the traffic to
        if _is_ours(_version(spec, settings, rollout), rollout, champion):
            router.amend(spec.model, take_back)


def _is_ours(loaded: str | None, rollout: dict[str, Any], champion: str | None) -> bool:
    return champion == rollout["champion"] if loaded is None else loaded == str(rollout["challenger"])


def _version(spec: ModelSpec, settings: Settings, rollout: dict[str, Any]) -> str | None:
    """Return the version in the rollout's slot; None while its server is away, or empty as it starts."""
    from rollout import slots

    try:
        return slots.loaded(spec, settings, rollout["slot"])
    except Unavailable:
        return None
