"""Whether the loss of the newest days is above what is tolerated: sooner than the test, one look at a time.

Student's test on days, of production against the version's own reference. How much days differ by themselves
is known from both sides: a week tells little of it, a reference of weeks tells more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np

from monitors.concept.blocks import BlockLoss, mean_error
from monitors.concept.source import Source
from monitors.results.records import Measurement
from spec import ModelSpec

SINCE_DRIFT = "since_drift"
"""The method of the measurement that begins where the inputs began to drift."""
_SPANS = (1, 2, 4)
_RARE = 0.001
"""One-sided level of a look at days that nothing but the calendar chose: there is one every window."""
_USUAL = 0.025
"""One-sided level of a look at the days since the inputs drifted."""


def recent(
    spec: ModelSpec, source: Source, days: Sequence[BlockLoss], drifted: datetime | None
) -> tuple[Measurement, ...]:
    """Return the mean loss of spans that end with the newest day, each with what it must exceed to be harm.

    The spans are the last `performance.over` days, twice and four times as many, and those since the inputs
    began to drift. A shift gives the date from which on to count without a look at the loss, so these
    days are held to the level of a single test, and to all of the evidence that has come since.

    Parameters
    ----------
    days
        Whole days of production, see `blocks.whole_days`.
    drifted
        When the present row of drift alarms began; None where the inputs are as they were.

    Returns
    -------
    ``recent_risk``, by method ``7d`` and so on (the days) or `SINCE_DRIFT`, with its 95 % interval and as
    limit (1 + tolerance)·(the reference's mean) and what chance adds to the difference of both; and
    ``reference_risk``, that mean, with what is tolerated as limit. Empty where the reference is of one day,
    whose luck nobody knows.
    """
    if source.day_error is None:
        return ()
    allowed = 1 + spec.monitor.concept_drift.tolerance
    told = (
        _against(source, span, method, level, allowed)
        for method, span, level in _spans(spec.monitor.performance.over, days, drifted)
    )
    usual = Measurement("reference_risk", source.mean, limit=allowed * source.mean, n=source.rows)
    found = tuple(number for number in told if number is not None)
    return (*found, usual) if found else ()


def _spans(
    over: int, days: Sequence[BlockLoss], drifted: datetime | None
) -> Iterator[tuple[str, Sequence[BlockLoss], float]]:
    """Yield the spans with their names and levels; of those by the calendar the first may still be short."""
    for times in _SPANS:
        if times == 1 or len(days) >= times * over:
            yield f"{times * over}d", days[-times * over :], _RARE
    since = [day for day in days if drifted is not None and day.start >= drifted]
    if len(since) >= over:
        yield SINCE_DRIFT, since, _USUAL


def _against(
    source: Source, span: Sequence[BlockLoss], method: str, level: float, allowed: float
) -> Measurement | None:
    own = mean_error(span)
    if own is None or source.day_error is None:
        return None
    from scipy.stats import t  # noqa: PLC0415 - a second, and only the daemon needs it

    rows = np.array([day.rows for day in span])
    mean = float(np.average([day.mean for day in span], weights=rows))
    freedom = source.days + len(span) - 2
    error = _error(source, span, own)
    chance = float(t.ppf(1 - level, freedom)) * math.hypot(error, allowed * source.day_error)
    reach = float(t.ppf(1 - _USUAL, freedom)) * error
    return Measurement(
        "recent_risk",
        mean,
        method=method,
        low=max(mean - reach, 0.0),
        high=min(mean + reach, 1.0),
        limit=allowed * source.mean + chance,
        n=int(rows.sum()),
    )


def _error(source: Source, span: Sequence[BlockLoss], own: float) -> float:
    """Return the standard error of a span's mean, with the variance of days pooled over both sides.

    Days of fewer rows than the reference's vary more by the luck of their rows, which is added; of days with
    more rows, the reference's spread is too much rather than too little.
    """
    rows = np.array([day.rows for day in span])
    worth = float(rows.sum() ** 2 / (rows**2).sum())  # days of even size that know as much
    inside = float(np.average([day.variance for day in span], weights=rows))
    fewer = max(0.0, float((1 / rows).mean()) - source.days / source.rows)
    usual = source.days * (source.day_error or 0.0) ** 2 + inside * fewer
    degrees = np.array([source.days - 1, len(span) - 1])
    variance = float(np.average([usual, worth * own**2], weights=degrees))
    return math.sqrt(variance / worth)
