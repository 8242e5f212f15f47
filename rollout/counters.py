"""How far counters rose, from their raw samples. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from rollout.prometheus import Series, Span

__all__ = ["Span", "enclosing", "increase", "newest", "total"]

Sample = tuple[float, float]


def increase(samples: Sequence[Sample], span: Span) -> float | None:
    """Return how far a counter rose between two times, by its samples alone.

    The sum of its positive steps from the last sample at or before the start to the last at or before
    the end. A fall is a restart from zero: what it shows afterwards is new. A counter without a sample
    before the start began after it, at zero. None when a sample is not a number.

    >>> increase([(0, 7.0), (10, 9.0), (20, 1.0)], Span(start=5, end=30))
    3.0
    >>> increase([(10, 2.0), (20, 5.0)], Span(start=5, end=15))
    2.0
    """
    before = [value for time, value in samples if time <= span.start]
    within = [value for time, value in samples if span.start < time <= span.end]
    values = [before[-1] if before else 0.0, *within]
    if not all(math.isfinite(value) for value in values):
        return None
    rises = (now - then if now >= then else now for then, now in pairwise(values))
    return sum(rises)


def total(series: Iterable[Series], span: Span) -> int | None:
    """Return the sum of the increases of several counters; None when one is not a number."""
    rises = [increase(one.samples, span) for one in series]
    return None if any(rise is None for rise in rises) else round(sum(rise or 0.0 for rise in rises))


def enclosing(inner: Sequence[Series], outer: Sequence[Series], start: float) -> tuple[Span, Span] | None:
    """Return a span for two groups of counters that are scraped at different times.

    The outer span holds the inner one, so that a fault which hits both groups at once can only count
    too often for the outer, never for the inner alone. The inner ends with its last sample that the outer
    group has outlived. None when there is no such sample after the start.
    """
    outer_times = sorted(time for one in outer for time, _ in one.samples)
    inner_times = [time for one in inner for time, _ in one.samples]
    ends = [time for time in inner_times if outer_times and start < time <= outer_times[-1]]
    if not ends:
        return None
    end = max(ends)
    begin = max((time for time in inner_times if time <= start), default=start)
    outer_end = next(time for time in outer_times if time >= end)
    return Span(begin, end), Span(begin, outer_end)


def newest(series: Iterable[Series]) -> float:
    """Time of the newest sample; minus infinity where there is none."""
    return max((one.samples[-1][0] for one in series if one.samples), default=-math.inf)
