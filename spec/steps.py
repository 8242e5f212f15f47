"""The plan of a rollout: its steps, what each asks for, and where a person is asked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
)

from spec.record import Record
from spec.units import Duration, Fraction, Size

SHADOW: Literal["shadow"] = "shadow"
Share = Literal["shadow"] | Fraction
"""What names a step: ``shadow``, or the challenger's share of live traffic, such as ``5%``."""


class Limits(Record):
    """Limits of one step; what is not named is as `rollout.gates` says.

    `latency_p99` and the margins of business metrics are the same at every step: the servers count at one
    edge.
    """

    errors: Fraction | None = None
    """As `rollout.gates.errors`."""
    latency_shift: Annotated[Fraction, Field(gt=0)] | None = None
    """As `rollout.gates.latency_shift`."""
    memory: Size | None = None
    """As `rollout.gates.memory`."""
    cpu: Duration | None = None
    """As `rollout.gates.cpu`."""
    disagreement: Fraction | None = None
    """As `rollout.gates.disagreement`."""
    drift: Fraction | None = None
    """As `rollout.gates.drift`."""
    quality: Annotated[float, Field(ge=0)] | None = None
    """As `rollout.gates.quality`."""


class Step(Record):
    """One step of a rollout; a bare share such as `5%` is a step that adds nothing to the rollout."""

    share: Share
    """The challenger's share of live traffic, or `shadow`: every live request is mirrored to it."""
    gates: tuple[str, ...] | None = None
    """Gates that must pass before the next step; null for all. The others are judged and reported all the
    same, and harm that they show rolls back. `errors` must be one of them, and each gate of one step."""
    limits: Limits = Limits()
    """Limits of this step."""
    min_requests: Annotated[int, Field(ge=1)] | None = None
    """Defaults to `rollout.min_requests`."""
    min_time: Duration | None = None
    """Defaults to `rollout.min_time`."""
    deadline: Duration | None = None
    """Defaults to `rollout.deadline`."""

    @field_validator("gates")
    @classmethod
    def _names_gates(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and "errors" not in value:
            msg = "must name errors: no step goes on before requests are shown not to fail"
            raise ValueError(msg)
        return value

    @model_serializer(mode="wrap")
    def _as_written(self, record: SerializerFunctionWrapHandler) -> Any:
        """Write a step that is no more than a share as a YAML does."""
        return self.share if self == Step(share=self.share) else record(self)


def _from_share(value: object) -> object:
    return {"share": value} if isinstance(value, str | int | float) else value


Planned = Annotated[Step, BeforeValidator(_from_share, json_schema_input_type=Share | Step)]
"""A step, written as a share or as a record."""


def _as_many(value: object) -> object:
    return [value] if isinstance(value, str | int | float) else value


class AskBefore(Record):
    """Steps that begin only after a person has said yes."""

    before: Annotated[
        tuple[Share, ...],
        BeforeValidator(_as_many, json_schema_input_type=Share | list[Share]),
        Field(min_length=1),
    ]
    """Shares of the steps, one or many: `50%` or `[shadow, 50%]`."""
