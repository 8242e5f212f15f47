"""What is unlike a version's own past: a figure that jumped, and one that crept up over weeks.

Figures are compared as logarithms, for it is factors that matter. Only rises are looked for: a service that
became faster harms nobody, and a loss of traffic is what `quality` sees.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from monitors.operations.creep import creep
from monitors.operations.history import LATENCIES, THROUGHPUT, WEEK, History, Timeline
from monitors.operations.jump import jump
from monitors.records import Measurement
from spec.latency import Latency

_TESTS = 3 * (len(LATENCIES) + 1)  # a jump alone, one of two windows, a creep: of each figure
_MOST_CHANCE = 0.05
_MILLISECOND = 0.001


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of a window and its lower confidence bound; a zero is no anomaly."""

    value: float
    low: float


def anomalies(current: Mapping[str, Figure], history: History, rule: Latency) -> tuple[Measurement, ...]:
    """Return what has risen `rule.anomaly` times at least, and by more than chance explains.

    All figures together give about `rule.false_alarms` where windows differ by chance only. Nothing is said
    of a version's first week, nor before eight windows are known.

    Returns
    -------
    tuple of Measurement
        Named ``anomaly``: `feature` is the figure, `method` ``jump`` or ``creep``, `value` the figure over
        what is usual (a creep: over that of the first week), `limit` the largest such factor that would not
        have been one; `low` and `high` enclose nine of ten past windows; `text` says it in words.
    """
    if rule.anomaly is None:
        return ()
    least = math.log(rule.anomaly)
    found: list[Measurement] = []
    for name, figure in current.items():
        past = history.get(name)
        if past is not None and past.is_enough and figure.low > 0:
            found += _jumps(name, figure, past, least, _chance(rule, past.window.length))
            found += _creeps(name, past, least, _chance(rule, max(WEEK, past.window.length)))
    return tuple(found)


def _jumps(name: str, figure: Figure, past: Timeline, least: float, chance: float) -> Iterator[Measurement]:
    known = jump(past, math.log(figure.low), least, chance)
    if known is None:
        return
    usually = (math.exp(known.center + side * known.spread) for side in (-1, 1))
    yield Measurement(
        "anomaly",
        math.exp(math.log(figure.value) - known.center),
        name,
        "jump",
        low=math.exp(-known.spread),
        high=math.exp(known.spread),
        limit=math.exp(known.limit),
        n=known.windows,
        text=f"{_title(name)} is {_told(name, figure.value)}, usually {_told(name, *usually)}",
    )


def _creeps(name: str, past: Timeline, least: float, chance: float) -> Iterator[Measurement]:
    trend = creep(past, least, chance)
    if trend is None:
        return
    first, last = (_told(name, math.exp(end)) for end in (trend.first, trend.last))
    span = "weeks" if past.window.length <= WEEK else "windows"
    yield Measurement(
        "anomaly",
        math.exp(trend.last - trend.first),
        name,
        "creep",
        limit=math.exp(least),
        n=trend.weeks,
        text=f"{_title(name)} has risen from {first} to {last} over {trend.weeks} {span}",
    )


def _chance(rule: Latency, look: timedelta) -> float:
    """Return the false-alarm probability of one test of one figure, of one look each `look`."""
    allowed = rule.false_alarms.count * (look / rule.false_alarms.per)
    return min(allowed / _TESTS, _MOST_CHANCE)


def _title(name: str) -> str:
    return "The throughput" if name == THROUGHPUT else f"The latency's {name.removeprefix('latency_')}"


def _told(name: str, *values: float) -> str:
    """Write figures in their unit, ``12 to 18 ms``."""
    if name == THROUGHPUT:
        unit, size = "rows a second", 1.0
    else:
        unit, size = ("ms", _MILLISECOND) if min(values) < 1 else ("s", 1.0)
    told = dict.fromkeys(f"{value / size:.3g}" for value in values)  # a range of one figure is that figure
    return f"{' to '.join(told)} {unit}"
