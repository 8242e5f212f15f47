"""An A/B experiment: a split that is held for a stated time and promotes nobody."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, Field, ValidationError

from spec.errors import Problem, SpecError
from spec.record import Record
from spec.units import Duration, Fraction


def _is_whole_percent(value: float) -> float:
    if not 0 < value < 1 or round(value * 100, 6) % 1:
        msg = "must be a whole percent from 1% to 99%"
        raise ValueError(msg)
    return value


def _is_bounded(value: timedelta) -> timedelta:
    if value > _LONGEST:
        msg = f"must be at most {_LONGEST.days}d"
        raise ValueError(msg)
    return value


_LONGEST = timedelta(days=84)


class Experiment(Record):
    """How long which part of the traffic meets another version than the champion.

    What is compared, and within which margins, is as `rollout.gates` says; who keeps which version is as
    `rollout.sticky` says.
    """

    share: Annotated[Fraction, AfterValidator(_is_whole_percent)] = 0.5
    """The other version's share of live traffic. Half and half tells most for each request."""
    lasts: Annotated[Duration, AfterValidator(_is_bounded)] = Field(default=timedelta(days=14), alias="for")
    """How long the split is held, at most 84d; of whole weeks each day of the week has its part."""
    early: bool = False
    """Whether it ends before its time once every gate and metric has an answer. Harm always ends it."""

    def but(self, **given: object) -> Self:
        """Return these terms with some of the YAML's keys changed; None leaves a key as it is.

        Raises
        ------
        SpecError
            A value is impossible; with every such problem.
        """
        own = self.model_dump(by_alias=True)
        changed = {key: value for key, value in given.items() if value is not None}
        try:
            return self.model_validate(own | changed)
        except ValidationError as error:
            raise SpecError([_problem(dict(detail)) for detail in error.errors()]) from error


def _problem(detail: dict[str, object]) -> Problem:
    place = detail["loc"]
    path = ".".join(map(str, place)) if isinstance(place, tuple) else str(place)
    told = str(detail["msg"]).removeprefix("Value error, ")
    return Problem(f"experiment.{path}", told, repr(detail["input"]))
