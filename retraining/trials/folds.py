"""Folds that go forward in time: every one is scored on rows that are later than all that were fitted on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from retraining.dataset import rows
from retraining.dataset.cut import Split
from spec import ModelSpec, Task


@dataclass(frozen=True, slots=True)
class Fold:
    """Rows to fit on, and later ones to score on."""

    fit: pd.DataFrame
    held: pd.DataFrame


def folds(spec: ModelSpec, split: Split) -> tuple[Fold, ...]:
    """Return up to ``search.folds`` folds, the oldest first; the newest is the split itself.

    Each earlier fold is held on a span as long as the validation span, just before that of the next, and
    fitted on what is older by the labels' delay. One that lacks a class or has less than half of the rows of
    the newest to fit on is left out: it would speak of another model.
    """
    newest = Fold(split.fit, split.validation)
    found = [newest]
    times = split.fit[spec.data.time]
    start = split.validation[spec.data.time].iloc[0]
    span = split.validation[spec.data.time].iloc[-1] - start
    for _ in range(spec.retrain.search.folds - 1):
        end, start = start, start - span
        held = split.fit[(times >= start) & (times < end)]
        fold = Fold(split.fit[times < start - spec.data.target.delay], held)
        if len(fold.fit) < len(split.fit) / 2 or not _is_whole(spec, fold):
            break
        found.append(fold)
    return tuple(reversed(found))


def _is_whole(spec: ModelSpec, fold: Fold) -> bool:
    if spec.task is Task.REGRESSION:
        return len(fold.held) > 0
    count = len(spec.data.target.classes or (False, True))
    return all(len(np.unique(rows.target(spec, part))) == count for part in (fold.fit, fold.held))
