"""The numeric kernel: values to cells, cells to bins, with exact integer moments, a few nanoseconds a value.

Everything is counted in integers, so that the sum over batches is the same whatever the batches and their order.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from monitors.plan import GRID, Floats, Ints, NumericPlan

CHUNK = 2**16
"""Values counted at once: the buffers stay in the processor's cache, and the sums below stay exact."""

FARTHEST = 1e30
"""Cells beyond this one are this one: their squares stay far from the end of floats."""

_CELLS = 2 * GRID + 1
_EXACT_CELL = 2**18  # squares of cells up to here, summed over a chunk, stay below 2^53
_INT_REACH = 2**62


class GridTally:
    """Counts one column's values by its plan; `add` as often as there are batches."""

    def __init__(self, plan: NumericPlan) -> None:
        self.plan = plan
        self.counts: Ints = np.zeros(plan.bins, dtype=np.int64)
        self.nulls = self.nans = self.pos_inf = self.neg_inf = 0
        self.minimum: float | int | None = None
        self.maximum: float | int | None = None
        self.sum = self.squares = 0
        self._bins = Binner(plan)

    def add(self, values: npt.NDArray[np.number], nulls: int) -> None:
        """Count values, any numeric dtype, shape (n,), beside `nulls` that are missing."""
        self.nulls += nulls
        for start in range(0, len(values), CHUNK):
            self._add(values[start : start + CHUNK])

    def _add(self, values: npt.NDArray[np.number]) -> None:
        low, high = values.min(), values.max()
        if values.dtype.kind == "f" and not np.isfinite(high - low):
            values = self._finite(values)
            if not len(values):
                return
            low, high = values.min(), values.max()
        self._extend(low.item(), high.item())
        offsets = _offsets(values, self.plan.center, low, high)
        cells = _cells(offsets, self.plan.step)
        self._add_moments(cells)
        self.counts += self._bins.count(cells, offsets)

    def _finite(self, values: npt.NDArray[np.number]) -> npt.NDArray[np.number]:
        finite = np.isfinite(values)
        if finite.all():  # the range of the column is no float, but its values are
            return values
        odd = values[~finite]
        self.nans += int(np.isnan(odd).sum())
        self.pos_inf += int(np.isposinf(odd).sum())
        self.neg_inf += int(np.isneginf(odd).sum())
        return values[finite]

    def _extend(self, low: float, high: float) -> None:
        self.minimum = low if self.minimum is None else min(self.minimum, low)
        self.maximum = high if self.maximum is None else max(self.maximum, high)

    def _add_moments(self, cells: Floats) -> None:
        far = np.abs(cells).max() >= _EXACT_CELL
        if far:
            distant = np.abs(cells) >= _EXACT_CELL
            outside = [int(cell) for cell in cells[distant].tolist()]
            self.sum += sum(outside)
            self.squares += sum(cell * cell for cell in outside)
            cells = cells[~distant]
        self.sum += int(cells.sum())
        self.squares += int(np.einsum("i,i->", cells, cells))


class Binner:
    """Puts values in bins: by a table over the grid, and by bisection outside it."""

    def __init__(self, plan: NumericPlan) -> None:
        self.plan = plan
        cuts = plan.cuts
        inside = np.flatnonzero((cuts >= -GRID) & (cuts <= GRID + 1))
        self._gridded = not plan.exact and len(inside) > 1 and cuts[inside[0]] == -GRID
        if self._gridded:
            self._first, self._last = int(inside[0]) + 1, int(inside[-1])
            self._starts = (cuts[inside[:-1]] + GRID).astype(np.int64)

    def count(self, cells: Floats, offsets: npt.NDArray[np.number]) -> Ints:
        """Return the number of values in each bin, shape (bins,)."""
        if not self._gridded:
            return self._bisected(offsets if self.plan.exact else cells)
        if cells.min() >= -GRID and cells.max() <= GRID:
            return self._histogram(cells)
        inside = (cells >= -GRID) & (cells <= GRID)
        return self._histogram(cells[inside]) + self._bisected(cells[~inside])

    def bins(self, values: npt.NDArray[np.number]) -> Ints:
        """Return the bin of each finite value, shape (n,)."""
        places = offsets(values, self.plan.center)
        if not self.plan.exact and len(values):
            places = _cells(places, self.plan.step)
        return np.searchsorted(self.plan.cuts, places, side="right")

    def _histogram(self, cells: Floats) -> Ints:
        grid = np.bincount((cells + GRID).astype(np.int64), minlength=_CELLS)
        counts = np.zeros(self.plan.bins, dtype=np.int64)
        counts[self._first : self._last + 1] = np.add.reduceat(grid, self._starts)
        return counts

    def _bisected(self, places: npt.NDArray[np.number]) -> Ints:
        found = np.searchsorted(self.plan.cuts, places, side="right")
        return np.bincount(found, minlength=self.plan.bins)


def cells(values: npt.NDArray[np.number], center: float, step: float) -> Floats:
    """Return the cell of each finite value, integers as float64, shape (n,)."""
    if not len(values):
        return np.zeros(0)
    return _cells(_offsets(values, center, values.min(), values.max()), step)


def offsets(values: npt.NDArray[np.number], center: float) -> npt.NDArray[np.number]:
    """Return the distance of each finite value from the center; exact for integers within 2^62 of it."""
    return _offsets(values, center, values.min(), values.max()) if len(values) else values


def _offsets(
    values: npt.NDArray[np.number], center: float, low: np.number, high: np.number
) -> npt.NDArray[np.number]:
    if values.dtype.kind in "iu" and isinstance(center, int):
        near, far = max(center - _INT_REACH, -(2**63)), min(center + _INT_REACH, 2**63 - 1)
        if low.item() < near or high.item() > far:
            values = np.clip(values, max(near, int(np.iinfo(values.dtype).min)), far)
        return values.astype(np.int64, copy=False) - center
    with np.errstate(over="ignore"):
        return np.subtract(values, center, dtype=np.float64)


def _cells(offsets: npt.NDArray[np.number], step: float) -> Floats:
    with np.errstate(over="ignore"):
        cells = np.multiply(offsets, 1 / step, dtype=np.float64)
    np.rint(cells, out=cells)
    if not -FARTHEST <= cells.min() <= cells.max() <= FARTHEST:
        np.clip(cells, -FARTHEST, FARTHEST, out=cells)
    return cells
