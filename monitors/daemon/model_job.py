"""What the daemon does for one model: looks for new data, and has every due verdict found and stored."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from datetime import datetime
from itertools import groupby
from pathlib import Path

from monitors import references
from monitors.answered import Answered
from monitors.daemon import recall
from monitors.known_version import KnownVersion
from monitors.labelled import Labelled
from monitors.ledger import FIRST, LATE_LABELS, LATE_ROWS, Ledger, Task
from monitors.memory import Memory
from monitors.operations.meter import Meter
from monitors.references import Reference
from monitors.reports import report
from monitors.results.records import LABELLED, MONITORS, MonitorName, WindowResult
from monitors.results.store import Store
from monitors.revision import code_revision
from monitors.tables import inference_log, labels
from monitors.triage.watch import Watch
from monitors.verdicts import Verdicts
from monitors.window_profiles import WindowProfiles
from monitors.windows import EPOCH, Window
from spec import ModelSpec, NotFound, Settings, Unavailable

_SPAN = 14  # windows read at once beside those that are pooled
_RETRY_S, _RETRY_MOST_S = 5.0, 300.0

_log = logging.getLogger(__name__)


class ModelJob:
    """What the daemon does for one model."""

    def __init__(
        self,
        spec: ModelSpec,
        settings: Settings,
        store: Store,
        reporter: report.Reporter,
        settle_s: float,
        meter: Meter | None = None,
    ) -> None:
        self._spec, self._settings, self._store, self._reporter = spec, settings, store, reporter
        self._ledger = Ledger(spec, settle_s)
        self._profiles = WindowProfiles(spec, store)
        self._seen_rows: inference_log.Seen | None = None
        self._seen_labels: frozenset[str] | None = None
        self._versions: dict[str, KnownVersion] = {}
        self._spoke_last: tuple[datetime, tuple[str, ...]] = (EPOCH, ())
        self._memory = Memory(spec, store)
        self._verdicts = Verdicts(spec, store, self._profiles, self._memory, meter)
        self._watch = Watch(spec, settings, store, self._memory)
        self._outages, self._retry_at = 0, 0.0

    def tick(self, wall: float, stop: threading.Event) -> bool:
        """Look for new data and compute what is due; return whether there was anything to compute."""
        if wall < self._retry_at:
            return False
        try:
            self._look()
            tasks = self._ledger.due(self._settings.clock.now(), wall)
            for chunk in _chunks(tasks):
                self._compute(chunk, wall, stop)
            if tasks:
                self._triage()
                self._reporter.judged(self._spec, self._settings, {task.window.start for task in tasks})
        except Exception as error:  # noqa: BLE001 - recorded; the other models are still watched
            _log.exception("%s: the monitors cannot read their data", self._spec.model)
            self._outages += 1
            self._retry_at = wall + min(_RETRY_S * 2 ** (self._outages - 1), _RETRY_MOST_S)
            for monitor in MONITORS:
                self._record_failure(monitor, error)
            return False
        self._outages = 0
        return bool(tasks)

    def _look(self) -> None:
        """Tell the ledger of windows with new rows or labels."""
        first_look = self._seen_rows is None
        self._seen_rows, rows = inference_log.changes(self._spec, self._settings, self._seen_rows)
        self._seen_labels, labelled = labels.changes(self._spec, self._settings, self._seen_labels)
        self._profiles.touched(rows, is_late=not first_look)
        if first_look:
            self._recall()
        else:
            self._ledger.touched(rows, LATE_ROWS)
            self._ledger.touched(labelled, LATE_LABELS)
        if rows:
            self._ledger.begin(min(rows))

    def _recall(self) -> None:
        """Take up where the last daemon stopped."""
        known = recall.computed(self._spec, self._store)
        for (window, monitor), at in known.items():
            self._ledger.computed(window, monitor, at)
        for window, monitor in recall.holes(self._spec, known):
            self._ledger.failed(window, monitor, float("-inf"))
        rows, labelled = recall.late(self._spec, self._settings, known)
        self._profiles.touched(rows, is_late=True)
        self._ledger.touched(rows, LATE_ROWS)
        self._ledger.touched(labelled, LATE_LABELS)
        latest = self._store.latest(self._spec.model, "quality")
        newest = max((result.start for result in latest), default=EPOCH)
        self._spoke_last = newest, tuple(result.version for result in latest if result.start == newest)

    def _compute(self, tasks: Sequence[Task], wall: float, stop: threading.Event) -> None:
        """Compute neighbouring windows from one reading of their rows."""
        if stop.is_set():
            return
        now = self._settings.clock.now()
        monitor = self._spec.monitor
        over = monitor.performance.over
        if data := [task for task in tasks if task.monitor not in LABELLED]:
            uncounted = self._profiles.uncounted([task.window for task in data if task.monitor == "drift"])
            pooled = over if self._estimates(data) else 1
            span = _span(data, pooled, uncounted)
            self._judge(data, Answered.read(self._spec, self._settings, span), now, wall, stop)
        if truth := [task for task in tasks if task.monitor in LABELLED]:
            features = any(task.monitor == "slices" for task in truth)
            read = Labelled.read(self._spec, self._settings, _span(truth, over), now, features=features)
            self._judge(truth, read, now, wall, stop)

    def _count(self, window: Window, reading: Answered) -> None:
        """Count every version's rows in the windows that a verdict looks at, if still to be done."""
        for uncounted in self._profiles.uncounted([window]):
            for version in reading.versions(uncounted):
                known = self._known(version)
                if known is not None:
                    plan = known.reference.counts.profile.plan
                    self._profiles.count(uncounted, version, plan, reading.counted(uncounted, version))
            self._profiles.counted(uncounted)

    def _judge(
        self,
        tasks: Sequence[Task],
        reading: Answered | Labelled,
        now: datetime,
        wall: float,
        stop: threading.Event,
    ) -> None:
        for task in tasks:
            if stop.is_set():
                return
            try:
                if task.monitor == "drift" and isinstance(reading, Answered):
                    self._count(task.window, reading)
                for version in self._live(task.window, reading):
                    self._save(task, version, reading, now)
            except Exception as error:  # noqa: BLE001 - recorded; the other monitors still run
                _log.exception("%s: %s of %s failed", self._spec.model, task.monitor, task.window.start)
                self._ledger.failed(task.window, task.monitor, wall)
                self._record_failure(task.monitor, error)
            else:
                self._ledger.computed(task.window, task.monitor, now)

    def _live(self, window: Window, reading: Answered | Labelled) -> tuple[str, ...]:
        """Return the versions that answered in a window; of a silent one, those that spoke last."""
        versions = reading.versions(window)
        if versions and window.start >= self._spoke_last[0]:
            self._spoke_last = window.start, versions
        return versions or self._spoke_last[1]

    def _save(self, task: Task, version: str, reading: Answered | Labelled, now: datetime) -> None:
        known = self._known(version)
        reference = None if known is None else known.reference
        started = time.perf_counter()
        finding = self._verdicts.find(task.monitor, task.window, version, known, reading)
        result = WindowResult(
            self._spec.model,
            version,
            task.monitor,
            task.window.start,
            task.window.end,
            finding.rows,
            finding.status,
            finding.measurements,
            computed_at=now,
            duration_s=time.perf_counter() - started,
            reference=reference.name if reference else None,
            code_revision=code_revision(),
            reason=task.reason,
        )
        self._store.save(result)
        self._memory.saw(result)
        if task.monitor == "drift" and reference is not None:
            self._report(task, version, reference)

    def _triage(self) -> None:
        """Decide what is to be done about the champion, now that more is known."""
        version = self._watch.champion(self._spoke_last[1])
        if version is None:
            return
        try:
            known = self._known(version)
            self._watch.decide(version, known, self._settings.clock.now())
        except Exception as error:  # noqa: BLE001 - recorded; the figures stand, and the next look decides again
            _log.exception("%s: the triage failed", self._spec.model)
            self._record_failure("triage", error)

    def _report(self, task: Task, version: str, reference: Reference) -> None:
        """Have Evidently's report of the window written if it is the one in which a report falls due."""
        every = self._spec.monitor.report
        if task.reason != FIRST or every is None:
            return
        if (task.window.end - EPOCH) // every == (task.window.start - EPOCH) // every:
            return
        span = task.window.pooled(self._spec.monitor.data_drift.over)
        rows = Answered.read(self._spec, self._settings, span).rows(span, version)
        if rows.empty:
            return
        file = report.path(self._settings, self._spec, version, task.window.start)
        self._reporter.submit(self._spec, reference.frame, rows, file).add_done_callback(_log_report)

    def _estimates(self, tasks: Sequence[Task]) -> bool:
        """Return whether an estimate pools windows; of a version without held-out rows there is none."""
        asked = any(task.monitor == "estimate" for task in tasks)
        return asked and references.any_held(self._spec, self._settings)

    def _known(self, version: str) -> KnownVersion | None:
        if version not in self._versions:
            try:
                reference = references.load(self._spec, self._settings, version)
            except NotFound:
                return None  # it may still come
            self._versions[version] = KnownVersion(self._spec, reference)
        return self._versions[version]

    def _record_failure(self, monitor: MonitorName, error: Exception) -> None:
        try:
            text = f"{type(error).__name__}: {error}"
            self._store.record_failure(self._spec.model, monitor, text, self._settings.clock.now())
        except Unavailable:
            _log.exception("%s: the results store took no record of a failure", self._spec.model)


def _chunks(tasks: Sequence[Task]) -> Iterator[list[Task]]:
    """Group tasks, in order, so that the windows of a group lie near each other."""
    for _, group in groupby(
        tasks, key=lambda task: (task.window.start - EPOCH) // (_SPAN * task.window.length)
    ):
        yield list(group)


def _span(tasks: Sequence[Task], over: int, others: Sequence[Window] = ()) -> Window:
    """Return the span that holds the windows of all tasks, what each of them pools, and some others."""
    windows = [tasks[0].window.pooled(over), tasks[-1].window, *others]
    return Window(min(window.start for window in windows), max(window.end for window in windows))


def _log_report(written: Future[Path]) -> None:
    if written.cancelled():
        return
    error = written.exception()
    if error is None:
        _log.info("report %s", written.result())
    else:
        _log.error("a report failed", exc_info=error)
