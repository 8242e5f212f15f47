"""Labelled rows that a version was not trained on: what its calibration and its usual loss are known from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

MOST = 20_000
_SCORES, _LABEL, _TIME = "scores", "label", "event_time"
Array = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Held-out rows with what the version answered and what came true.

    Parameters
    ----------
    frame
        The features in the spec's dtypes.
    scores
        Shape (rows, outputs): P(positive), or P(class) of each class, or the value.
    labels
        Shape (rows,): 0 or 1, the index of the class, or the value.
    times
        Event times in microseconds since the epoch; shape (rows,).
    """

    frame: pd.DataFrame
    scores: Array
    labels: Array
    times: Times

    def __len__(self) -> int:
        return len(self.labels)

    def newest(self, most: int = MOST) -> Self:
        """Return the newest rows, at most so many, in the order of time."""
        kept = np.argsort(self.times, kind="stable")[-most:]
        frame = self.frame.iloc[kept].reset_index(drop=True)
        return type(self)(frame, self.scores[kept], self.labels[kept], self.times[kept])

    def stored(self) -> pd.DataFrame:
        """Return everything as one frame; `of_stored` reads it."""
        beside = {_SCORES: list(self.scores), _LABEL: self.labels, _TIME: self.times}
        renamed = self.frame.add_prefix("f_").reset_index(drop=True)
        return pd.concat([renamed, pd.DataFrame(beside)], axis=1)

    @classmethod
    def of_stored(cls, stored: pd.DataFrame) -> Self:
        """Read what `stored` returned."""
        features = [name for name in stored.columns if name.startswith("f_")]
        frame = stored[features].rename(columns=lambda name: name.removeprefix("f_"))
        scores = np.stack(stored[_SCORES].to_list()).astype(float) if len(stored) else np.empty((0, 1))
        return cls(frame, scores, stored[_LABEL].to_numpy(float), stored[_TIME].to_numpy(np.int64))
