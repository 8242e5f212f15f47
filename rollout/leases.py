"""The lease of a canary: only who still holds it may keep or raise the challenger's traffic.

Leases are wall time. A lease that ran out is lost even if the guard did not get to it yet: whoever held
it must start again, and never sends traffic back to a challenger that the guard took it from.
"""

from __future__ import annotations

from datetime import UTC, datetime

from rollout.routers import Router
from rollout.split import ALL, Slot, Split
from rollout.steps import promoted
from spec import Refused


def begin(router: Router, model: str, split: Split) -> Split:
    """Start a rollout: from a settled split to `split`, which has the same champion.

    Raises
    ------
    Refused
        Another rollout of the model is under way, or the champion is in another slot by now.
    """

    def change(current: Split) -> Split:
        if not current.settled and not current.lapsed(datetime.now(UTC)):
            msg = f"A rollout of {model} is under way ({current}); it must end before another starts."
            raise Refused(msg)
        _same_champion(model, current, split)
        return split

    return router.amend(model, change)


def advance(router: Router, model: str, split: Split) -> Split:
    """Go from one step to the next while the lease is held.

    Raises
    ------
    Refused
        The lease was lost, or the champion is in another slot by now.
    """

    def change(current: Split) -> Split:
        _held(model, current)
        _same_champion(model, current, split)
        return split

    return router.amend(model, change)


def renew(router: Router, model: str, until: datetime) -> Split:
    """Extend the lease to `until` (wall time, aware) while it is held; no route is touched.

    Raises
    ------
    Refused
        The lease was lost.
    """

    def change(current: Split) -> Split:
        _held(model, current)
        return Split.model_validate(current.model_dump() | {"lease_until": until})

    return router.amend(model, change)


def promote(router: Router, model: str, slot: Slot) -> Split:
    """Make the challenger's `slot` the champion's, while the lease is held and it has all live traffic.

    Safe to repeat: a slot that is the champion's already stays it.

    Raises
    ------
    Refused
        The lease was lost, or the challenger does not take all live traffic yet.
    """

    def change(current: Split) -> Split:
        if current == Split(champion=slot):
            return current
        _held(model, current)
        if current.champion == slot or current.weights[slot] != ALL:
            msg = f"The challenger of {model} may only be promoted from 100 % of the traffic ({current})."
            raise Refused(msg)
        return promoted(current)

    return router.amend(model, change)


def release(router: Router, model: str) -> Split:
    """Return all traffic to the champion, whoever holds the lease; harmless when it is there already."""
    return router.amend(model, Split.returned)


def _held(model: str, current: Split) -> None:
    if current.settled:
        msg = f"The lease of {model}'s canary was lost: its traffic is back at the champion ({current})."
        raise Refused(msg)
    if current.lapsed(datetime.now(UTC)):
        msg = f"The lease of {model}'s canary was lost: it ran out at {current.lease_until}."
        raise Refused(msg)


def _same_champion(model: str, current: Split, split: Split) -> None:
    if current.champion != split.champion:
        msg = f"The champion of {model} is in slot {current.champion} by now, not in {split.champion}."
        raise Refused(msg)
