"""What gates judge: labelled rows, and what the candidate and its opponent answer to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from monitors.performance import Truth
from retraining.dataset.labelled import Rows
from retraining.dataset.rows import FloatArray
from retraining.metrics import row_losses
from spec import ModelSpec

Answer = Callable[[pd.DataFrame], FloatArray]
"""What a version answers to inputs [n, features]: as of `retraining.graphs.scorer.Scorer.predict`."""


@dataclass(frozen=True, slots=True)
class Exam:
    """Labelled rows [n] that the candidate has not seen.

    Parameters
    ----------
    frame
        The rows as the snapshot has them: event time, features, target.
    rows
        The same rows as learners get them.
    ours, theirs
        What the candidate and its opponent answer.
    against
        Version of the opponent; None for the trivial answer.
    """

    spec: ModelSpec
    frame: pd.DataFrame
    rows: Rows
    ours: Answer
    theirs: Answer
    against: str | None

    @classmethod
    def of(
        cls, spec: ModelSpec, frame: pd.DataFrame, ours: Answer, theirs: Answer, against: str | None
    ) -> Exam:
        """Return the exam on a snapshot's frame."""
        return cls(spec, frame, Rows.of(spec, frame), ours, theirs, against)

    @property
    def opponent(self) -> str:
        """What people call the opponent."""
        return "the trivial baseline" if self.against is None else f"champion {self.against}"

    def losses(self, inputs: pd.DataFrame | None = None) -> tuple[FloatArray, FloatArray]:
        """Return the losses [n] of both, on changed inputs if some are given."""
        asked = self.rows.inputs if inputs is None else inputs
        task, truth = self.spec.task, self.rows.truth
        ours, theirs = (row_losses(task, truth, answer(asked)) for answer in (self.ours, self.theirs))
        return ours, theirs

    def truth(self, answer: Answer) -> Truth:
        """Return one side's answers as the monitors measure them."""
        utc = pd.to_datetime(self.frame[self.spec.data.time], utc=True).dt.as_unit("us")
        times = np.asarray(utc.astype("int64"), dtype=np.int64)
        scores = answer(self.rows.inputs)
        return Truth(scores.reshape(len(times), -1), self.rows.truth.astype("float64"), times)
