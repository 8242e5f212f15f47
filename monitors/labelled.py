"""The answered rows of a span beside what came true, read once, and what performance says of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pds

from monitors import performance
from monitors.finding import Finding, NoData
from monitors.performance import Estimate, Truth
from monitors.references import Reference
from monitors.results.records import Measurement
from monitors.tables import delta, inference_log, labels
from monitors.windows import Window
from spec import ModelSpec, PerformanceMetric, Settings
from spec.tables import FEATURE_PREFIX, label_columns

_COLUMNS = ("prediction_id", "event_time", "logged_at", "version", "slot", "scores")
NEWEST_LABELS = "labels_newest_ratio"
"""Measurement: share of the predictions of the window alone whose truth is known."""

_DELAYS = {"p50": 0.5, "p95": 0.95}
_TICKS_A_SECOND = 10**6
Estimates = Mapping[PerformanceMetric, Estimate | NoData]
_LOOK_BACK = 60  # windows in which the prediction of a label is looked for


@dataclass(frozen=True, slots=True)
class Labelled:
    """The live rows of a span and their labels, as they were known at one time.

    `log` has every row, `joined` those with a label, with `label` and `known_since`; `strays` are the
    arrival times of labels that name no prediction of the log.
    """

    spec: ModelSpec
    log: pa.Table
    joined: pa.Table
    strays: pa.ChunkedArray

    @classmethod
    def read(
        cls, spec: ModelSpec, settings: Settings, span: Window, as_of: datetime, *, features: bool = False
    ) -> Self:
        """Read a span of the log, and its labels, as far as both were there at `as_of`.

        The same `as_of` gives the same rows for ever, whatever comes, or is corrected, afterwards.

        Parameters
        ----------
        span
            The windows to judge, and before them what the first of them pools.
        as_of
            Processing time, timezone-aware.
        features
            Read the features too.
        """
        delay, length = spec.data.target.delay, spec.monitor.window
        inputs = [FEATURE_PREFIX + name for name in spec.features] if features else []
        log = _answered(spec, settings, Window(span.start, span.end + delay), as_of, (*_COLUMNS, *inputs))
        known = arrived_since(spec, settings, _first_arrival(span, log), as_of)
        judged = span.start + (spec.monitor.performance.over - 1) * length
        strays = known.filter(_between(known["arrived_at"], judged + delay, span.end + delay))
        strays = strays.filter(_unknown(strays["prediction_id"], log))
        if strays.num_rows:  # perhaps of predictions from long before or after
            start = span.start - _LOOK_BACK * length
            around = _answered(spec, settings, Window(start, as_of + delay), as_of, _COLUMNS)
            strays = strays.filter(_unknown(strays["prediction_id"], around))
        joined = labels.join(log, known, ("label", "known_since"))
        return cls(spec, log, joined, strays["arrived_at"])

    def versions(self, window: Window) -> tuple[str, ...]:
        """Return the versions that answered in a window."""
        rows = self.log.filter(_between(self.log["event_time"], window.start, window.end))
        return tuple(sorted(pc.unique(rows["version"]).to_pylist()))

    def without(self, windows: Collection[Window]) -> Self:
        """Return the reading without the rows of some windows."""
        if not windows:
            return self
        log, joined = (_outside(table, windows) for table in (self.log, self.joined))
        return replace(self, log=log, joined=joined)

    def truth(self, span: Window, version: str) -> Truth:
        """Return the labelled rows of a version in a part of the span."""
        return performance.truth(self.spec, _part(self.joined, span, version))

    def slices(self, window: Window, version: str, reference: Reference | None) -> Finding:
        """Return how a version fares by slice in the windows that are pooled; needs the features."""
        from monitors.slices.judge import judge  # noqa: PLC0415 - heavy, and not every window asks

        span = window.pooled(self.spec.monitor.performance.over)
        rows, truth = self.labelled(span, version)
        return judge(self.spec, rows, truth, reference)

    def labelled(self, span: Window, version: str) -> tuple[pd.DataFrame, Truth]:
        """Return the features of a version's labelled rows in a part of the span, and their truth."""
        usable = performance.usable(self.spec, _part(self.joined, span, version))
        return inference_log.frame(self.spec, usable), performance.truth(self.spec, usable)

    def performance(self, window: Window, version: str, reference: Reference | None) -> Finding:
        """Return what a version's performance is in the window, pooled as the spec says, and in each slot."""
        metric = self.spec.performance_metric
        span = window.pooled(self.spec.monitor.performance.over)
        rows, joined = (_part(table, span, version) for table in (self.log, self.joined))
        truth = performance.truth(self.spec, joined)
        found = performance.all_metrics(truth, self.spec)
        band = reference.performance.get(metric.value) if reference else None
        finding = performance.judge(found[metric], band, self.spec, len(truth))
        beside = performance.beside(found, self.spec, len(truth))
        newest = (_part(table, window, version) for table in (rows, joined))
        coverage = (*_coverage("labels_available_ratio", rows, joined), *_coverage(NEWEST_LABELS, *newest))
        came = (self._unmatched(window), *coverage, *_delays(joined))
        slots = self._by_slot(performance.usable(self.spec, joined), found)
        return Finding(finding.status, (*finding.measurements, *beside, *slots, *came), finding.rows)

    def _by_slot(self, rows: pa.Table, of_all: Estimates) -> Iterator[Measurement]:
        """Yield every metric by the slot that answered; a version is seldom served from more than one.

        Which slot it was stands in the log, row by row, so a version that has moved is told apart.
        """
        slots = sorted(pc.unique(rows["slot"].drop_null()).to_pylist())
        for slot in slots:
            here = rows if len(slots) == 1 else rows.filter(pc.equal(rows["slot"], slot))
            if here.num_rows < self.spec.monitor.performance.min_labels:
                continue
            found = (
                of_all
                if here is rows
                else performance.all_metrics(performance.truth(self.spec, here), self.spec)
            )
            for metric, number in found.items():
                if isinstance(number, Estimate):
                    yield Measurement(
                        "slot_performance",
                        number.value,
                        feature=slot,
                        method=metric.value,
                        low=number.low,
                        high=number.high,
                        n=number.n,
                    )

    def _unmatched(self, window: Window) -> Measurement:
        delay = self.spec.data.target.delay
        strays = _between(self.strays, window.start + delay, window.end + delay)
        return Measurement("labels_unmatched", pc.sum(strays).as_py() or 0)


def arrived_since(spec: ModelSpec, settings: Settings, since: datetime, as_of: datetime) -> pa.Table:
    """Read the last label of each prediction that arrived in ``[since, as_of]``.

    Columns as `label_columns(spec)`, and `known_since`, when the prediction's first label in that time
    arrived. The files of earlier arrivals are not read: a year of labels costs no more than a week.
    """
    location = settings.location(spec.data.labels)
    schema = delta.schema_of(label_columns(spec))
    kind = schema.field("arrived_at").type
    table = delta.open_table(location)
    arrived = pds.field("arrived_at")
    rows = delta.scan(
        table,
        location,
        schema,
        files=delta.files_of(table, f"arrived_at >= '{since.isoformat()}'"),
        where=(arrived >= pa.scalar(since, kind)) & (arrived <= pa.scalar(as_of, kind)),
    )
    last = rows.take(labels.last_of_each(rows["prediction_id"], rows["arrived_at"]))
    first = rows.group_by("prediction_id").aggregate([("arrived_at", "min")])
    found = pc.index_in(last["prediction_id"], value_set=first["prediction_id"].combine_chunks())
    return last.append_column("known_since", first["arrived_at_min"].take(found))


def _answered(
    spec: ModelSpec, settings: Settings, span: Window, as_of: datetime, columns: Sequence[str]
) -> pa.Table:
    """Read the log's events of a span that had been answered at `as_of`."""
    log = inference_log.read(spec, settings, span.start, span.end, columns=columns)
    return log.filter(pc.less_equal(log["logged_at"], pa.scalar(as_of, log["logged_at"].type)))


def _first_arrival(span: Window, log: pa.Table) -> datetime:
    """A label comes after its event, or after the answer to it, which may be given long before the event."""
    answered = pc.min(log["logged_at"]).as_py()
    return span.start if answered is None else min(span.start, answered)


def _coverage(name: str, rows: pa.Table, joined: pa.Table) -> Iterator[Measurement]:
    asked = pc.count_distinct(rows["prediction_id"]).as_py()
    if asked:
        yield Measurement(name, joined.num_rows / asked, n=asked)


def _delays(joined: pa.Table) -> Iterator[Measurement]:
    """How old the events were when their first label came; negative if it came before the event."""
    if not joined.num_rows:
        return
    came, happened = (joined[name].cast(pa.int64()).to_numpy() for name in ("known_since", "event_time"))
    for method, quantile in _DELAYS.items():
        delay = float(np.quantile((came - happened) / _TICKS_A_SECOND, quantile))
        yield Measurement("label_delay_seconds", delay, method=method, n=joined.num_rows)


def _unknown(ids: pa.ChunkedArray, log: pa.Table) -> pa.ChunkedArray:
    return pc.invert(pc.is_in(ids, value_set=log["prediction_id"].combine_chunks()))


def _part(table: pa.Table, span: Window, version: str) -> pa.Table:
    chosen = _between(table["event_time"], span.start, span.end)
    return table.filter(pc.and_(chosen, pc.equal(table["version"], version)))


def _outside(table: pa.Table, windows: Collection[Window]) -> pa.Table:
    for window in windows:
        inside = _between(table["event_time"], window.start, window.end)
        table = table.filter(pc.invert(inside))
    return table


def _between(times: pa.ChunkedArray, start: datetime, end: datetime) -> pa.ChunkedArray:
    low, high = (pa.scalar(time, times.type) for time in (start, end))
    return pc.and_(pc.greater_equal(times, low), pc.less(times, high))
