"""Which rows a candidate learns from, and how much each counts: the training windows of `retrain.windows`."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd

from retraining.dataset.rows import FloatArray
from retraining.records import Snapshot
from spec import ModelSpec, format_duration
from spec.retrain import HalfLife, TrainingWindow


def usable(spec: ModelSpec, taken: Snapshot) -> dict[str, TrainingWindow]:
    """Return the spec's windows by name; `onset` is left out where no change is dated."""
    return {
        name_of(window): window
        for window in spec.retrain.windows
        if window != "onset" or taken.onset is not None
    }


def name_of(window: TrainingWindow) -> str:
    """Return what people call a window: ``all``, ``onset``, ``60d``, ``half-life 90d``."""
    if isinstance(window, HalfLife):
        return f"half-life {format_duration(window.half_life)}"
    return window if isinstance(window, str) else format_duration(window)


def weights(
    window: TrainingWindow, times: pd.Series[pd.Timestamp], end: datetime, taken: Snapshot
) -> FloatArray:
    """Return how much each row [n] counts: 1 for a row that counts in full, 0 for one that is left out.

    Parameters
    ----------
    times
        [n] event times, none after `end`.
    end
        Event time of the newest row that the candidate may learn from; spans count back from it.
    taken
        Tells the onset of the change, and how much a row from before it counts.
    """
    if window == "onset" and taken.onset is not None:
        return np.where(times < taken.onset, taken.old_weight, 1.0)
    if isinstance(window, str):
        return np.ones(len(times))
    age = (pd.Timestamp(end) - times).dt.total_seconds().to_numpy("float64")
    if isinstance(window, HalfLife):
        return np.asarray(0.5 ** (age / window.half_life.total_seconds()), "float64")
    return np.where(age <= window.total_seconds(), 1.0, 0.0)
