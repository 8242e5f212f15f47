"""Rows that a model answered and that no label is known of."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from monitors.estimators.blocks import Times
from monitors.metrics import Array


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """A window as estimators read it.

    Parameters
    ----------
    frame
        Its features, in the spec's dtypes.
    scores
        Shape (rows, 1) with P(positive) or the value, or (rows, classes).
    times
        Event times in microseconds, shape (rows,); if None the rows count as one block.
    """

    frame: pd.DataFrame
    scores: Array
    times: Times | None = None
