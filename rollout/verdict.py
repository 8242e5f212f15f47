"""What the judge says: one result per gate and one decision, as records that people and machines read."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollout import steps
from rollout.steps import Step

Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Outcome(StrEnum):
    """What one gate found."""

    PASS = "pass"  # noqa: S105 - no secret
    """The limit is shown to be kept."""
    HOLD = "hold"
    """Neither harm nor its absence is shown."""
    ROLLBACK = "rollback"
    """Harm is shown."""


class Decision(StrEnum):
    """What is to be done."""

    PROMOTE = "promote"
    """Go to the next step, after the last one to champion."""
    HOLD = "hold"
    ROLLBACK = "rollback"


class GateResult(_Record):
    """One gate: a value with its interval beside the limit, and from how much."""

    gate: str
    """A gate of `rollout.gates`, or the name of one of the spec's business metrics."""
    outcome: Outcome
    value: Finite | None = None
    """The estimate; None where nothing was seen."""
    low: Finite | None = None
    high: Finite | None = None
    limit: Finite
    unit: str = "share"
    """``share``, ``B``, ``s``, or the name of the metric whose unit it is."""
    n: Annotated[int, Field(ge=0)] = 0
    """Requests, pairs, or days of the challenger."""
    counted: str = "requests"
    """What `n` counts."""
    why: str = ""
    """One sentence that ends what the numbers leave open."""
    awaited: bool = True
    """Whether it must pass before the next step. If not it is watched: only harm that it shows decides."""

    def line(self) -> str:
        """Return the gate as one line: name, outcome, value, comparison, limit, interval, n, why."""
        sign = {Outcome.PASS: "≤", Outcome.HOLD: "vs", Outcome.ROLLBACK: ">"}[self.outcome]
        value = "no data" if self.value is None else self._shown(self.value)
        within = "" if self.low is None or self.high is None else self._range(self.low, self.high)
        why = f": {self.why}" if self.why else ""
        watched = "" if self.awaited else " (watched)"
        limit = self._shown(self.limit)
        head = f"{self.gate:<12} {self.outcome:<8} {value} {sign} {limit}"
        return f"{head}{within}, {self.n} {self.counted}{why}{watched}"

    def _range(self, low: float, high: float) -> str:
        return f" [{self._shown(low)}, {self._shown(high)}]"

    def _shown(self, value: float) -> str:
        return f"{100 * value:.3g} %" if self.unit == "share" else f"{value:.3g} {self.unit}"


class Verdict(_Record):
    """The judgement of one look at one step."""

    schema_version: Literal[1, 2] = 2
    """1 had no `awaited`: every gate was."""
    model: str
    challenger: str
    champion: str
    step: Step
    at: AwareDatetime
    decision: Decision
    reason: str
    gates: tuple[GateResult, ...]

    @property
    def shows_harm(self) -> bool:
        """Whether a gate shows harm; a step may go back without that, for want of evidence in time."""
        return any(gate.outcome is Outcome.ROLLBACK for gate in self.gates)

    def summary(self) -> str:
        """Return the verdict for people: a headline, then one line per gate."""
        head = f"{self.model} {self.challenger} against {self.champion}, step {steps.name(self.step)}: "
        lines = [f"{head}{self.decision.upper()}. {self.reason}", *(gate.line() for gate in self.gates)]
        return "\n".join(lines)
