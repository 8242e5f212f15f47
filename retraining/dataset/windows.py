"""Which rows a candidate learns from, and how much each counts: the training windows of `retrain.windows`."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd

from retraining.dataset import rows
from retraining.dataset.labelled import Rows
from retraining.dataset.rows import FloatArray
from retraining.imports import function
from retraining.records import Snapshot
from spec import DataError, ModelSpec, Problem, Task, format_duration
from spec.retrain import HalfLife, TrainingWindow

_LEAST = 100


def usable(spec: ModelSpec, taken: Snapshot) -> dict[str, TrainingWindow]:
    """Return the windows by name, but `onset` where no change is dated; `all` where none is left."""
    found: dict[str, TrainingWindow] = {
        name_of(window): window
        for window in spec.retrain.windows
        if window != "onset" or taken.onset is not None
    }
    return found or {"all": "all"}


def name_of(window: TrainingWindow) -> str:
    """Return what people call a window: ``all``, ``onset``, ``60d``, ``half-life 90d``."""
    if isinstance(window, HalfLife):
        return f"half-life {format_duration(window.half_life)}"
    return window if isinstance(window, str) else format_duration(window)


def learnt(spec: ModelSpec, window: TrainingWindow, frame: pd.DataFrame, taken: Snapshot) -> Rows:
    """Return what a window lets a candidate learn from, of rows [n] by time, weighed.

    Where that is not enough to fit anything, such as on rows from before the change, all rows count: there
    was nothing else to learn from then. Classes that are to be balanced weigh the same together.
    """
    if spec.retrain.augment is not None:
        frame = augmented(spec, spec.retrain.augment, frame)
    times = frame[spec.data.time]
    counted = weights(window, times, times.iloc[-1].to_pydatetime(), taken)
    part = Rows.of(spec, frame, counted)
    if len(part) < _LEAST or not _has_all_classes(spec, part):
        part = Rows.of(spec, frame, np.ones(len(frame)))
    if spec.retrain.class_weight == "balanced" and spec.task is not Task.REGRESSION:
        return replace(part, weights=_balanced(part))
    alike = part.weights is None or not np.ptp(part.weights)
    return replace(part, weights=None) if alike else part


def augmented(spec: ModelSpec, path: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return what the user's function makes of the rows [n] to fit on, by time.

    Raises
    ------
    DataError
        There is no such function, or what it returns is not rows of the model.
    """
    made = function(path, "retrain.augment")(spec, frame.copy())
    where = f"what {path} (retrain.augment) returns"
    if not isinstance(made, pd.DataFrame) or spec.data.time not in made:
        found = ", ".join(map(str, made)) if isinstance(made, pd.DataFrame) else type(made).__name__
        raise DataError([Problem(where, f"must be a frame with the column {spec.data.time!r}", found)])
    rows.check(spec, made, where)
    return made.sort_values(spec.data.time, kind="stable", ignore_index=True)


def _has_all_classes(spec: ModelSpec, part: Rows) -> bool:
    count = len(spec.data.target.classes or (False, True))
    return spec.task is Task.REGRESSION or len(np.unique(part.truth)) == count


def _balanced(part: Rows) -> FloatArray:
    """Return the rows' weights times what makes each class weigh as much as any other."""
    counted = np.ones(len(part)) if part.weights is None else part.weights
    kinds = np.asarray(part.truth, "int64")
    sums = np.bincount(kinds, counted)
    return np.asarray(counted * (sums.sum() / len(sums) / sums)[kinds], "float64")


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
