"""Joint moments of the ranks of numeric columns, for their correlations: mergeable and exact.

A row's rank in a column is the mid-rank of its bin in the frozen plan, as an integer from -63 to 63, so that
a shift of the marginals or one absurd value cannot fake or hide a change of dependence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitors.profiles.counting import grid
from monitors.profiles.counting.grid import Numbers
from monitors.profiles.counting.lookup import Workspace
from monitors.profiles.plan import Floats, Ints, NumericPlan

Present = npt.NDArray[np.bool_]
Singles = npt.NDArray[np.float32]

_BLOCK = 4096  # rows whose products of two ranks single precision adds up exactly


@dataclass(frozen=True, slots=True, eq=False)
class CrossMoments:
    """Sums over the rows in which both columns of a pair are finite; all of shape (columns, columns).

    Parameters
    ----------
    n
        Rows with both.
    sums, squares
        Of the ranks, and of their squares, of the row's column where the other column has a value too.
    products
        Of the two ranks.
    """

    names: tuple[str, ...]
    n: Ints
    sums: Ints
    squares: Ints
    products: Ints

    @classmethod
    def zero(cls, names: Sequence[str]) -> CrossMoments:
        """Return the moments of no rows."""
        shape = (len(names), len(names))
        return cls(tuple(names), *(np.zeros(shape, dtype=np.int64) for _ in range(4)))

    def __add__(self, other: CrossMoments) -> CrossMoments:
        return CrossMoments(
            self.names,
            self.n + other.n,
            self.sums + other.sums,
            self.squares + other.squares,
            self.products + other.products,
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CrossMoments):
            return NotImplemented
        mine, theirs = ((side.n, side.sums, side.squares, side.products) for side in (self, other))
        return self.names == other.names and all(map(np.array_equal, mine, theirs))

    __hash__ = None  # type: ignore[assignment] # it holds arrays

    def spearman(self) -> Floats:
        """Return the rank correlations, shape (columns, columns), in [-1, 1]; NaN beside a constant."""
        n, sums = self.n.astype(np.float64), self.sums.astype(np.float64)
        covariance = n * self.products - sums * sums.T
        variance = n * self.squares - sums**2
        with np.errstate(invalid="ignore", divide="ignore"):
            rho: Floats = covariance / np.sqrt(variance * variance.T)
        return np.clip(rho, -1, 1)


class CrossTally:
    """Counts the joint moments of a table's numeric columns, batch by batch."""

    def __init__(self, plans: Sequence[NumericPlan], space: Workspace | None = None) -> None:
        self.moments = CrossMoments.zero([plan.name for plan in plans])
        self._plans = plans
        self._ranks = [plan.ranks.astype(np.float32) for plan in plans]
        self._space = space or Workspace()

    def add(self, columns: Sequence[tuple[Numbers, Present | None]]) -> None:
        """Count rows.

        Parameters
        ----------
        columns
            In the order of the plans: the values that are there, and for each row whether it has one
            (None if all have).
        """
        rows = max(len(values) if present is None else len(present) for values, present in columns)
        ranks = np.zeros((len(columns), rows), dtype=np.float32)
        there = [self._rank(place, *column, ranks[place]) for place, column in enumerate(columns)]
        whole = all(mask is None for mask in there)
        present = None if whole else np.stack([_mask(mask, rows) for mask in there])
        for start in range(0, rows, _BLOCK):
            block = slice(start, start + _BLOCK)
            self.moments += self._block(ranks[:, block], None if present is None else present[:, block])

    def _rank(self, place: int, values: Numbers, present: Present | None, out: Singles) -> Present | None:
        """Write each row's rank, 0 where it has none, and return which rows have one."""
        finite = np.isfinite(values) if values.dtype.kind == "f" else None
        if finite is not None and not finite.all():
            values = values[finite]
            present = finite if present is None else _both(present, finite)
        ranks = out if present is None else np.empty(len(values), dtype=np.float32)
        for part, bins in grid.bins(self._plans[place], values, self._space):
            np.take(self._ranks[place], bins, out=ranks[part], mode="clip")
        if present is not None:
            out[present] = ranks
        return present

    def _block(self, ranks: Singles, present: Singles | None) -> CrossMoments:
        products = ranks @ ranks.T
        if present is None:
            shape = products.shape
            sums = np.broadcast_to(ranks.sum(axis=1, dtype=np.float64)[:, None], shape)
            squares = np.broadcast_to(np.diag(products)[:, None], shape)
            n = np.full(shape, ranks.shape[1])
        else:
            sums, squares, n = ranks @ present.T, (ranks**2) @ present.T, present @ present.T
        whole = (part.astype(np.int64) for part in (n, sums, squares, products))
        return CrossMoments(self.moments.names, *whole)


def _both(present: Present, finite: Present) -> Present:
    """Return which rows have a value that is finite, of which `finite` has those with a value."""
    both = present.copy()
    both[present] = finite
    return both


def _mask(present: Present | None, rows: int) -> Singles:
    return np.ones(rows, dtype=np.float32) if present is None else present.astype(np.float32)
