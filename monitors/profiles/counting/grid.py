"""The numeric kernel: values to cells, cells to bins, with exact integer moments; some nanoseconds a value.

Everything is counted in integers, so that the sum over batches is the same whatever the batches are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf, isfinite

import numpy as np
import numpy.typing as npt

from monitors.profiles.counting.lookup import CHUNK, MIDDLE, Bins, Workspace, lookup, to_codes
from monitors.profiles.counting.moments import EXACT_CELL, cell_sums, code_sums
from monitors.profiles.plan import Floats, Ints, NumericPlan

FARTHEST = 2.0**1000
"""Cells beyond this one are this one: only what is nearly no float has them."""

_INT_REACH = 2**62
_EXACT_INT = 2**53

Numbers = npt.NDArray[np.number]


class GridTally:
    """Counts one column's values by its plan; `add` as often as there are batches."""

    def __init__(self, plan: NumericPlan, space: Workspace | None = None) -> None:
        self.plan = plan
        self.counts: Ints = np.zeros(plan.bins, dtype=np.int64)
        self.nulls = self.nans = self.pos_inf = self.neg_inf = 0
        self.minimum: float | int | None = None
        self.maximum: float | int | None = None
        self.sum = self.squares = 0
        self._space = space or Workspace()
        self._lookup = lookup(plan)

    def add(self, arrays: Iterable[Numbers], nulls: int) -> None:
        """Count the values of arrays, any numeric dtype, shape (n,), beside `nulls` that are missing."""
        self.nulls += nulls
        for pieces in _together(arrays):
            self._add(pieces)

    def _add(self, pieces: Iterable[Numbers]) -> None:
        """Count at most 131,072 values: offsets are written one after the other, and counted at once."""
        held, reach = 0, 0.0
        for piece in pieces:
            values, (low, high) = piece, _extremes(piece)
            if not (isfinite(low) and isfinite(high)):
                values = self._finite(piece)
                if not len(values):
                    continue
                low, high = _extremes(values)
            self.minimum = low if self.minimum is None else min(self.minimum, low)
            self.maximum = high if self.maximum is None else max(self.maximum, high)
            _offsets(values, self.plan.center, low, high, self._space.offsets[held:])
            held, reach = held + len(values), max(reach, _reach(self.plan, low, high))
        if held:
            self._count(self._space.offsets[:held], reach)

    def _finite(self, values: Numbers) -> Numbers:
        finite = np.isfinite(values)
        odd = values[~finite]
        nans, pos_inf = int(np.isnan(odd).sum()), int((odd == inf).sum())
        self.nans += nans
        self.pos_inf += pos_inf
        self.neg_inf += len(odd) - nans - pos_inf
        return values[finite]

    def _count(self, offsets: Floats, reach: float) -> None:
        if self.plan.exact:
            self.counts += self._lookup.count(offsets, self._space, inf)
        sums = self._near(offsets) if reach < EXACT_CELL else self._far(offsets, reach)
        self.sum += sums[0]
        self.squares += sums[1]

    def _near(self, offsets: Floats) -> tuple[int, int]:
        """Return the sums of cells and squares, and count the cells: in half of the steps of `_far`."""
        codes = to_codes(np.multiply(offsets, 1 / self.plan.step, out=offsets), offsets)
        if not self.plan.exact:
            self.counts += self._lookup.count_codes(codes, self._space)
        return code_sums(codes, MIDDLE, self._space.codes[: len(codes)])

    def _far(self, offsets: Floats, reach: float) -> tuple[int, int]:
        _to_cells(offsets, self.plan.step, reach)
        if not self.plan.exact:
            self.counts += self._lookup.count(offsets, self._space, reach)
        return cell_sums(offsets, reach, self._space.codes[: len(offsets)].view(np.float64))


def bins(plan: NumericPlan, values: Numbers, space: Workspace) -> Iterator[tuple[slice, Bins]]:
    """Yield the bins of finite values, and which values' they are; each array is overwritten by the next."""
    found = lookup(plan)
    for start in range(0, len(values), CHUNK):
        chunk = values[start : start + CHUNK]
        low, high = chunk.min().item(), chunk.max().item()
        places, reach = _offsets(chunk, plan.center, low, high, space.offsets), _reach(plan, low, high)
        if not plan.exact:
            _to_cells(places, plan.step, reach)
        yield slice(start, start + len(chunk)), found.bins(places, space, inf if plan.exact else reach)


def offsets(values: Numbers, center: float) -> Floats:
    """Return the distance of each finite value from the center, shape (n,).

    Rounded once, that of integers too: exact where it is below 2^53.
    """
    found = np.empty(len(values))
    for start in range(0, len(values), CHUNK):
        chunk = values[start : start + CHUNK]
        low, high = chunk.min().item(), chunk.max().item()
        _offsets(chunk, center, low, high, found[start:])
    return found


def cells(values: Numbers, center: float, step: float) -> Floats:
    """Return the cell of each finite value, an integer as float64, shape (n,)."""
    return to_cells(offsets(values, center), step)


def to_cells(offsets: Floats, step: float) -> Floats:
    """Return the cell of each distance from the center, an integer as float64, shape (n,)."""
    found = offsets.copy()
    _to_cells(found, step, inf)
    return found


def _extremes(values: Numbers) -> tuple[float, float]:
    """Return the least and the greatest value; -0.0 is 0.0: which of them came first must not show."""
    return values.min().item() + 0, values.max().item() + 0


def _together(arrays: Iterable[Numbers]) -> Iterator[list[Numbers]]:
    """Yield the arrays in groups of at most 131,072 values, long ones in pieces."""
    group: list[Numbers] = []
    held = 0
    for values in arrays:
        for start in range(0, len(values), CHUNK):
            piece = values[start : start + CHUNK]
            if held + len(piece) > CHUNK:
                yield group
                group, held = [], 0
            group.append(piece)
            held += len(piece)
    if group:
        yield group


def _reach(plan: NumericPlan, low: float, high: float) -> float:
    """Return how far from 0 a cell may be, rather too far than too near."""
    return 1.0001 * (_distance(plan.center, low, high) / plan.step) + 1


def _distance(center: float, low: float, high: float) -> float:
    return max(abs(low - center), abs(high - center))  # of integers: exact


def _offsets(values: Numbers, center: float, low: float, high: float, buffer: Floats) -> Floats:
    """Return the offsets of values from `low` to `high`, in the beginning of a buffer."""
    found = buffer[: len(values)]
    distance = _distance(center, low, high)
    if isinstance(distance, int) and max(abs(center), distance) > _EXACT_INT // 2:
        found[:] = _int_offsets(values, int(center))
    elif isfinite(distance):
        np.subtract(values, float(center), out=found, dtype=np.float64, casting="unsafe")
    else:
        with np.errstate(over="ignore"):
            np.subtract(values, float(center), out=found, dtype=np.float64, casting="unsafe")
    return found


def _int_offsets(values: Numbers, center: int) -> Floats:
    """Return the offsets of integers that floats do not hold: by their difference modulo 2^64."""
    rounded = values.astype(np.float64) - float(center)
    exact = (values.astype(np.uint64) - np.uint64(center % 2**64)).view(np.int64)
    return np.where(np.abs(rounded) < _INT_REACH, exact, rounded)


def _to_cells(offsets: Floats, step: float, reach: float) -> None:
    """Turn offsets into cells, in place."""
    if reach < EXACT_CELL:
        np.multiply(offsets, 1 / step, out=offsets)
    else:
        with np.errstate(over="ignore"):
            np.multiply(offsets, 1 / step, out=offsets)
        np.clip(offsets, -FARTHEST, FARTHEST, out=offsets)
    np.rint(offsets, out=offsets)
