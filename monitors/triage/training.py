"""The rows that a retrain should learn from, after a change whose beginning is known or not."""

from __future__ import annotations

from monitors.triage.evidence import Evidence
from monitors.triage.records import TrainingWindow
from spec import ModelSpec

_LEAST_WEIGHT = 0.05


def training_window(spec: ModelSpec, evidence: Evidence) -> TrainingWindow:
    """Return the window: the new concept alone where it has rows enough, else all with the old weighed down.

    Without an onset the old rows are as good as the new ones. With one, and too few rows after it, each older
    row weighs as much less as there are more of them, so that both concepts count alike, but at least 5 %.
    """
    excluded, onset = evidence.faulty, evidence.onset
    if onset is None:
        return TrainingWindow(
            None, 1.0, excluded, "No change of the relation is dated: every labelled row counts."
        )
    rows = evidence.labelled_since(onset)
    since = f"{onset:%Y-%m-%d %H:%M}"
    new_rows = rows - _held_out(spec, evidence)
    if new_rows >= spec.retrain.min_rows:
        text = f"{rows} labelled rows have come since the change at {since}: the old concept is dropped."
        return TrainingWindow(onset, 1.0, excluded, text)
    text = f"Only {rows} labelled rows have come since the change at {since}: older ones count, weighed down."
    earlier = max(1, sum_before(evidence) - rows)
    return TrainingWindow(None, min(1.0, max(_LEAST_WEIGHT, rows / earlier)), excluded, text)


def sum_before(evidence: Evidence) -> int:
    """Count the labelled rows of all windows that are known."""
    first = min((result.start for result in evidence.results), default=None)
    return 0 if first is None else evidence.labelled_since(first)


def _held_out(spec: ModelSpec, evidence: Evidence) -> int:
    """Count the labelled rows that the newest span, which validates, takes from training."""
    return 0 if evidence.at is None else evidence.labelled_since(evidence.at - spec.retrain.holdout)
