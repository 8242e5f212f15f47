"""What is unlike a version's own past: a figure that jumped, and one that crept up over weeks.

Figures are compared as logarithms, for it is factors that matter. Only rises are looked for: a service that
became faster harms nobody, and a loss of traffic is what `quality` sees.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from monitors.operations.creep import creep
from monitors.operations.history import (
    CPU,
    CPU_OF,
    LATENCIES,
    MEMORY,
    MEMORY_OF,
    THROUGHPUT,
    WEEK,
    History,
    Timeline,
)
from monitors.operations.jump import jump
from monitors.results.records import Measurement
from spec.latency import Latency

_FEWEST_FIGURES = len(LATENCIES) + 1
_TESTS_A_FIGURE = 3  # a jump alone, one of two windows, a creep
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
    least, figures = math.log(rule.anomaly), max(len(current), _FEWEST_FIGURES)
    found: list[Measurement] = []
    for name, figure in current.items():
        past = history.get(name)
        if past is not None and past.is_enough and figure.low > 0:
            length = past.window.length
            found += _jumps(name, figure, past, least, _chance(rule, length, figures))
            found += _creeps(name, past, least, _chance(rule, max(WEEK, length), figures))
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


def of_resources(taken: Iterable[Measurement], history: History) -> dict[str, Figure]:
    """Return the figures of what a version took in its slots, of `history.MEMORY` and `history.CPU`."""
    found = {}
    for number in taken:
        if number.name == MEMORY:
            found[f"{MEMORY_OF}{number.method}"] = Figure(number.value, number.value)
        elif number.name == CPU and number.n:
            past = history.get(name := f"{CPU_OF}{number.method}")
            if past is not None and past.load is not None:
                a_row = past.load.of_a_row(number.value, number.n)
                found[name] = Figure(a_row, a_row)
    return found


def _chance(rule: Latency, look: timedelta, figures: int) -> float:
    """Return the false-alarm probability of one test of one of so many figures, of one look each `look`."""
    allowed = rule.false_alarms.count * (look / rule.false_alarms.per)
    return min(allowed / (_TESTS_A_FIGURE * figures), _MOST_CHANCE)


def _title(name: str) -> str:
    if name.startswith(MEMORY_OF):
        return f"The memory of slot {name.removeprefix(MEMORY_OF)}"
    if name.startswith(CPU_OF):
        return f"The CPU time of a row in slot {name.removeprefix(CPU_OF)}"
    return "The throughput" if name == THROUGHPUT else f"The latency's {name.removeprefix('latency_')}"


def _told(name: str, *values: float) -> str:
    """Write figures in their unit, ``12 to 18 ms``."""
    if name == THROUGHPUT:
        unit, size = "rows a second", 1.0
    elif name.startswith(MEMORY_OF):
        unit, size = "MB", 1e6
    else:
        unit, size = ("ms", _MILLISECOND) if min(values) < 1 else ("s", 1.0)
    told = dict.fromkeys(f"{value / size:.3g}" for value in values)  # a range of one figure is that figure
    return f"{' to '.join(told)} {unit}"
