"""What the steps of a rollout mean for the traffic. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from rollout.split import ALL, Slot, Split, other
from spec import SHADOW, Problem, SpecError

if TYPE_CHECKING:
    from spec.rollout import Rollout

Step = Literal["shadow"] | float
"""``shadow``, or the challenger's share of live traffic in (0, 1]."""


def at_step(
    champion: Slot,
    step: Step,
    lease_until: datetime,
    rollout: Rollout | None = None,
    *,
    mirrors: bool = True,
) -> Split:
    """Return the split of a step; the challenger is in the slot that is not `champion`.

    `rollout` is the model's; its `sticky` and `testers` hold from the first step to the last.

    ======== ========== ========== ===========
    step     champion   challenger mirrored to
    ======== ========== ========== ===========
    shadow   100 %      0 %        challenger
    5%       95 %       5 %        challenger
    100%     0 %        100 %      champion
    ======== ========== ========== ===========

    The mirror goes on at every step, so that both versions keep scoring the same requests; at 100 % it
    keeps the champion warm and comparable until the promotion. A router without mirrors divides only.

    Raises
    ------
    SpecError
        The share is no whole percent from 1 to 100, or it is `shadow` where the router has no mirror.
    """
    if step == SHADOW and not mirrors:
        found = "a router that cannot copy requests"
        raise SpecError([Problem("rollout.steps", "must begin with a share, without shadow", found)])
    challenger = other(champion)
    share = 0 if step == SHADOW else percent(step)
    weights = {champion: ALL - share, challenger: share}
    mirror = champion if share == ALL else challenger
    return Split(
        champion=champion,
        weights=weights,
        mirror=mirror if mirrors else None,
        lease_until=lease_until,
        sticky=rollout and rollout.sticky,
        testers=rollout and rollout.testers,
    )


def promoted(split: Split) -> Split:
    """Return the split after the promotion: the challenger's slot is the champion's, nothing is mirrored."""
    return Split(champion=split.idle)


def percent(step: float) -> int:
    """Return a share as whole percent from 1 to 100; `SpecError` for any other share."""
    share = round(step * ALL)
    if not 1 <= share <= ALL or abs(step * ALL - share) > 1e-9:  # noqa: PLR2004 - rounding of 0.29 * 100
        raise SpecError(
            [Problem("rollout.steps", "shares must be whole percents from 1% to 100%", f"{step:g}")]
        )
    return share


def name(step: Step) -> str:
    """Return a step as a model's YAML spells it: ``shadow``, ``5%``."""
    return step if isinstance(step, str) else f"{step * 100:g}%"
