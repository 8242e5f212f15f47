"""What to do about what the monitors found: one decision an episode, with its reasons."""

from monitors.triage.decision import decide
from monitors.triage.evidence import Evidence
from monitors.triage.records import Action, Cause, TrainingWindow, Triage

__all__ = ["Action", "Cause", "Evidence", "TrainingWindow", "Triage", "decide"]
