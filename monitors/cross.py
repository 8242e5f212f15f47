"""Joint moments of the ranks of numeric columns, for their correlations: mergeable and exact.

A row's rank in a column is the mid-rank of its bin in the frozen plan, as an integer from -63 to 63, so that a
shift of the marginals or one absurd value cannot fake or hide a change of dependence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitors import grid
from monitors.plan import Floats, Ints, NumericPlan

_BLOCK = 4096  # rows whose products of two ranks single precision adds up exactly


@dataclass(frozen=True, slots=True, eq=False)
class CrossMoments:
    """Sums over the rows in which both columns of a pair have a finite value; all of shape (columns, columns).

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

    __hash__ = None  # type: ignore[assignment]

    def spearman(self) -> Floats:
        """Return the rank correlations, shape (columns, columns), in [-1, 1]; NaN where a column is constant."""
        n, sums = self.n.astype(np.float64), self.sums.astype(np.float64)
        covariance = n * self.products - sums * sums.T
        variance = n * self.squares - sums**2
        with np.errstate(invalid="ignore", divide="ignore"):
            rho: Floats = covariance / np.sqrt(variance * variance.T)
        return np.clip(rho, -1, 1)


class CrossTally:
    """Counts the joint moments of a table's numeric columns, batch by batch."""

    def __init__(self, plans: Sequence[NumericPlan]) -> None:
        self.moments = CrossMoments.zero([plan.name for plan in plans])
        self._binners = [grid.Binner(plan) for plan in plans]

    def add(self, columns: Sequence[tuple[npt.NDArray[np.number], npt.NDArray[np.bool_] | None]]) -> None:
        """Count rows.

        Parameters
        ----------
        columns
            In the order of the plans: the values that are there, and for each row whether it has one
            (None if all have).
        """
        ranks, present = zip(*map(self._ranked, self._binners, columns), strict=True)
        rows = max(map(len, ranks))
        whole = all(mask is None for mask in present)
        there = None if whole else np.column_stack([_mask(mask, rows) for mask in present])
        table = np.column_stack(ranks)
        for start in range(0, rows, _BLOCK):
            block = slice(start, start + _BLOCK)
            self.moments += self._block(table[block], None if there is None else there[block])

    def _ranked(
        self,
        binner: grid.Binner,
        column: tuple[npt.NDArray[np.number], npt.NDArray[np.bool_] | None],
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_] | None]:
        values, present = column
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            finite = np.isfinite(values)
            if present is None:
                present = finite
            else:
                present = present.copy()
                present[present] = finite
            values = values[finite]
        ranks = binner.plan.ranks.astype(np.float32)[binner.bins(values)]
        if present is None:
            return ranks, None
        spread = np.zeros(len(present), dtype=np.float32)
        spread[present] = ranks
        return spread, present

    def _block(self, ranks: npt.NDArray[np.float32], present: npt.NDArray[np.float32] | None) -> CrossMoments:
        products = ranks.T @ ranks
        if present is None:
            shape = products.shape
            sums = np.broadcast_to(ranks.sum(axis=0, dtype=np.float64)[:, None], shape)
            squares = np.broadcast_to(np.diag(products)[:, None], shape)
            n = np.full(shape, len(ranks))
        else:
            sums, squares, n = ranks.T @ present, (ranks**2).T @ present, present.T @ present
        whole = (part.astype(np.int64) for part in (n, sums, squares, products))
        return CrossMoments(self.moments.names, *whole)


def _mask(present: npt.NDArray[np.bool_] | None, rows: int) -> npt.NDArray[np.float32]:
    return np.ones(rows, dtype=np.float32) if present is None else present.astype(np.float32)
