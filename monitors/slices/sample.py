"""Rows by slice, block and loss, and by how much slices have become worse than the other rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitors.slices.contrast import Contrast, Sides, contrast
from monitors.slices.cuts import Codes
from monitors.slices.losses import Array

KNOWN = 10
"""A reference with fewer rows of a slice, or outside of it, does not know it."""
Chosen = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Sample:
    """Labelled rows as the search sees them.

    Parameters
    ----------
    codes
        Slice of each row by each cut (see `cuts.coded`); shape (rows, cuts).
    loss
        Finite; shape (rows,); see `losses`.
    block
        Rows of a number go together; 0, 1, … without gaps; shape (rows,). All 0: rows are independent.
    """

    codes: Codes
    loss: Array
    block: Codes

    def __len__(self) -> int:
        return len(self.loss)

    def only(self, chosen: Chosen) -> Sample:
        """Return some of the rows, with their blocks numbered anew."""
        block = np.unique(self.block[chosen], return_inverse=True)[1]
        return Sample(self.codes[chosen], self.loss[chosen], np.asarray(block, dtype=np.int64))

    def halves(self) -> tuple[Sample, Sample]:
        """Return the rows of every second block, and the others; of a single block, every second row."""
        of_block = self.block if len(self) and self.block.max() else np.arange(len(self))
        odd = of_block % 2 == 1
        return self.only(odd), self.only(~odd)

    def thinned(self, most: int) -> Sample:
        """Return every so-manieth row, such that at most so many are left."""
        step = max(1, -(-len(self) // most))
        return self.only(np.arange(len(self)) % step == 0)

    def by(self, code: Codes, slices: int) -> Sides:
        """Sum up slices that do not overlap; `code` is the slice of each row."""
        return Sides.of_codes(code, slices, self.block, self.loss)


def rise(now: Sides, before: Sides | None) -> tuple[Contrast, Chosen]:
    """Return by how much the slices' loss over the other rows' has risen since the reference.

    A slice that was always hard has not risen, and neither has one when all rows became worse alike. Where
    the reference does not know a slice, it is held against the other rows of now alone.

    Returns
    -------
    The difference of the two contrasts, and for which slices `before` was known; shape (slices,).
    """
    current = contrast(now)
    if before is None:
        return current, np.zeros(len(current.value), dtype=bool)
    known = np.minimum(before.inside.rows, before.outside.rows) >= KNOWN
    risen = current - contrast(before)
    return (
        Contrast(
            np.where(known, risen.value, current.value),
            np.where(known, risen.variance, current.variance),
            np.where(known, risen.degrees, current.degrees),
        ),
        known,
    )
