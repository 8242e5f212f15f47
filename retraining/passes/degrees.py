"""How far to go: the harshest degree of a pass that is shown to keep the budget, of as few looks as can be.

Every look at the same validation rows is a chance to be taken in by luck. A fixed sequence that ends with the
first failure needs no correction (Maurer, Hothorn, Lehmacher 1995); other searches share the risk by looks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from retraining.fitted import Fitted
from retraining.passes.optimization_pass import NotApplicable, Trial

Degree = TypeVar("Degree")


def harshest(
    trial: Trial, degrees: Sequence[Degree], made: Callable[[Degree], Fitted], options: int = 1
) -> Degree:
    """Return the last degree before the first one that does not keep the budget.

    A model that does not keep it itself may come to do so on the way; then all degrees are looked at, each at
    its part of the risk, and the last that keeps it is returned.

    Parameters
    ----------
    degrees
        The mildest first.
    options
        Of how many models `made` returns the best by the validation rows.

    Raises
    ------
    NotApplicable
        None keeps it.
    """
    keeps = trial.judged(trial.model).kept
    looks = options if keeps else options * len(degrees)
    found, told = list[Degree](), ""
    for degree in degrees:
        judged = trial.judged(made(degree), looks)
        if judged.kept:
            found.append(degree)
            continue
        told = told or judged.told
        if keeps:
            break
    if not found:
        msg = f"no degree of it keeps the budget; the mildest: {told}"
        raise NotApplicable(msg)
    return found[-1]


def bisected(trial: Trial, most: int, made: Callable[[int], Fitted]) -> int:
    """Return the largest degree from 1 to `most` that keeps the budget, for passes whose looks are dear.

    A loss that grows with each further degree is taken for granted.

    Raises
    ------
    NotApplicable
        None keeps it.
    """
    looks = max(1, most.bit_length())
    enough, too_much, told = 0, most + 1, "there is none"
    while too_much - enough > 1:
        tried = (enough + too_much) // 2
        judged = trial.judged(made(tried), looks)
        if judged.kept:
            enough = tried
        else:
            too_much, told = tried, judged.told
    if not enough:
        msg = f"no degree of it keeps the budget; the mildest: {told}"
        raise NotApplicable(msg)
    return enough
