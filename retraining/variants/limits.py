"""The limits of ``optimize.within`` that say what a model may take; what it may lose is judged elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from retraining.records import Variant
from spec.model import Within


def broken(within: Within, variant: Variant, *, waiting: bool = False) -> Iterator[str]:
    """Yield a sentence for each limit that a variant breaks; what was not measured breaks its limit.

    Parameters
    ----------
    waiting
        Whether what only a model server shows, and it has not yet, may still keep its limit.
    """
    if within.latency_p99 is not None:
        limit = within.latency_p99.total_seconds()
        if not variant.latency_p99 <= limit:
            yield f"p99 of one row {variant.latency_p99 * 1e3:.3f} ms > {limit * 1e3:g} ms"
    if within.size is not None and variant.size > within.size:
        yield f"size {variant.size:,} B > {within.size:,} B"
    yield from _broken_when_served(within, variant, waiting=waiting)


def _broken_when_served(within: Within, variant: Variant, *, waiting: bool) -> Iterator[str]:
    """Yield what breaks the limits of which only a model server has the numbers."""
    if within.memory is not None:
        if variant.memory is None:
            yield from () if waiting else ("memory was not measured, and within.memory limits it",)
        elif variant.memory > within.memory:
            yield f"memory {variant.memory:,} B > {within.memory:,} B"
    if within.cpu_per_million is not None:
        limit = within.cpu_per_million.total_seconds()
        if variant.cpu_per_million is None:
            yield from () if waiting else ("CPU time was not measured, and within.cpu_per_million limits it",)
        elif not variant.cpu_per_million <= limit:
            yield f"a million predictions take {variant.cpu_per_million:.3g} CPU-seconds > {limit:g}"
