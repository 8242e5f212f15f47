"""What goes into an explanation: rows of features with the loss of the model on each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitors.multivariate.rows import Rows
from spec.errors import DataError, Problem

Array = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
Index = npt.NDArray[np.int64]

_FEWEST_DAYS = 5
_TICKS_A_DAY = 86_400 * 10**6


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """Labelled rows of one side.

    Parameters
    ----------
    frame
        The features, in the spec's dtypes. All columns count as inputs: leave out the target.
    losses
        The model's loss on each row, such as its log loss or squared error; finite, shape (rows,).
    times
        Event times in microseconds since the epoch, shape (rows,); None where they are not known.
    """

    frame: Rows
    losses: Array
    times: Times | None = None

    def __len__(self) -> int:
        return len(self.losses)

    def days(self) -> Index | None:
        """Return the day of each row, 0, 1, …; None where fewer than five days are known."""
        if self.times is None:
            return None
        days, day = np.unique(self.times // _TICKS_A_DAY, return_inverse=True)
        return day.astype(np.int64) if len(days) >= _FEWEST_DAYS else None


def check(reference: Side, current: Side) -> None:
    """Refuse sides whose parts do not fit each other.

    Raises
    ------
    DataError
        With every problem of both.
    """
    problems = [
        problem
        for name, side in (("reference", reference), ("current", current))
        for problem in _problems(name, side)
    ]
    if problems:
        raise DataError(problems)


def _problems(name: str, side: Side) -> list[Problem]:
    rows = len(side.frame)
    problems = [
        Problem(
            f"{name}: {part}", f"must have one entry for each of the {rows} rows", f"shape {values.shape}"
        )
        for part, values in (("losses", side.losses), ("times", side.times))
        if values is not None and values.shape != (rows,)
    ]
    unusable = int(np.count_nonzero(~np.isfinite(side.losses)))
    if unusable:
        hint = "Clip probabilities before taking their logarithm"
        problems.append(Problem(f"{name}: losses", "must be finite", f"{unusable} that are not", hint))
    return problems
