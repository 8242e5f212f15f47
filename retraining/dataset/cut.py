"""Cut the training rows by time: what trials fit, what they are scored on, and the same season one year ago.

├──── fit ────┤season├──── fit ────┤ gap ├─ validation ─┤ gap ├─ holdout ─┤
└ one `validate.season` before the holdout ┘
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from retraining.dataset import rows
from retraining.records import Snapshot
from spec import DataError, ModelSpec, Problem, Task

_MOST_VALIDATION = 0.25


@dataclass(frozen=True, slots=True)
class Split:
    """Training rows cut by time.

    Parameters
    ----------
    fit
        What the trials learn from.
    validation
        The newest rows, later than `fit` by the label's delay at least; what trials are scored on.
    season
        The rows of the holdout's time of the year, a season earlier; none of them is in `fit`.
    """

    fit: pd.DataFrame
    validation: pd.DataFrame
    season: pd.DataFrame


def cut(spec: ModelSpec, train: pd.DataFrame, taken: Snapshot) -> Split:
    """Cut training rows [n], sorted by time.

    Validation is as long as the holdout, but at most a quarter of the training span. Labels of the gap before
    it were not known when its first row was answered. Each of the two has at most ``search.max_rows`` rows.

    Raises
    ------
    DataError
        A part holds no row, or not every class.
    """
    times = train[spec.data.time]
    span = times.iloc[-1] - times.iloc[0]
    start = times.iloc[-1] - min(spec.retrain.holdout, span * _MOST_VALIDATION)
    newest, older = times > start, times <= start - spec.data.target.delay
    past = in_season(spec, times, taken)
    most = spec.retrain.search.max_rows
    split = Split(train[older & ~past].tail(most), train[newest].tail(most), train[older & past])
    _require_rows(spec, split)
    if spec.task is not Task.REGRESSION:
        _require_classes(spec, split)
    return split


def in_season(spec: ModelSpec, times: pd.Series[pd.Timestamp], taken: Snapshot) -> pd.Series[bool]:
    """Return which rows [n] lie one season before the holdout, or before what follows it.

    A holdout's length is looked at on either side of its end, since what comes next is what is to be served.
    """
    season = spec.validation.season
    if season is None:
        return pd.Series(data=False, index=times.index)
    first, last = taken.holdout_start - season, taken.window_end - season + spec.retrain.holdout
    return (times >= first) & (times <= last)


def _require_rows(spec: ModelSpec, split: Split) -> None:
    parts = {"older": split.fit, "newest": split.validation}
    hint = "Widen retrain.window, or shorten retrain.holdout; data.target.delay lies between the two"
    problems = [
        Problem(f"{spec.model}: {name} rows of the training span", "must be some", "none", hint)
        for name, part in parts.items()
        if part.empty
    ]
    if problems:
        raise DataError(problems)


def _require_classes(spec: ModelSpec, split: Split) -> None:
    count = len(spec.data.target.classes or (False, True))
    parts = {"older": split.fit, "newest": split.validation}
    found = {name: len(np.unique(rows.target(spec, part))) for name, part in parts.items()}
    problems = [
        Problem(
            f"{spec.model}: {name} rows of the training span",
            f"must hold all {count} classes",
            str(seen),
            "Wait for labels of every class, widen retrain.window, or lengthen retrain.holdout",
        )
        for name, seen in found.items()
        if seen != count
    ]
    if problems:
        raise DataError(problems)
