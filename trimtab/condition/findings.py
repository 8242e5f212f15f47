"""Each monitor's newest result of a version, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitors.results.records import LABELLED, Measurement, MonitorName, Status, WindowResult
from monitors.triage.evidence import Evidence, number
from monitors.windows import Window
from spec import ModelSpec, format_duration
from trimtab.condition.records import Finding

_MOST = 3


@dataclass(frozen=True, slots=True)
class _Said:
    """Words, the numbers behind them, and the status where it is not that of the whole result."""

    lines: Sequence[str] = ()
    numbers: Sequence[Measurement | None] = ()
    status: Status | None = None


_Part = Callable[[ModelSpec, Evidence, WindowResult], _Said]


def findings(spec: ModelSpec, evidence: Evidence) -> tuple[Finding, ...]:
    """Return one finding for each monitor, in the order in which they are asked; `no_data` tells why."""
    return tuple(_finding(spec, evidence, *asked) for asked in _parts(spec))


def moment(time: datetime, window: timedelta) -> str:
    """Write a time as precisely as windows of a length need it."""
    return f"{time:%Y-%m-%d}" if not window % timedelta(days=1) else f"{time:%Y-%m-%d %H:%M}"


def _parts(spec: ModelSpec) -> Iterable[tuple[str, MonitorName, _Part, int]]:
    labelled = spec.monitor.performance.over
    yield from (
        ("realised", "performance", _realised, labelled),
        ("estimated", "estimate", _estimated, labelled),
        ("concept", "concept", _concept, labelled),
        ("drift", "drift", _drift, spec.monitor.data_drift.over),
        ("data", "quality", _quality, 1),
        ("service", "latency", _latency, 1),
    )
    if spec.monitor.slices.by or spec.monitor.slices.search:
        yield "slices", "slices", _slices, labelled
    if spec.protected:
        yield "fairness", "slices", _fairness, labelled


def _finding(
    spec: ModelSpec, evidence: Evidence, name: str, monitor: MonitorName, part: _Part, over: int
) -> Finding:
    result = evidence.newest(monitor)
    if result is None:
        late = f"; labels come {format_duration(spec.data.target.delay)} later" if monitor in LABELLED else ""
        return Finding(name, "no_data", None, None, (f"no window is judged yet{late}",))
    said = part(spec, evidence, result)
    span = Window(result.start, result.end).pooled(over)
    lines = tuple(line for line in said.lines if line)
    numbers = tuple(one for one in said.numbers if one is not None)
    if not lines:
        return Finding(name, "no_data", span.start, span.end, (_unknown(result),))
    return Finding(name, said.status or result.status, span.start, span.end, lines, numbers)


def _unknown(result: WindowResult) -> str:
    why = number(result, "no_data")
    return why.text if why is not None and why.text else "nothing was found"


def _realised(spec: ModelSpec, _evidence: Evidence, result: WindowResult) -> _Said:
    metric = spec.performance_metric
    measured = number(result, "performance", metric.value)
    known, delay = number(result, "labels_available_ratio"), number(result, "label_delay_seconds", "p50")
    lines = [_unknown(result) if measured is None else _metric(spec, measured)]
    if known is not None:
        late = "" if delay is None else f", half of them within {_span(max(0.0, delay.value))}"
        lines.append(f"{known.value:.0%} of {known.n or 0:,} predictions labelled{late}")
    return _Said(lines, (measured, known, delay))


def _estimated(spec: ModelSpec, _evidence: Evidence, result: WindowResult) -> _Said:
    estimated = number(result, "estimated_performance", spec.performance_metric.value)
    if estimated is None:
        return _Said()
    return _Said((f"{_metric(spec, estimated)}, by {estimated.text}",), (estimated,))


def _concept(spec: ModelSpec, evidence: Evidence, result: WindowResult) -> _Said:
    risk, rise = number(result, "risk"), number(result, "concept_drift")
    onset = number(result, "onset_timestamp_seconds")
    lines = []
    if rise is not None:
        proved = f"a rise of {rise.value:.0%} or more is proved" if rise.value > 0 else "no rise is proved"
        lines.append(f"{proved}, {spec.monitor.concept_drift.tolerance:.0%} is tolerated")
    if evidence.onset is not None:
        how = f": {onset.text}" if onset is not None and onset.text else ""
        lines.append(f"since about {moment(evidence.onset, spec.monitor.window)}{how}")
    if risk is not None:
        lines.append(f"loss of the newest days {risk.value:.4f}{_band(risk)}")
    return _Said(lines, (rise, onset, risk))


def _drift(spec: ModelSpec, evidence: Evidence, result: WindowResult) -> _Said:
    share = number(result, "drifted_features_ratio")
    if share is None:
        return _Said()
    since = evidence.since("drift")
    began = "" if since is None else f", since {moment(since, spec.monitor.window)}"
    limit = spec.monitor.data_drift.share
    head = f"{share.value:.0%} of {len(spec.features)} features drifted, alarm from {limit:.0%}{began}"
    scores = {one.feature: one for one in result.measurements if one.name == "feature_drift_score"}
    costly = [one for one in result.measurements if one.name == "feature_drift_cost"][:_MOST]
    if not costly:
        furthest = max(scores.values(), key=_of_limit, default=None)
        near = "" if furthest is None else f"furthest is {furthest.feature}: {_distance(furthest)}"
        return _Said((head, near), (share, furthest))
    named = [
        f"{one.feature}: {one.value:.0%} of the cost, {_distance(scores[one.feature])}" for one in costly
    ]
    return _Said((head, *named), (share, *costly, *(scores[one.feature] for one in costly)))


def _quality(_spec: ModelSpec, _evidence: Evidence, result: WindowResult) -> _Said:
    checks = [one for one in result.measurements if one.name == "violations"]
    broken = sorted((one for one in checks if one.value), key=lambda one: -one.value)
    if not broken:
        return _Said((f"{result.rows:,} rows, {len(checks)} checks clean",), checks)
    lines = [f"{one.feature or one.method}: {one.text or one.method}" for one in broken[:_MOST]]
    more = len(broken) - _MOST
    return _Said((*lines, f"and {more} more" if more > 0 else ""), broken)


def _latency(spec: ModelSpec, _evidence: Evidence, result: WindowResult) -> _Said:
    slow = number(result, "latency_seconds", "p99")
    odd = [one for one in result.measurements if one.name == "anomaly"]
    objective = _span(spec.monitor.latency.p99.total_seconds())
    line = "" if slow is None else f"p99 {_span(slow.value)}, objective {objective}, {result.rows:,} requests"
    return _Said((line, *(one.text or "" for one in odd)), (slow, *odd))


def _slices(spec: ModelSpec, _evidence: Evidence, result: WindowResult) -> _Said:
    metric = spec.performance_metric
    worse = [one for one in result.measurements if one.name == "worst_slice"][:_MOST]
    declared = [n for n in result.measurements if n.name == "slice_performance" and n.method == metric.value]
    if result.status == "no_data" or not (worse or declared or spec.monitor.slices.search):
        return _Said()
    lines = [one.text or str(one.feature) for one in worse] or ["no slice has become worse"]
    if declared:
        worst = (min if metric.higher_is_better else max)(declared, key=lambda one: one.value)
        lines.append(f"the worst declared is {worst.feature}: {metric} {worst.value:.4f}{_band(worst)}")
    return _Said(lines, (*worse, *declared), "alarm" if worse else "ok")


def _fairness(_spec: ModelSpec, _evidence: Evidence, result: WindowResult) -> _Said:
    apart = [one for one in result.measurements if one.name == "fairness" and one.limit is not None]
    unfair = any((one.low or 0.0) > (one.limit or 0.0) for one in apart)
    lines = [
        f"{one.method} by {one.feature} {one.value:.3f}{_band(one)}, at most {one.limit:.3f}" for one in apart
    ]
    return _Said(lines, apart, "alarm" if unfair else "ok")


def _metric(spec: ModelSpec, measured: Measurement) -> str:
    side = "at least" if spec.performance_metric.higher_is_better else "at most"
    limit = "" if measured.limit is None else f", {side} {measured.limit:.4f}"
    return f"{measured.method} {measured.value:.4f}{_band(measured)}{limit}"


def _band(measured: Measurement) -> str:
    if measured.low is None or measured.high is None:
        return ""
    return f" [{measured.low:.4f}, {measured.high:.4f}]"


def _distance(score: Measurement) -> str:
    limit = "" if score.limit is None else f" of {score.limit:.3g}"
    return f"{score.method} {score.value:.3g}{limit}"


def _of_limit(score: Measurement) -> float:
    return score.value / (score.limit or 1.0)


_MINUTE, _DAY = 60.0, 86_400.0


def _span(seconds: float) -> str:
    """Write a span in the unit that suits it: ``12 ms``, ``1.5 s``, ``40 min``, ``3.2 d``."""
    units = (
        (1.0, "ms", 1e-3),
        (2 * _MINUTE, "s", 1.0),
        (2 * 3600.0, "min", _MINUTE),
        (2 * _DAY, "h", 3600.0),
    )
    name, size = next(((name, size) for below, name, size in units if seconds < below), ("d", _DAY))
    return f"{seconds / size:.3g} {name}"
