"""Whether the truth has stopped to come.

Windows that are pooled hide it for as long as the older ones suffice. So the newest windows are asked, each
for itself, as soon as their truth is due: by the file's delay, or by the time that it used to take if that is
more.
"""

from __future__ import annotations

from datetime import timedelta
from statistics import median

from monitors.labelled import NEWEST_LABELS
from monitors.quality.shares import surely_over
from monitors.results.records import Measurement
from monitors.triage.evidence import Evidence, labels_are_missing, number
from spec import ModelSpec

_NEWEST = 2
"""Windows in a row whose truth must be missing."""

_FEWEST = 7
"""Windows before from which it is known how much truth comes, and when."""

_LEAST = 0.5
"""Share of the usual truth below which it is missing."""


def missing_labels(spec: ModelSpec, evidence: Evidence) -> Measurement | None:
    """Return the share of predictions whose truth has come, where that is too little; else None.

    It is too little where the pooled windows have not enough for a verdict, though their predictions
    sufficed; and where in each of the newest two due windows it is surely less than half of what was usual.
    """
    performance = evidence.newest("performance")
    if labels_are_missing(spec, performance):
        return number(performance, "labels_available_ratio")
    judged = [result for result in evidence.results if result.monitor == "performance"]
    late = [n.value for result in judged if (n := number(result, "label_delay_seconds", "p95")) is not None]
    if evidence.at is None or len(late) < _FEWEST:
        return None
    delay = max(spec.data.target.delay, timedelta(seconds=median(late)))
    due = [result for result in judged if result.end + delay <= evidence.at]
    shares = [share for result in due if (share := number(result, NEWEST_LABELS)) is not None]
    before, newest = shares[:-_NEWEST], shares[-_NEWEST:]
    if len(before) < _FEWEST:
        return None
    limit = 1 - _LEAST * median(share.value for share in before)
    missing = all(surely_over(round((n.n or 0) * (1 - n.value)), n.n or 0, limit) for n in newest)
    return newest[-1] if missing else None
