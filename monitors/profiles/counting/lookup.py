"""Finds the bins of many values by one table look-up each, and by bisection only where the table cannot tell.

A table is built once for each plan and shared by every tally of it: 128 kB a column.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from monitors.profiles.plan import GRID, Floats, Ints, NumericPlan

CHUNK = 2**17
"""Values counted at once: sums of squares stay exact, and threads wait for each other's Python seldom."""

MIDDLE = GRID + 1
"""The code of cell 0; the codes of a table go from 0 to twice as much."""

_SIZE = 2 * MIDDLE + 1  # the first and the last place of a table stand for everything beyond
_MANTISSA = 1.5 * 2**52  # added to an integer, leaves it in the low bits of the sum
_MANTISSA_BITS = int(np.float64(_MANTISSA).view(np.int64)) - MIDDLE
_SIGN = 63
_INNER = (0.02, 0.93)  # the cuts, by distance from the center, among which an exact column's table is fine

Bins = npt.NDArray[np.uint16]


class Workspace:
    """The buffers of one thread: fresh memory would cost more than the arithmetic."""

    def __init__(self) -> None:
        self.offsets: Floats = np.empty(CHUNK)
        self.codes: Ints = np.empty(CHUNK, dtype=np.int64)
        self.bins: Bins = np.empty(CHUNK, dtype=np.uint16)


class Lookup:
    """The bins of a plan's places: of cells, or of offsets where the plan is exact.

    Pure: a place's bin is ``np.searchsorted(plan.cuts, place, side="right")``, whatever it is looked up with.
    """

    def __init__(self, plan: NumericPlan) -> None:
        self.plan = plan
        self._outside = plan.bins  # what the table says where it cannot tell
        self._exact = plan.exact
        if self._exact:
            self._lowest, self._shift = _resolution(np.abs(plan.cuts))
        self._table = self._filled()

    def count(self, places: Floats, space: Workspace, reach: float) -> Ints:
        """Return the number of places in each bin, shape (bins,).

        Parameters
        ----------
        places
            Finite, shape (n,) with n at most 131,072.
        space
            `codes` and `bins` are overwritten.
        reach
            No place is farther from 0 than this.
        """
        return self._counted(self._looked_up(places, space, reach), places, space)

    def count_codes(self, codes: Ints, space: Workspace) -> Ints:
        """Return the number of cells in each bin, shape (bins,), of cells that `to_codes` made codes."""
        found = np.take(self._table, codes, out=space.bins[: len(codes)], mode="clip")
        return self._counted(found, codes, space, MIDDLE)

    def bins(self, places: Floats, space: Workspace, reach: float) -> Bins:
        """Return the bin of each place, shape (n,), in a buffer of `space`."""
        found = self._looked_up(places, space, reach)
        where, bins = self._bisected(places, found)
        found[where] = bins
        return found

    def _counted(self, found: Bins, places: Floats | Ints, space: Workspace, origin: int = 0) -> Ints:
        codes = space.codes[: len(found)]
        np.copyto(codes, found)
        counts: Ints = np.bincount(codes, minlength=self._outside + 1)
        if counts[-1]:
            counts[:-1] += np.bincount(self._bisected(places, found, origin)[1], minlength=self._outside)
        return counts[:-1]

    def _looked_up(self, places: Floats, space: Workspace, reach: float) -> Bins:
        codes, found = space.codes[: len(places)], space.bins[: len(places)]
        if self._exact:
            self._magnitudes(places, codes)
        else:
            self._cells(places, codes, reach)
        return np.take(self._table, codes, out=found, mode="clip")

    def _cells(self, cells: Floats, codes: Ints, reach: float) -> None:
        """Write each cell's place in the table."""
        floats = codes.view(np.float64)
        if reach > GRID:
            cells = np.clip(cells, -MIDDLE, MIDDLE, out=floats)
        to_codes(cells, floats)

    def _magnitudes(self, offsets: Floats, codes: Ints) -> None:
        """Write each offset's place in the table: its sign and leading bits, which grow as a logarithm."""
        np.abs(offsets, out=codes.view(np.float64))
        np.subtract(codes, self._lowest, out=codes)
        np.maximum(codes, 0, out=codes)
        np.right_shift(codes, self._shift, out=codes)
        np.minimum(codes, MIDDLE, out=codes)
        negative = offsets.view(np.int64) >> _SIGN  # -1 or 0
        np.bitwise_xor(codes, negative, out=codes)
        np.subtract(codes, negative - MIDDLE, out=codes)

    def _bisected(self, places: Floats | Ints, found: Bins, origin: int = 0) -> tuple[Ints, Ints]:
        where = np.flatnonzero(found == self._outside)
        return where, np.searchsorted(self.plan.cuts, places[where] - origin, side="right")

    def _filled(self) -> Bins:
        codes = self._codes_of_cuts()
        bins = np.arange(self.plan.bins, dtype=np.uint16)
        table = np.repeat(bins, np.diff(codes, prepend=0, append=_SIZE))
        if self._exact:  # a place of the table that holds a cut is in two bins
            table[codes] = self._outside
        table[0] = table[-1] = self._outside
        return table

    def _codes_of_cuts(self) -> Ints:
        codes = np.empty(len(self.plan.cuts), dtype=np.int64)
        if self._exact:
            self._magnitudes(self.plan.cuts, codes)
        else:
            self._cells(self.plan.cuts, codes, np.inf)
        return np.clip(codes, 0, _SIZE - 1)


def to_codes(cells: Floats, out: Floats) -> Ints:
    """Return the codes of cells below 2^50, rounded if they are not yet: integers in the memory of `out`.

    A cell's code is its place in a look-up table, or beyond its ends. Adding a large float rounds, and leaves
    the integer in the low bits: four times as fast as rounding and a cast.
    """
    codes = np.add(cells, _MANTISSA, out=out).view(np.int64)
    np.subtract(codes, _MANTISSA_BITS, out=codes)
    return codes


def _resolution(distances: Floats) -> tuple[int, int]:
    """Return the bits of the least distance that the table tells from 0, and how many bits it leaves out."""
    ordered = np.sort(distances[distances > 0])
    last = len(ordered) - 1
    low, high = (ordered[round(last * share)] for share in _INNER)
    low = max(low, high * 2.0**-60, np.finfo(np.float64).tiny)
    lowest, highest = (int(np.float64(end).view(np.int64)) for end in (low, max(low, high)))
    shift = max(0, (highest - lowest).bit_length() - GRID.bit_length())
    return lowest, shift


_SHARED: WeakKeyDictionary[NumericPlan, Lookup] = WeakKeyDictionary()


def lookup(plan: NumericPlan) -> Lookup:
    """Return the look-up of a plan, built once."""
    found = _SHARED.get(plan)
    return found if found is not None else _SHARED.setdefault(plan, Lookup(plan))
