"""Whether the truth itself has moved: other classes, or other values, come true than the version was held to.

Such a prior shift may leave the ranking as it was and every input inside its usual spread; then nothing but
the labels shows it. It says why a loss rose, or that one is to be watched.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from monitors.held import Held
from monitors.metrics import Array
from monitors.performance import Truth
from monitors.results.records import Measurement
from monitors.windows import EPOCH, start_of
from spec import ModelSpec, Task

OF_WINDOW, RATE, EFFECT, P_VALUE = "window_labels", "label_rate", "label_shift", "label_shift_p_value"
_SMALL = 0.2
_LEVEL = 0.02
_SPANS = (1, 4)
_LEAST_DAYS = 2
_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of one day (or longer window): how many there are, and the mean of what is counted."""

    start: datetime
    rows: int
    mean: float


def of_window(spec: ModelSpec, truth: Truth) -> tuple[Measurement, ...]:
    """Return the mean of a window's labels: each class's share, or that of the values; none without rows."""
    if not len(truth):
        return ()
    return tuple(
        Measurement(OF_WINDOW, float(values.mean()), method=name, n=len(truth))
        for name, values in _counted(spec, truth.labels).items()
    )


def judge(
    spec: ModelSpec, held: Held, windows: Iterable[tuple[datetime, Sequence[Measurement]]]
) -> tuple[Measurement, ...]:
    """Return by how much the labels of production differ from those of the held-out rows.

    Student's test, two-sided, with days as the sampling unit, on the last `performance.over` days and on four
    times as many; the p-value is Bonferroni's over both spans and the classes. A shift is one that is
    sure (p below its limit) and not small (Cohen's h or d of its limit, 0.2, or more).

    Parameters
    ----------
    windows
        The starts of a version's windows and what `of_window` said of each; those with wrong data left out.

    Returns
    -------
    By class (`method`; ``mean`` of values) ``label_rate``, the mean over the span that tells most, with its
    95 % interval; ``label_shift``, the effect, with its sign; ``label_shift_p_value``. None where either
    side has less than two days.
    """
    counted = _counted(spec, held.labels)
    production = _by_name(windows, max(spec.monitor.window, _DAY))
    told: list[Measurement] = []
    for name, values in counted.items():
        known, days = _days(held, values), production.get(name, [])
        over = spec.monitor.performance.over
        spans = [days[-over * times :] for times in _SPANS if times == 1 or len(days) >= over * times]
        looks = [_look(span, known) for span in spans if min(len(span), len(known)) >= _LEAST_DAYS]
        if looks:
            spread = None if spec.task is not Task.REGRESSION else float(values.std())
            told += _told(name, min(looks, key=lambda look: look.p), spread, len(spans) * len(counted))
    return tuple(told)


def shifted(measurements: Iterable[Measurement]) -> Measurement | None:
    """Return the largest shift of the labels that is sure and not small; None if there is none."""
    numbers = tuple(measurements)
    sure = {n.method for n in numbers if n.name == P_VALUE and n.limit is not None and n.value <= n.limit}
    found = [
        n
        for n in numbers
        if n.name == EFFECT and n.method in sure and n.limit is not None and abs(n.value) >= n.limit
    ]
    return max(found, key=lambda n: abs(n.value), default=None)


@dataclass(frozen=True, slots=True)
class _Look:
    """Production's labels of a span beside the reference's."""

    days: int
    rows: int
    mean: float
    usual: float
    reach: float
    p: float


def _look(span: Sequence[Labels], known: Sequence[Labels]) -> _Look:
    from scipy.stats import t  # noqa: PLC0415 - a second, and only the daemon needs it

    (mean, spread, worth), (usual, usual_spread, usual_worth) = _summed(span), _summed(known)
    degrees = np.array([len(span) - 1, len(known) - 1])
    variance = float(np.average([spread, usual_spread], weights=degrees))
    freedom, error = int(degrees.sum()), math.sqrt(variance * (1 / worth + 1 / usual_worth))
    distance = abs(mean - usual)
    p = 2 * float(t.sf(distance / error, freedom)) if error else float(distance == 0)
    reach = float(t.ppf(0.975, freedom)) * math.sqrt(variance / worth)
    return _Look(len(span), sum(day.rows for day in span), mean, usual, reach, p)


def _summed(days: Sequence[Labels]) -> tuple[float, float, float]:
    """Return the mean of all rows, the variance of a day's mean, and how many even days these are worth."""
    rows = np.array([day.rows for day in days], dtype=float)
    means = np.array([day.mean for day in days])
    mean = float(np.average(means, weights=rows))
    worth = float(rows.sum() ** 2 / (rows**2).sum())
    off = float((rows**2 * (means - mean) ** 2).sum()) * len(days) / (len(days) - 1) / float(rows.sum()) ** 2
    return mean, worth * off, worth


def _told(name: str, look: _Look, spread: float | None, looks: int) -> tuple[Measurement, ...]:
    low, high = look.mean - look.reach, look.mean + look.reach
    if spread is None:
        effect = 2 * (math.asin(math.sqrt(look.mean)) - math.asin(math.sqrt(look.usual)))
        low, high = max(low, 0.0), min(high, 1.0)
        text = f"{look.mean:.1%} of the labels of {look.days} days, {look.usual:.1%} of the reference's"
    else:
        effect = (look.mean - look.usual) / spread if spread else 0.0
        text = f"{look.mean:.4g} on average over {look.days} days, {look.usual:.4g} in the reference"
    return (
        Measurement(RATE, look.mean, method=name, low=low, high=high, n=look.rows, text=text),
        Measurement(EFFECT, effect, method=name, limit=_SMALL, n=look.rows, text=text),
        Measurement(P_VALUE, min(1.0, look.p * looks), method=name, limit=_LEVEL, n=look.rows),
    )


def _counted(spec: ModelSpec, labels: Array) -> dict[str, Array]:
    """Return what is averaged: by class 1 for a row of it, else 0; or the values themselves."""
    if spec.task is Task.REGRESSION:
        return {"mean": labels}
    if spec.task is Task.BINARY:
        return {"positive": labels}
    classes = spec.data.target.classes or ()
    return {name: (labels == at).astype(float) for at, name in enumerate(classes)}


def _days(held: Held, values: Array) -> list[Labels]:
    days, day = np.unique(held.times // (_DAY // _TICK), return_inverse=True)
    rows = np.bincount(day)
    sums = np.bincount(day, weights=values)
    return [
        Labels(EPOCH + int(at) * _DAY, int(n), float(total / n))
        for at, n, total in zip(days, rows, sums, strict=True)
    ]


def _by_name(
    windows: Iterable[tuple[datetime, Sequence[Measurement]]], length: timedelta
) -> Mapping[str, list[Labels]]:
    """Put windows of a day together, by what is counted; the oldest day first."""
    sums: dict[str, dict[datetime, tuple[int, float]]] = {}
    for start, numbers in windows:
        for number in numbers:
            if number.name == OF_WINDOW and number.n:
                days = sums.setdefault(number.method or "", {})
                rows, total = days.get(day := start_of(start, length), (0, 0.0))
                days[day] = (rows + number.n, total + number.n * number.value)
    return {
        name: [Labels(day, rows, total / rows) for day, (rows, total) in sorted(days.items())]
        for name, days in sums.items()
    }
