"""The answered rows of a span beside what came true, read once, and what performance says of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pds

from monitors import delta, inference_log, labels, performance
from monitors.finding import Finding
from monitors.records import Measurement, MonitorName
from monitors.references import Reference
from monitors.windows import Window
from spec import ModelSpec, Settings
from spec.tables import label_columns

_COLUMNS = ("prediction_id", "event_time", "logged_at", "version", "scores")
_LOOK_BACK = 60  # windows in which the prediction of a label is looked for


@dataclass(frozen=True, slots=True)
class Labelled:
    """The live rows of a span and their labels, as they were known at one time.

    `log` has every row, `joined` those with a label; `strays` are the arrival times of labels that name
    no prediction of the log.
    """

    spec: ModelSpec
    log: pa.Table
    joined: pa.Table
    strays: pa.ChunkedArray

    @classmethod
    def read(cls, spec: ModelSpec, settings: Settings, span: Window, as_of: datetime) -> Self:
        """Read a span of the log, and the labels that arrived since it began and until `as_of`.

        Parameters
        ----------
        span
            The windows to judge, and before them what the first of them pools.
        """
        delay, length = spec.data.target.delay, spec.monitor.window
        log = inference_log.read(spec, settings, span.start, span.end + delay, columns=_COLUMNS)
        known = arrived_since(spec, settings, span.start, as_of)
        judged = span.start + (spec.monitor.performance.over - 1) * length
        strays = known.filter(_between(known["arrived_at"], judged + delay, span.end + delay))
        strays = strays.filter(_unknown(strays["prediction_id"], log))
        if strays.num_rows:  # perhaps of predictions from long before or after
            start = span.start - _LOOK_BACK * length
            around = inference_log.read(spec, settings, start, columns=["prediction_id"])
            strays = strays.filter(_unknown(strays["prediction_id"], around))
        return cls(spec, log, labels.join(log, known), strays["arrived_at"])

    def versions(self, window: Window) -> tuple[str, ...]:
        """Return the versions that answered in a window."""
        rows = self.log.filter(_between(self.log["event_time"], window.start, window.end))
        return tuple(sorted(pc.unique(rows["version"]).to_pylist()))

    def judge(
        self, _monitor: MonitorName, window: Window, version: str, reference: Reference | None
    ) -> Finding:
        """Return what `performance` finds in the window, pooled as the spec says, for a version."""
        metric = self.spec.performance_metric
        span = window.pooled(self.spec.monitor.performance.over)
        rows, joined = (_part(table, span, version) for table in (self.log, self.joined))
        truth = performance.truth(self.spec, joined)
        band = reference.performance.get(metric.value) if reference else None
        finding = performance.judge(performance.estimate(truth, metric), band, self.spec, len(truth))
        delay = self.spec.data.target.delay
        strays = _between(self.strays, window.start + delay, window.end + delay)
        extra = [Measurement("labels_unmatched", pc.sum(strays).as_py() or 0)]
        asked = pc.count_distinct(rows["prediction_id"]).as_py()
        if asked:
            extra.append(Measurement("labels_available_ratio", joined.num_rows / asked, n=asked))
        return Finding(finding.status, (*finding.measurements, *extra), finding.rows)


def arrived_since(spec: ModelSpec, settings: Settings, since: datetime, as_of: datetime) -> pa.Table:
    """Read the last label of each prediction that arrived in ``[since, as_of]``.

    No label of an event is older than the event, so the files of earlier arrivals need no reading: a
    year of labels costs no more than a week.
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
    return rows.take(labels.last_of_each(rows["prediction_id"], rows["arrived_at"]))


def _unknown(ids: pa.ChunkedArray, log: pa.Table) -> pa.ChunkedArray:
    return pc.invert(pc.is_in(ids, value_set=log["prediction_id"].combine_chunks()))


def _part(table: pa.Table, span: Window, version: str) -> pa.Table:
    chosen = _between(table["event_time"], span.start, span.end)
    return table.filter(pc.and_(chosen, pc.equal(table["version"], version)))


def _between(times: pa.ChunkedArray, start: datetime, end: datetime) -> pa.ChunkedArray:
    low, high = (pa.scalar(time, times.type) for time in (start, end))
    return pc.and_(pc.greater_equal(times, low), pc.less(times, high))
