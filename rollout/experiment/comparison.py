"""What an experiment says of one gate or metric: both versions' values, how they differ, and in words."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from rollout.verdict import Finite


class Word(StrEnum):
    """What is shown of one number, at the level of its interval."""

    BETTER = "better"
    """The whole interval lies on the good side of 0."""
    WITHIN = "no worse within the margin"
    """The bad end of the interval lies within the margin."""
    SLIGHTLY = "worse, but within the margin"
    """Both: it is worse, and by no more than was agreed to be borne."""
    WORSE = "worse"
    """The whole interval lies on the bad side of 0, or the gate has shown harm."""
    OPEN = "not shown"
    """None of these: too little, nothing, or a difference too small to tell."""


class Comparison(BaseModel):
    """One number at both versions. Differences are the challenger's minus the champion's."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """A gate, or a metric of the business."""
    what: str = ""
    """What the number is, where the name does not say it."""
    better: Literal["higher", "lower"]
    champion: Finite | None = None
    challenger: Finite | None = None
    low: Finite | None = None
    """Lower end of the interval of the difference that holds at all looks together."""
    high: Finite | None = None
    difference: Finite | None = None
    margin: Finite
    """How much worse the challenger may be."""
    unit: str = "share"
    """``share``, or the name of the metric whose unit it is."""
    n: Annotated[int, Field(ge=0)] = 0
    """Requests, chances, values or days of the challenger."""
    of_champion: Annotated[int, Field(ge=0)] = 0
    """The same of the champion."""
    counted: str = "requests"
    word: Word = Word.OPEN
    why: str = ""


def word(low: float | None, high: float | None, margin: float, *, harmed: bool, enough: bool) -> Word:
    """Return what is shown.

    Parameters
    ----------
    low, high
        Interval of how much worse the challenger is; None where there is none.
    harmed
        Whether the gate has shown harm; it may see by a sharper test than the interval.
    enough
        Whether as much was counted as the gate asks for.
    """
    if harmed:
        return Word.WORSE
    if low is None or high is None or not enough:
        return Word.OPEN
    if high < 0:
        return Word.BETTER
    if high <= margin:
        return Word.SLIGHTLY if low > 0 else Word.WITHIN
    return Word.WORSE if low > 0 else Word.OPEN
