"""The latency objective of the model server, and when it is unlike itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from spec.record import Record
from spec.units import Duration, Fraction, Rate


class Latency(Record):
    """The latency objective of the model server, and when a version is unlike its own past."""

    p99: Duration = timedelta(milliseconds=50)
    """99th percentile of a request's time in the model server."""
    slo: Fraction = 0.999
    """Share of requests that must be answered without an error."""
    anomaly: Annotated[float, Field(gt=1)] | None = 1.5
    """A latency or a traffic so many times what is usual is an anomaly, if it is no chance; null for none."""
    false_alarms: Rate = Rate(1, "year")
    """How often, on average, an anomaly may be reported where nothing but chance changed."""
