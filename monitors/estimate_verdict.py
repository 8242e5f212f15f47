"""What is to be expected of a window before its labels come, held against what the version may lose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from monitors.estimators.bands import Expected, Pair, corrected
from monitors.finding import Finding, NoData
from monitors.performance import limit
from monitors.references import Band
from monitors.results.records import Measurement, WindowResult
from monitors.windows import Window
from spec import ModelSpec, PerformanceMetric

ESTIMATED, RAW = "estimated_performance", "estimated_performance_raw"


def judge(
    spec: ModelSpec,
    found: Mapping[PerformanceMetric, Expected | NoData],
    bands: Mapping[str, Band],
    past: Sequence[Pair],
    rows: int,
) -> Finding:
    """Return every metric with its band, and `alarm` when all of the watched one's band is beyond its limit.

    Parameters
    ----------
    found
        As the version's estimator gave it.
    bands
        What the version showed when it was registered.
    past
        What was expected of the watched metric and what came true, see `pairs`.
    rows
        Rows of the windows that are pooled.
    """
    metric = spec.performance_metric
    watched = found.get(metric) or NoData(f"{metric} is not estimated")
    others = tuple(_told(name, each) for name, each in found.items() if name is not metric)
    if isinstance(watched, NoData):
        return Finding("no_data", (watched.measurement(method=metric.value), *others), rows)
    final, band = corrected(metric, watched, past), bands.get(metric.value)
    allowed = None if band is None else limit(metric, final, band, spec.monitor.performance.drop)
    numbers = (_told(metric, final, allowed), _told(metric, watched, name=RAW), *others)
    if allowed is None:
        why = NoData("the version was registered without an expected band for the metric")
        return Finding("no_data", (*numbers, why.measurement(method=metric.value)), rows)
    lost = final.high < allowed if metric.higher_is_better else final.low > allowed
    return Finding("alarm" if lost else "ok", numbers, rows)


def pairs(spec: ModelSpec, results: Sequence[WindowResult], before: Window) -> tuple[Pair, ...]:
    """Return what was expected of spans that do not overlap, and what their labels showed; the oldest first.

    Parameters
    ----------
    results
        Of `estimate` and `performance` for one version.
    before
        The span that is estimated now.
    """
    metric, over = spec.performance_metric.value, spec.monitor.performance.over
    expected = {r.end: e for r in results if r.monitor == "estimate" and (e := _raw(r, metric)) is not None}
    realised = {
        r.end: v for r in results if r.monitor == "performance" and (v := _value(r, metric)) is not None
    }
    known = sorted(expected.keys() & realised.keys(), reverse=True)
    found: list[Pair] = []
    start = before.start
    for end in known:
        if end <= start:
            found.append(Pair(expected[end], realised[end]))
            start = end - over * spec.monitor.window
    return tuple(reversed(found))


def _raw(result: WindowResult, metric: str) -> Expected | None:
    for number in result.measurements:
        if (
            number.name == RAW
            and number.method == metric
            and number.low is not None
            and number.high is not None
        ):
            return Expected(number.value, number.low, number.high, number.n or 0, number.text or "")
    return None


def _value(result: WindowResult, metric: str) -> float | None:
    if result.status == "no_data":
        return None
    found = (n.value for n in result.measurements if n.name == "performance" and n.method == metric)
    return next(found, None)


def _told(
    metric: PerformanceMetric, found: Expected | NoData, allowed: float | None = None, name: str = ESTIMATED
) -> Measurement:
    if isinstance(found, NoData):
        return found.measurement(method=metric.value)
    return Measurement(
        name,
        found.value,
        method=metric.value,
        low=found.low,
        high=found.high,
        limit=allowed,
        n=found.rows,
        text=found.method,
    )
