"""The latency objective of the model server."""

from __future__ import annotations

from datetime import timedelta

from spec.record import Record
from spec.units import Duration, Fraction


class Latency(Record):
    """The latency objective of the model server."""

    p99: Duration = timedelta(milliseconds=50)
    """99th percentile of a request's time in the model server."""
    slo: Fraction = 0.999
    """Share of requests that must be answered without an error."""
