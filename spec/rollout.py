"""How a registered version earns the traffic: the steps, and the limits that it must be shown to keep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from spec.errors import Problem, SpecError
from spec.record import Record
from spec.routing import Sticky, Testers
from spec.steps import SHADOW, AskBefore, Planned, Share, Step
from spec.units import Duration, Fraction, Margin, Size, format_duration

__all__ = ["SHADOW", "BusinessMetric", "Gates", "Rollout", "Terms"]

_ALWAYS = ("errors", "latency", "disagreement", "drift", "quality")
_ASKED_FOR = ("latency_shift", "memory", "cpu")
_OWN = (*_ALWAYS, *_ASKED_FOR)
_NAMES = r"^[a-z][a-z0-9_]{0,62}$"


class BusinessMetric(Record):
    """One metric of the business, asked of Prometheus for each version by itself.

    `ratio`: a counter of events (`promql`) over a counter of chances (`of`), such as bookings over sessions.
    `bounded`: any query whose answer always lies `between` two numbers, read once `every` so long.
    """

    name: Annotated[str, Field(pattern=_NAMES)]
    """Name of the gate in verdicts."""
    kind: Literal["ratio", "bounded"]
    """What the queries answer: two counters, or one bounded value."""
    promql: str
    """The query; `{slot}` or `{version}` stands for the arm. `ratio`: a plain selector of a counter."""
    of: str | None = None
    """`ratio` only: selector of the counter that `promql` is a part of."""
    between: tuple[float, float] | None = None
    """`bounded` only: what the value can never leave; the tighter, the sooner an answer is shown."""
    every: Duration = timedelta(minutes=1)
    """`bounded` only: time between two values; no shorter than the range that the query looks back."""
    better: Literal["higher", "lower"]
    """Which way is good."""
    margin: Margin
    """How much worse than the champion's it may be, in its own unit; of a ratio, a share such as 1%."""
    mirrored: bool = False
    """Whether mirrored requests move it, too. If not, it is judged only while both have live requests."""

    @field_validator("name")
    @classmethod
    def _is_not_a_gate_of_ours(cls, value: str) -> str:
        if value in _OWN:
            msg = f"must not be the name of a built-in gate ({', '.join(_OWN)})"
            raise ValueError(msg)
        return value

    @field_validator("promql", "of")
    @classmethod
    def _names_the_arm(cls, value: str | None) -> str | None:
        if value is not None and "{slot}" not in value and "{version}" not in value:
            msg = 'must hold {slot} or {version}, such as orders_total{slot="{slot}"}'
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        if (self.kind == "ratio") != (self.of is not None):
            msg = "of: a ratio needs the counter that it is a part of, a bounded metric has none"
            raise ValueError(msg)
        if (self.kind == "bounded") != (self.between is not None):
            msg = "between: a bounded metric needs its two bounds, a ratio has none"
            raise ValueError(msg)
        if self.between is not None and not -1e300 < self.between[0] < self.between[1] < 1e300:  # noqa: PLR2004 - finite
            msg = "between: must be two finite numbers, the lower one first"
            raise ValueError(msg)
        span = 1.0 if self.between is None else self.between[1] - self.between[0]
        if self.margin >= span:
            msg = f"margin: must be below {span:g}, the most that two versions can differ"
            raise ValueError(msg)
        return self

    def judged_at(self, share: Share) -> bool:
        """Whether it can be compared at a step: some users meet one version and some the other."""
        return self.mirrored or share not in (SHADOW, 1)


class Gates(Record):
    """The limits that the canary must be shown to keep."""

    errors: Fraction = 0.01
    """How far the challenger's error rate may lie above the champion's."""
    latency_p99: Duration | None = None
    """Defaults to `monitor.latency.p99`."""
    latency_shift: Annotated[Fraction, Field(gt=0)] | None = None
    """How many more of its requests than of the champion's may be slower than *any* edge of the servers'
    histogram: the whole distribution, not its tail. Null: a slower version within the objective is fine."""
    memory: Size | None = None
    """Budget of the challenger's model server: resident memory; null for none."""
    cpu: Duration | None = None
    """Budget of the challenger's model server: CPU time a request; null for none."""
    disagreement: Fraction = 0.5
    """Largest share of mirrored rows on which the two versions decide differently."""
    drift: Fraction = 0.5
    """Largest distance of the two versions' distributions of scores on the same rows (Kolmogorov-Smirnov;
    several classes: the largest change of a class's share). 100 % switches the gate off."""
    quality: Annotated[float, Field(ge=0)] = 0.005
    """How much worse the performance metric may be by day, on the same rows, in its own unit."""
    metrics: tuple[BusinessMetric, ...] = ()
    """Metrics of the business, each a gate of its own."""

    def names_at(self, share: Share) -> tuple[str, ...]:
        """Return the names of the gates that there are at a step, in the order of a verdict."""
        asked_for = [name for name in _ASKED_FOR if getattr(self, name) is not None]
        return (*_ALWAYS, *asked_for, *(metric.name for metric in self.metrics if metric.judged_at(share)))

    @field_validator("metrics")
    @classmethod
    def _names_each_once(cls, value: tuple[BusinessMetric, ...]) -> tuple[BusinessMetric, ...]:
        names = [metric.name for metric in value]
        if len(set(names)) < len(names):
            msg = f"must have different names, not {', '.join(names)}"
            raise ValueError(msg)
        return value


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds at one step of a rollout, with nothing left to a default."""

    share: Share
    gates: Gates
    """The limits."""
    awaited: tuple[str, ...]
    """Names of the gates that must pass before the next step."""
    min_requests: int
    min_time: timedelta
    deadline: timedelta


class Rollout(Record):
    """How a registered version earns the traffic."""

    steps: tuple[Planned, ...] = Field(
        default=(
            Step(share=SHADOW),
            Step(share=0.05),
            Step(share=0.25),
            Step(share=0.5),
            Step(share=1.0),
        ),
        min_length=1,
    )
    """Shares of live traffic, rising to 100 %; `shadow` mirrors and may only come first. A step may be a
    record with limits, minima and a deadline of its own: `{share: 25%, gates: [errors, latency]}`."""
    gates: Gates = Gates()
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """Probability of rolling back a challenger that is no worse, or promoting one that is."""
    min_requests: Annotated[int, Field(ge=1)] = 500
    """Requests that the challenger must have answered at a step before it may pass."""
    min_time: Duration | None = None
    """How long a step lasts at least, whatever the gates say; null for no longer than they need."""
    requests_per_user: Annotated[int, Field(ge=1)] = 1
    """The most requests of one user at a step, if they fail and succeed together. Counts weigh so much less:
    4 needs a little over four times the traffic. 1: requests are independent."""
    min_days: Annotated[int, Field(ge=2)] = 7
    """Event-time days of paired, labelled rows that the quality gate needs."""
    day_correlation: Annotated[Fraction, Field(lt=1)] = 0.8
    """How far a day's shortfall may correlate with the next day's; the quality gate finds out how far it
    does. 0: days are independent, which takes half of the days to tell the same."""
    deadline: Duration = timedelta(days=30)
    """A step that is still undecided after this long is rolled back."""
    lease: Duration = timedelta(minutes=2)
    """The guard returns traffic to the champion when nobody renews for this long (wall time)."""
    sticky: Sticky | None = None
    """Keeps a user at one version: `{header: x-user-id}` or `{cookie: user}`; null draws each request."""
    testers: Testers | None = None
    """Lets a request choose its version: `{header: x-trimtab-version}`; null for no such way."""
    approval: Literal["never"] | AskBefore = "never"
    """Steps that begin only after a person has said yes: `{before: 50%}`."""

    def at(self, share: Share) -> Terms:
        """Return what holds at a step; `SpecError` where there is none with that share."""
        step = next((step for step in self.steps if step.share == share), None)
        if step is None:
            known = ", ".join(_name(step.share) for step in self.steps)
            raise SpecError([Problem("rollout.steps", f"must hold {_name(share)}", known)])
        own = {name: limit for name, limit in step.limits if limit is not None}
        gates = self.gates.model_copy(update=own) if own else self.gates
        return Terms(
            share=share,
            gates=gates,
            awaited=step.gates or gates.names_at(share),
            min_requests=step.min_requests or self.min_requests,
            min_time=step.min_time or self.min_time or timedelta(0),
            deadline=step.deadline or self.deadline,
        )

    def approved_first(self, share: Share) -> bool:
        """Whether a step begins only after a person has said yes."""
        return self.approval != "never" and share in self.approval.before

    @model_validator(mode="after")
    def _steps_rise_to_all(self) -> Self:
        shares = [step.share for step in self.steps if step.share != SHADOW]
        if any(step.share == SHADOW for step in self.steps[1:]):
            msg = "steps: shadow may only come first"
            raise ValueError(msg)
        if not shares or shares[-1] != 1 or any(b <= a for a, b in pairwise(shares)):
            msg = "steps: the shares must rise and end with 100%"
            raise ValueError(msg)
        if shares[0] == 0:
            msg = "steps: a share of 0 % sends no traffic; use shadow"
            raise ValueError(msg)
        if any(round(share * 100, 6) % 1 for share in shares):
            msg = "steps: the shares must be whole percents"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _metrics_have_a_step(self) -> Self:
        live = [metric.name for metric in self.gates.metrics if not metric.mirrored]
        if live and not any(step.share not in (SHADOW, 1) for step in self.steps):
            msg = f"steps: {', '.join(live)} can only be judged at a share between shadow and 100%; add one"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _gates_have_a_step(self) -> Self:
        wrong = [*self._unknown_gates(), *self._gates_of_no_step()]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    @model_validator(mode="after")
    def _step_can_end(self) -> Self:
        for terms in (self.at(step.share) for step in self.steps):
            if terms.min_time >= terms.deadline:
                least, most = format_duration(terms.min_time), format_duration(terms.deadline)
                msg = f"steps: {_name(terms.share)}: min_time {least} must be below the deadline {most}"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _routing_means_steps(self) -> Self:
        shares = [step.share for step in self.steps]
        asked = () if self.approval == "never" else self.approval.before
        unknown = [_name(share) for share in asked if share not in shares]
        if unknown:
            known = ", ".join(map(_name, shares))
            msg = f"approval: before must name steps ({known}), not {', '.join(unknown)}"
            raise ValueError(msg)
        if self.sticky and self.testers and self.sticky.header and self.sticky.header == self.testers.header:
            msg = f"testers: {self.testers.header} names the user already (sticky)"
            raise ValueError(msg)
        return self

    def _unknown_gates(self) -> Iterator[str]:
        for step in self.steps:
            known = self.at(step.share).gates.names_at(step.share)
            unknown = [name for name in step.gates or () if name not in known]
            if unknown:
                yield (
                    f"steps: {_name(step.share)}: gates must be some of {', '.join(known)}, "
                    f"not {', '.join(unknown)}"
                )

    def _gates_of_no_step(self) -> Iterator[str]:
        terms = [self.at(step.share) for step in self.steps]
        there = dict.fromkeys(name for one in terms for name in one.gates.names_at(one.share))
        left = [name for name in there if not any(name in one.awaited for one in terms)]
        if left:
            yield f"steps: {', '.join(left)} must be in the gates of a step, or nothing shows that it is kept"


def _name(share: Share) -> str:
    return share if isinstance(share, str) else f"{100 * share:g}%"
