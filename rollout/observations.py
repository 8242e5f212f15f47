"""What the judge is shown: counts and paired shortfalls, without where they came from."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic import model_validator as validator

from rollout.steps import Step

Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Value = Annotated[float, Field(allow_inf_nan=False)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Share(_Record):
    """So many of so many."""

    hits: Count
    of: Count

    @validator(mode="after")
    def _is_part(self) -> Self:
        if self.hits > self.of:
            msg = f"hits: {self.hits} cannot be more than the {self.of} that were counted"
            raise ValueError(msg)
        return self

    @property
    def rate(self) -> float | None:
        """Hits over all; None of nothing."""
        return self.hits / self.of if self.of else None

    def __add__(self, another: Share) -> Share:
        return Share(hits=self.hits + another.hits, of=self.of + another.of)


class Arms(_Record):
    """The same count at both versions, over the same span of a step."""

    challenger: Share
    """Requests that the step is about: mirrored ones in shadow, live ones afterwards."""
    champion: Share
    mirrored: Share | None = None
    """Requests mirrored to the challenger beside its live ones."""


class Slower(_Record):
    """Requests slower than one edge of the servers' histogram."""

    edge: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Seconds."""
    arms: Arms


class Crossing(_Record):
    """Pairs of scores that lie on different sides of one cut."""

    at: str
    """The cut: a score, or the name of a class."""
    ours: Count
    """Pairs of which only the challenger's lies on this side."""
    theirs: Count
    """Pairs of which only the champion's does."""
    of: Count


class Burn(_Record):
    """CPU time of the challenger's server over one short span."""

    requests: Annotated[int, Field(ge=1)]
    seconds: Amount


class Usage(_Record):
    """What the challenger's server needs."""

    memory: tuple[Amount, ...] = ()
    """Resident bytes by scrape, oldest first."""
    cpu: tuple[Burn, ...] = ()
    """Spans of equal length with requests, oldest first."""


class Business(_Record):
    """One metric of the business at both versions."""

    name: str
    arms: Arms | None = None
    """Of a ratio: hits are what is bad."""
    worse: tuple[Value, ...] = ()
    """Of a bounded metric: how much worse the challenger's value was, by time, oldest first."""
    champion: Value | None = None
    """Of a bounded metric: the mean of the champion's values at these times."""
    wanted: Count = 0
    """How many of these there would be without gaps."""


class DayShortfall(_Record):
    """One event-time day of rows that both versions scored and that have a label."""

    day: date
    rows: Annotated[int, Field(ge=1)]
    difference: Value
    """By how much the challenger's metric is worse than the champion's, in the metric's unit."""
    champion: Value | None = None
    """The champion's metric, where it was asked for."""


class Evidence(_Record):
    """All that is known of a challenger at one step. What is None is not known, which never promotes."""

    schema_version: Literal[1] = 1
    model: str
    challenger: str
    """Version."""
    champion: str
    """Version."""
    step: Step
    began: AwareDatetime
    """Processing time at which the step began."""
    at: AwareDatetime
    """Processing time of this look."""
    errors: Arms | None = None
    """Requests that failed (5xx, also without an answer of the server)."""
    latency: Arms | None = None
    """Requests slower than the objective."""
    durations: tuple[Slower, ...] | None = None
    """Requests slower than each edge of the histogram, by rising edge."""
    usage: Usage | None = None
    metrics: tuple[Business, ...] = ()
    """Those of `gates.metrics` that are known."""
    disagreement: Share | None = None
    """Pairs on which the versions decide differently, since the rollout began."""
    crossings: tuple[Crossing, ...] | None = None
    """The distributions of both versions' scores on the same rows, since the rollout began."""
    days: tuple[DayShortfall, ...] | None = None
    """Closed days with complete labels since the rollout began, in order."""
    worst: tuple[DayShortfall, ...] | None = None
    """Closed days since the rollout began: by how much the metric could be worse, whatever the labels say."""
    missing: tuple[str, ...] = ()
    """Why something is not known, a sentence each."""
    blind: bool = False
    """Whether callers meet a challenger of whose requests nothing is known: such a lease should run out."""
