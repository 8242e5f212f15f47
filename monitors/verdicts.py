"""What each monitor says of a version in a window, from the rows that were read and from what is stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from monitors import concept_verdict, estimate_verdict, label_shift, latency, quality
from monitors.answered import Answered
from monitors.concept.source import Source
from monitors.concept_verdict import Circumstances
from monitors.drift import drift, drift_verdict, lookback
from monitors.finding import Finding, NoData
from monitors.known_version import KnownVersion
from monitors.labelled import Labelled
from monitors.memory import Memory
from monitors.operations import history
from monitors.operations.meter import Meter
from monitors.performance import Truth
from monitors.results.records import Measurement, MonitorName
from monitors.results.store import Store
from monitors.triage.evidence import Evidence, faulty_windows
from monitors.window_profiles import Past, WindowProfiles
from monitors.windows import Window
from spec import ModelSpec

_NO_REFERENCE = NoData("the version has no reference")


class Verdicts:
    """The monitors of one model.

    Windows whose data were wrong count for themselves alone: what pools several windows leaves them out.
    """

    def __init__(
        self,
        spec: ModelSpec,
        store: Store,
        profiles: WindowProfiles,
        memory: Memory,
        meter: Meter | None = None,
    ) -> None:
        self._spec, self._store, self._profiles, self._memory = spec, store, profiles, memory
        self._meter = meter

    def find(
        self,
        monitor: MonitorName,
        window: Window,
        version: str,
        known: KnownVersion | None,
        reading: Answered | Labelled,
    ) -> Finding:
        """Return what a monitor finds in a window for a version.

        Parameters
        ----------
        known
            None where the version has no reference.
        reading
            `Labelled` for the monitors that need the truth, `Answered` for the others, of the window and what
            the monitor pools before it.
        """
        if isinstance(reading, Labelled):
            return self._of_labelled(monitor, window, version, known, reading)
        if monitor == "latency":
            past = history.of_results(self._memory.of(None, "latency"), version, window)
            times, rows = reading.latencies(window, version), reading.traffic(window).rows
            return latency.judge(times, window.length, self._spec, past, rows, self._taken(window, version))
        if monitor == "quality":
            return self._quality(window, version, known, reading)
        if known is None:
            return Finding("no_data", (_NO_REFERENCE.measurement(),), 0)
        if monitor == "drift":
            return self._drift(window, version, known)
        return self._estimate(window, version, known, reading)

    def _of_labelled(
        self,
        monitor: MonitorName,
        window: Window,
        version: str,
        known: KnownVersion | None,
        reading: Labelled,
    ) -> Finding:
        faulty = self._faulty(version)
        if monitor == "concept":
            return self._concept(window, version, known, reading, faulty)
        sound, reference = reading.without(faulty), known.reference if known else None
        if monitor == "slices":
            return sound.slices(window, version, reference)
        found = sound.performance(window, version, reference)
        shift = self._label_shift(window, version, known, sound.truth(window, version), faulty)
        return replace(found, measurements=(*found.measurements, *shift))

    def _label_shift(
        self,
        window: Window,
        version: str,
        known: KnownVersion | None,
        truth: Truth,
        faulty: tuple[Window, ...],
    ) -> tuple[Measurement, ...]:
        """Return what the window's labels are, and whether those of the newest windows have moved."""
        own = label_shift.of_window(self._spec, truth)
        held = None if known is None else known.reference.held
        if held is None:
            return own
        wrong = {each.start for each in faulty}
        before = self._memory.of(version, "performance")
        past = [(r.start, r.measurements) for r in before if r.start < window.start and r.start not in wrong]
        return (*label_shift.judge(self._spec, held, [*past, (window.start, own)]), *own)

    def _concept(
        self,
        window: Window,
        version: str,
        known: KnownVersion | None,
        reading: Labelled,
        faulty: tuple[Window, ...],
    ) -> Finding:
        truth = reading.truth(window, version)
        beside = Circumstances(faulty, self._drifting_since(window, version))
        found = concept_verdict.judge(self._spec, self._store, window, version, known, truth, beside)
        source = None if known is None else known.source
        if self._spec.monitor.concept_drift.detector is None or not isinstance(source, Source):
            return found
        from monitors.concept.streams import stream_drifts  # noqa: PLC0415 - only who asks for it has river

        span = window.pooled(self._spec.monitor.performance.over)
        told = stream_drifts(self._spec, reading.without(faulty).truth(span, version), window, source.scale)
        return found if told is None else replace(found, measurements=(*found.measurements, told))

    def _taken(self, window: Window, version: str) -> tuple[Measurement, ...]:
        """Return what a version took in its slots; of one that was judged before this daemon, as then."""
        if self._meter is not None and (taken := self._meter.measured(self._spec, version, window)):
            return taken
        before = (r for r in self._memory.of(version, "latency") if r.start == window.start)
        names = (history.MEMORY, history.CPU)
        return tuple(n for result in before for n in result.measurements if n.name in names)

    def _quality(
        self, window: Window, version: str, known: KnownVersion | None, reading: Answered
    ) -> Finding:
        rows = reading.rows(window, version)
        start, end = quality.lookback(window)
        before = (r for r in self._memory.of(None, "quality") if start <= r.start < end)
        found = quality.check(
            rows,
            rows["prediction_id"],
            known.reference if known else None,
            self._spec,
            rows=reading.traffic(window),
            past=quality.Past.of(before, version),
        )
        return quality.judge(found, len(rows), quality.observed(rows, self._spec))

    def _drift(self, window: Window, version: str, known: KnownVersion) -> Finding:
        """Return what drift says of a window from what has been counted in it and before it."""
        counts = known.reference.counts
        past = self._profiles.past(window, version, counts.profile.plan)
        wrong = {faulty.start for faulty in self._faulty(version)} - {window.start}
        sound = Past(past.length, {start: p for start, p in past.profiles.items() if start not in wrong})
        found = drift.compare(self._spec, lookback.looks(self._spec, window, sound, counts), counts)
        before = self._drifted_before(window, version)
        importances = known.reference.importances
        return drift_verdict.judge(found, self._spec, importances=importances, before=before)

    def _drifted_before(self, window: Window, version: str) -> tuple[drift_verdict.Verdicts, ...]:
        """Return what had drifted in the windows before one, as many as `persistence` looks back upon."""
        rule = self._spec.monitor.data_drift.persistence
        if rule is None:
            return ()
        first = window.shifted(1 - rule.of).start
        stored = self._store.history(self._spec.model, "drift", version, start=first, end=window.start)
        return tuple(drift_verdict.drifted(result.measurements) for result in stored)

    def _drifting_since(self, window: Window, version: str) -> datetime | None:
        """Return when the row of drift alarms began that a window ends; None where it has none."""
        until = (r for r in self._memory.of(version, "drift") if r.start <= window.start)
        return Evidence.of(version, until).since("drift")

    def _estimate(self, window: Window, version: str, known: KnownVersion, reading: Answered) -> Finding:
        estimator = known.estimator
        if isinstance(estimator, NoData):
            return Finding("no_data", (estimator.measurement(),), 0)
        span = window.pooled(self._spec.monitor.performance.over)
        rows = reading.scored(span, version, self._faulty(version))
        found = estimator.estimate(rows.frame, rows.scores, rows.times)
        past = estimate_verdict.pairs(self._spec, self._memory.of(version, "estimate", "performance"), span)
        bands = known.reference.performance
        return estimate_verdict.judge(self._spec, found, bands, past, len(rows.times))

    def _faulty(self, version: str) -> tuple[Window, ...]:
        return faulty_windows(self._memory.of(version, "quality"))
