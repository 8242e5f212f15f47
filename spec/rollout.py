"""How a registered version earns the traffic: the steps, and the limits that it must be shown to keep."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from spec.record import Record
from spec.units import Duration, Fraction, Margin, Size

SHADOW: Literal["shadow"] = "shadow"
_OWN = ("errors", "latency", "latency_shift", "memory", "cpu", "disagreement", "drift", "quality")
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
        if self.between is not None and not -1e300 < self.between[0] < self.between[1] < 1e300:  # noqa: PLR2004
            msg = "between: must be two finite numbers, the lower one first"
            raise ValueError(msg)
        span = 1.0 if self.between is None else self.between[1] - self.between[0]
        if self.margin >= span:
            msg = f"margin: must be below {span:g}, the most that two versions can differ"
            raise ValueError(msg)
        return self


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

    @field_validator("metrics")
    @classmethod
    def _names_each_once(cls, value: tuple[BusinessMetric, ...]) -> tuple[BusinessMetric, ...]:
        names = [metric.name for metric in value]
        if len(set(names)) < len(names):
            msg = f"must have different names, not {', '.join(names)}"
            raise ValueError(msg)
        return value


class Rollout(Record):
    """How a registered version earns the traffic."""

    steps: tuple[Literal["shadow"] | Fraction, ...] = Field(
        default=(SHADOW, 0.05, 0.25, 0.5, 1.0), min_length=1
    )
    """Shares of live traffic, rising to 100 %; `shadow` mirrors and may only come first."""
    gates: Gates = Gates()
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """Probability of rolling back a challenger that is no worse, or promoting one that is."""
    min_requests: Annotated[int, Field(ge=1)] = 500
    """Requests that the challenger must have answered at a step before it may pass."""
    requests_per_user: Annotated[int, Field(ge=1)] = 1
    """The most requests of one user at a step, if they fail and succeed together. Counts weigh so much less:
    4 needs a little over four times the traffic. 1: requests are independent."""
    min_days: Annotated[int, Field(ge=2)] = 7
    """Event-time days of paired, labelled rows that the quality gate needs."""
    deadline: Duration = timedelta(days=30)
    """A step that is still undecided after this long is rolled back."""
    lease: Duration = timedelta(minutes=2)
    """The guard returns traffic to the champion when nobody renews for this long (wall time)."""

    @model_validator(mode="after")
    def _steps_rise_to_all(self) -> Self:
        shares = [step for step in self.steps if step != SHADOW]
        if SHADOW in self.steps[1:]:
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
        if live and not any(step not in (SHADOW, 1) for step in self.steps):
            msg = f"steps: {', '.join(live)} can only be judged at a share between shadow and 100%; add one"
            raise ValueError(msg)
        return self
