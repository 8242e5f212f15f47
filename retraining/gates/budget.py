"""The file that would be served keeps the budget; asked again, for it is not the proxy's."""

from __future__ import annotations

from retraining.records import Gate, Variant
from spec import ModelSpec

NAME = "budget"


def judge(spec: ModelSpec, chosen: Variant) -> Gate:
    """Judge size and one-row latency against ``optimize.within``."""
    within = spec.optimize.within
    over = []
    if within.size is not None and chosen.size > within.size:
        over.append(f"size {chosen.size:,} B > {within.size:,} B")
    if within.latency_p99 is not None and chosen.latency_p99 > within.latency_p99.total_seconds():
        limit = within.latency_p99.total_seconds()
        over.append(f"p99 of one row {chosen.latency_p99 * 1e3:.3f} ms > {limit * 1e3:g} ms")
    told = f"{chosen.size:,} B, p99 of one row {chosen.latency_p99 * 1e3:.3f} ms"
    return Gate(name=NAME, passed=not over, reason="; ".join(over) or told)
