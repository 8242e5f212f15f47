"""What is known of one version when it is decided what to do: each monitor's newest result, and some past."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import Self

from monitors.label_shift import OF_WINDOW, shifted
from monitors.performance import FEWEST_DAYS
from monitors.quality.violation import FAULTS, WINDOWS, Check
from monitors.results.records import Measurement, MonitorName, WindowResult
from monitors.triage.due import Due
from monitors.triage.records import Triage
from monitors.windows import Window, start_of
from spec import ModelSpec, PerformanceMetric

Results = Sequence[WindowResult]
_DAY = timedelta(days=1)
TRAFFIC = frozenset({Check.VOLUME, Check.FRESHNESS})


@dataclass(frozen=True, slots=True)
class Evidence:
    """The results of one version, of its newest windows.

    Parameters
    ----------
    results
        Of every monitor, the oldest window first; as far back as a training window may have to leave out a
        faulty one.
    due
        What the calendar and the labels ask for.
    before
        The decision of the episode that came before, whatever version it was about; see `episodes.standing`.
    """

    version: str
    results: Results
    due: Due = field(default_factory=Due)
    before: Triage | None = None

    @classmethod
    def of(
        cls,
        version: str,
        results: Iterable[WindowResult],
        due: Due | None = None,
        before: Triage | None = None,
    ) -> Self:
        """Take the version's results out of all."""
        own = (result for result in results if result.version == version)
        return cls(version, tuple(sorted(own, key=lambda result: result.start)), due or Due(), before)

    @property
    def at(self) -> datetime | None:
        """End of the newest window that any monitor has judged."""
        return max((result.end for result in self.results), default=None)

    def newest(self, monitor: MonitorName) -> WindowResult | None:
        """Return the newest result of a monitor."""
        return next((result for result in reversed(self.results) if result.monitor == monitor), None)

    def alarms(self, monitor: MonitorName) -> bool:
        """Return whether a monitor's newest result is an alarm."""
        newest = self.newest(monitor)
        return newest is not None and newest.status == "alarm"

    def since(self, monitor: MonitorName) -> datetime | None:
        """Return the start of the first window of a monitor's present row of alarms; None without one."""
        return self._present_row(monitor, lambda result: result.status == "alarm")

    @property
    def predictions_since(self) -> datetime | None:
        """Start of the first window of the present row in which the predictions have drifted."""
        return self._present_row("drift", predictions_drifted)

    def _present_row(self, monitor: MonitorName, holds: Callable[[WindowResult], bool]) -> datetime | None:
        started = None
        for result in reversed(self.results):
            if result.monitor == monitor:
                if not holds(result):
                    break
                started = result.start
        return started

    @property
    def faults(self) -> tuple[Measurement, ...]:
        """What makes the newest window's data wrong."""
        return violations(self.newest("quality"), FAULTS)

    @property
    def traffic(self) -> tuple[Measurement, ...]:
        """What is wrong with how many rows came, or when."""
        return violations(self.newest("quality"), TRAFFIC)

    @property
    def faulty(self) -> tuple[Window, ...]:
        """Windows whose data were wrong, the oldest first."""
        return faulty_windows(self.results)

    @property
    def onset(self) -> datetime | None:
        """When the relation of inputs and truth began to change, as the concept monitor dates it."""
        dated = number(self.newest("concept"), "onset_timestamp_seconds")
        return None if dated is None else datetime.fromtimestamp(dated.value, UTC)

    @property
    def label_shift(self) -> Measurement | None:
        """How far what comes true has moved from what the version was registered with; None if it has not."""
        newest = self.newest("performance")
        return None if newest is None else shifted(newest.measurements)

    def labelled_since(self, time: datetime) -> int:
        """Count labelled rows of windows from `time` on, as the concept monitor has seen them."""
        seen = (result for result in self.results if result.monitor == "concept" and result.start >= time)
        return sum(loss.n or 0 for result in seen if (loss := number(result, "loss")) is not None)


def violations(result: WindowResult | None, checks: Iterable[str]) -> tuple[Measurement, ...]:
    """Return the violations of some checks in a result of quality; the clean ones are left out."""
    wanted = frozenset(checks)
    numbers = () if result is None else result.measurements
    return tuple(n for n in numbers if n.name == "violations" and n.value > 0 and n.method in wanted)


def faulty_windows(results: Iterable[WindowResult]) -> tuple[Window, ...]:
    """Return the windows in which quality found the data of a version wrong, the oldest first.

    Those before, that only together with a later one were seen to be wrong, are among them.
    """
    found = set()
    for result in results:
        if result.monitor == "quality" and violations(result, FAULTS):
            together = max((int(n.value) for n in result.measurements if n.name == WINDOWS), default=1)
            window = Window(result.start, result.end)
            found |= {window.shifted(-back) for back in range(together)}
    return tuple(sorted(found))


def number(result: WindowResult | None, name: str, method: str | None = None) -> Measurement | None:
    """Return the first measurement of a name, and of a method if one is given."""
    numbers = () if result is None else result.measurements
    return next((n for n in numbers if n.name == name and method in (None, n.method)), None)


def predictions_drifted(result: WindowResult) -> bool:
    """Return whether a result of drift says that the version's predictions have drifted."""
    told = number(result, "prediction_drifted")
    return told is not None and bool(told.value)


def is_worse(measured: Measurement, metric: PerformanceMetric) -> bool:
    """Return whether a value lies beyond its limit; False without one."""
    if measured.limit is None:
        return False
    return measured.value < measured.limit if metric.higher_is_better else measured.value > measured.limit


def is_beyond_chance(spec: ModelSpec, evidence: Evidence) -> bool:
    """Return whether an alarm of performance is more than what many looks bring about by chance.

    One look is wrong one time in forty, and there is one a window: a sound model would be accused within
    weeks. Either the whole 95 % interval lies beyond the limit, which is chance about one time in a
    thousand (seven days; less with more), or the alarm has lasted until none of the windows that it began
    with is pooled. No interval counts of a version's first windows, nor of less than five days that have
    labels, which may be late or missing in between: with fewer, rows stand in for days (see
    `performance.estimate`), and such intervals accuse a sound model about five times as often.
    """
    newest, began = evidence.newest("performance"), evidence.since("performance")
    measured = number(newest, "performance", spec.performance_metric.value)
    if newest is None or began is None or measured is None:
        return False
    over, window = spec.monitor.performance.over, spec.monitor.window
    first = min(result.start for result in evidence.results)
    has_days = newest.end - first >= over * window and _has_days(spec, evidence, newest.end)
    if has_days and _wholly_worse(measured, higher_is_better=spec.performance_metric.higher_is_better):
        return True
    return newest.end - began >= (over + 1) * window


def _has_days(spec: ModelSpec, evidence: Evidence, end: datetime) -> bool:
    """Return whether five days of the windows that are pooled until `end` have labels.

    True where fewer days are pooled by the spec, and where no result says how many labels its window has.
    """
    window, span = spec.monitor.window, spec.monitor.performance.over * spec.monitor.window
    pooled = (r for r in evidence.results if r.monitor == "performance" and end - span <= r.start < end)
    told = [result.start for result in pooled if number(result, OF_WINDOW) is not None]
    days = len({start_of(start, max(window, _DAY)) for start in told}) * max(window // _DAY, 1)
    return not told or span < FEWEST_DAYS * _DAY or days >= FEWEST_DAYS


def loss_is_beyond_chance(spec: ModelSpec, evidence: Evidence) -> bool:
    """Return whether the test of the loss has rejected, or the newest days' loss is beyond its limit.

    The test takes long where days differ much; what the days show now is the sooner witness.
    """
    return evidence.alarms("concept") or highest_risk(spec, evidence) is not None


def highest_risk(spec: ModelSpec, evidence: Evidence) -> Measurement | None:
    """Return the mean loss of the newest days that is furthest beyond its limit; None if none is."""
    numbers = () if (newest := evidence.newest("concept")) is None else newest.measurements
    beyond = [
        (n.value / n.limit, n)
        for n in numbers
        if n.name == "recent_risk"
        and n.limit is not None
        and n.value > n.limit
        and (n.n or 0) >= spec.monitor.performance.min_labels
    ]
    return max(beyond, key=lambda ranked: ranked[0])[1] if beyond else None


def is_cleared(spec: ModelSpec, evidence: Evidence, began: datetime) -> bool:
    """Return whether labels take back that they have shown harm, as an episode said that began at a time.

    For twice as many windows as a verdict pools no alarm may have come, with the metric of their looks on
    average within what was expected less `drop`, and the mean loss of as many days within what is
    tolerated. One look that no longer proves harm proves no health: days differ.
    """
    newest = evidence.newest("performance")
    if newest is None or newest.status != "ok":
        return False
    looks = [result for result in evidence.results if result.monitor == "performance"]
    since = max((look.end for look in looks if look.status == "alarm"), default=began)
    over = spec.monitor.performance.over
    if newest.end - since < 2 * over * spec.monitor.window:
        return False
    return _metric_is_back(spec, [look for look in looks if look.end > since]) and _loss_is_back(
        over, evidence.newest("concept")
    )


def _metric_is_back(spec: ModelSpec, looks: Results) -> bool:
    metric = spec.performance_metric
    expected = number(looks[-1], "expected_performance")
    found = (number(look, "performance", metric.value) for look in looks)
    values = [measured.value for measured in found if measured is not None]
    if expected is None or not values:
        return True
    return not is_worse(replace(expected, value=fmean(values)), metric)


def _loss_is_back(over: int, concept: WindowResult | None) -> bool:
    usual = number(concept, "reference_risk")
    if usual is None or usual.limit is None:
        return True
    newest = number(concept, "recent_risk", f"{2 * over}d")
    return newest is not None and newest.value <= usual.limit


def _wholly_worse(measured: Measurement, *, higher_is_better: bool) -> bool:
    nearest = measured.high if higher_is_better else measured.low
    if nearest is None or measured.limit is None:
        return False
    return nearest < measured.limit if higher_is_better else nearest > measured.limit


def labels_are_missing(spec: ModelSpec, performance: WindowResult | None) -> bool:
    """Return whether the truth of the newest due windows has not come, though the predictions sufficed."""
    if performance is None or performance.status != "no_data":
        return False
    known = number(performance, "labels_available_ratio")
    asked = 0 if known is None else known.n or 0
    least = spec.monitor.performance.min_labels
    return performance.rows < least <= asked


def covers(spec: ModelSpec, performance: WindowResult | None, began: datetime) -> bool:
    """Return whether half of the windows that a verdict on performance pools lie after a time."""
    if performance is None or performance.status == "no_data":
        return False
    return performance.end - began >= spec.monitor.performance.over * spec.monitor.window / 2


def labels_due(spec: ModelSpec, began: datetime) -> datetime:
    """Return when the labels that will tell of a change since `began` should be there."""
    needed: timedelta = spec.monitor.performance.over * spec.monitor.window / 2
    return began + needed + spec.data.target.delay
