"""How the traffic of one model is divided between its two slots."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic import model_validator as validator

from spec import DataError, Problem
from spec.routing import Sticky, Testers

Slot = Literal["blue", "green"]
BOTH: tuple[Slot, Slot] = ("blue", "green")
Percent = Annotated[int, Field(ge=0, le=100, strict=True)]
ALL = 100
_NO_ROUTE = {"lease_until"}


class Split(BaseModel):
    """Weights of live traffic, the mirror, and until when both may stay.

    Whatever is not "all to the champion, no mirror" carries a lease, so that nothing unproven
    keeps traffic when its judge is gone.

    Raises
    ------
    pydantic.ValidationError
        On construction: weights that are no whole percents or do not sum to 100, an unknown slot, a
        mirror that already takes all live traffic, or a canary without a lease.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    schema_version: Literal[2] = 2
    """1 had neither `sticky` nor `testers`; it is read as 2."""
    champion: Slot = "blue"
    """Slot of the champion: where traffic goes back to."""
    weights: Mapping[Slot, Percent] = Field(
        default_factory=lambda data: {data.get("champion", "blue"): ALL}, validate_default=True
    )
    """Percent of live requests by slot; a slot that is not named gets 0."""
    mirror: Slot | None = None
    """Slot that gets a copy of every live request; its answers are dropped."""
    lease_until: AwareDatetime | None = None
    """Wall time until which the guard leaves this split alone."""
    sticky: Sticky | None = None
    """What keeps a user at one version; None draws each request. The split has it from the rollout that
    began, so that every writer of routes knows it of every model."""
    testers: Testers | None = None
    """How a request chooses its version; a settled split knows no such way."""

    @field_validator("schema_version", mode="before")
    @classmethod
    def _read_the_first(cls, value: object) -> object:
        return 2 if value == 1 else value

    @field_validator("weights", mode="after")
    @classmethod
    def _name_both_slots(cls, weights: Mapping[Slot, int]) -> Mapping[Slot, int]:
        total = sum(weights.values())
        if total != ALL:
            msg = f"must sum to 100, not {total}"
            raise ValueError(msg)
        return {"blue": weights.get("blue", 0), "green": weights.get("green", 0)}

    @validator(mode="after")
    def _hangs_together(self) -> Self:
        if self.mirror is not None and self.weights[self.mirror] == ALL:
            msg = f"mirror: {self.mirror} already takes all live traffic"
            raise ValueError(msg)
        if not self.settled and self.lease_until is None:
            msg = "lease_until: traffic to a slot that is not the champion's needs a lease"
            raise ValueError(msg)
        return self

    @property
    def idle(self) -> Slot:
        """The slot that is not the champion's: where a challenger loads."""
        return other(self.champion)

    @property
    def settled(self) -> bool:
        """Whether all traffic goes to the champion and nothing is mirrored."""
        return self.weights[self.champion] == ALL and self.mirror is None

    def returned(self) -> Split:
        """All traffic to the champion, no mirror, no lease."""
        return Split(champion=self.champion)

    def lapsed(self, now: datetime) -> bool:
        """Whether the lease has run out at `now` (wall time, aware); a settled split never lapses."""
        return not self.settled and self.lease_until is not None and now >= self.lease_until

    def same_routes(self, another: Split) -> bool:
        """Whether both send every request the same way; leases may differ."""
        return self.model_dump(exclude=_NO_ROUTE) == another.model_dump(exclude=_NO_ROUTE)

    def __str__(self) -> str:
        """``blue 95 %, green 5 %, mirrored to green``."""
        order = (self.champion, self.idle)
        parts = [f"{slot} {self.weights[slot]} %" for slot in order if self.weights[slot]]
        return ", ".join([*parts, f"mirrored to {self.mirror}"] if self.mirror else parts)


def other(slot: Slot) -> Slot:
    """Return the other of the two slots."""
    return "green" if slot == "blue" else "blue"


def parse(text: str | bytes, where: str) -> Split:
    """Read a split from JSON; `DataError` with every problem, each placed in `where`."""
    try:
        return Split.model_validate_json(text)
    except ValidationError as error:
        raise DataError([_problem(dict(detail), where) for detail in error.errors()]) from error


def _problem(detail: dict[str, Any], where: str) -> Problem:
    path = ".".join(str(part) for part in detail["loc"])
    message = str(detail["msg"]).removeprefix("Value error, ")
    hint = "Remove the file to start again with all traffic at the champion in slot blue"
    return Problem(f"{where}: {path}" if path else where, message, repr(detail["input"])[:80], hint)
