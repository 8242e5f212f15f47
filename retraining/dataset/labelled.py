"""Labelled rows as learners and passes get them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retraining.dataset import rows
from retraining.dataset.rows import FloatArray, IntArray
from spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Rows:
    """Labelled rows [n].

    Parameters
    ----------
    inputs
        [n, features], as of `retraining.dataset.rows.inputs`.
    truth
        [n], as of `retraining.dataset.rows.target`.
    weights
        [n] how much each row counts in training, above 0; None where all count alike.
    days
        [n] index of each row's UTC day, rising; rows of one day share what happened that day.
    """

    inputs: pd.DataFrame
    truth: FloatArray | IntArray
    days: NDArray[np.int64]
    weights: FloatArray | None = None

    @classmethod
    def of(cls, spec: ModelSpec, frame: pd.DataFrame, weights: FloatArray | None = None) -> Self:
        """Return the rows of a snapshot's frame [n, …]; those that weigh nothing are left out."""
        if weights is not None:
            kept = weights > 0
            frame, weights = frame[kept], weights[kept]
        days = days_of(frame[spec.data.time])
        return cls(rows.inputs(spec, frame), rows.target(spec, frame), days, weights)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.inputs)


def days_of(times: pd.Series[pd.Timestamp]) -> NDArray[np.int64]:
    """Return the UTC day of each row as an index [n] into the days that occur."""
    dates = pd.to_datetime(times, utc=True).dt.floor("D")
    return np.asarray(pd.factorize(dates, sort=True)[0], "int64")
