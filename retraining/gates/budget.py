"""The file that would be served keeps the budget; asked again, for it is not the proxy's."""

from __future__ import annotations

from collections.abc import Iterator

from retraining.records import Gate, Variant
from retraining.variants import limits
from spec import ModelSpec

NAME = "budget"


def judge(spec: ModelSpec, chosen: Variant) -> Gate:
    """Judge what the file takes against every limit of ``optimize.within``; the loss has gates of its own.

    A limit whose number was not measured is broken: memory and CPU time are, where no model server was asked.
    """
    broken = tuple(limits.broken(spec.optimize.within, chosen))
    return Gate(name=NAME, passed=not broken, reason="; ".join(broken) or ", ".join(_measured(chosen)))


def _measured(chosen: Variant) -> Iterator[str]:
    yield f"{chosen.size:,} B"
    yield f"p99 of one row {chosen.latency_p99 * 1e3:.3f} ms"
    if chosen.memory is not None:
        yield f"a model server of {chosen.memory:,} B"
    if chosen.cpu_per_million is not None:
        yield f"{chosen.cpu_per_million:.3g} CPU-seconds a million predictions"
