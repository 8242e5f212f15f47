"""Counts of two samples on the same cells, checked, and scaled to the sizes that they are worth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from spec.errors import DataError, Problem

Array = npt.NDArray[np.float64]

TINIEST = 1e-300
"""No p-value is below this: a float that is still normal, so that logarithms stay finite."""


@dataclass(frozen=True, slots=True)
class Table:
    """Two rows of counts on the same k cells; each has a positive sum.

    Parameters
    ----------
    reference, current
        Shape (k,), float64, ≥ 0. Whole numbers, unless they were scaled to an effective size.
    """

    reference: Array
    current: Array

    @property
    def n(self) -> float:
        """Size of the reference."""
        return float(self.reference.sum())

    @property
    def m(self) -> float:
        """Size of the current sample."""
        return float(self.current.sum())

    @property
    def pooled(self) -> Array:
        """Share of each cell in both samples together, shape (k,), sum 1: the estimate of H₀."""
        both = self.reference + self.current
        return np.asarray(both / both.sum(), dtype=float)

    @property
    def smallest_expected(self) -> Array:
        """Expected count of each cell in the smaller sample under H₀, shape (k,)."""
        return min(self.n, self.m) * self.pooled

    def merged(self, label: npt.NDArray[np.int64]) -> Table:
        """Return the table of the sums over the cells with the same `label`, 0, 1, …; shape (k,)."""
        reference, current = (
            np.bincount(label, weights=row).astype(float) for row in (self.reference, self.current)
        )
        return Table(reference, current)

    def occupied(self) -> Table:
        """Return the table without the cells that are empty in both rows."""
        kept = (self.reference + self.current) > 0
        return Table(self.reference[kept], self.current[kept])


def table(
    reference: npt.ArrayLike,
    current: npt.ArrayLike,
    n_effective: float | None = None,
    m_effective: float | None = None,
) -> Table:
    """Return the two rows of counts as a table whose rows sum to the effective sizes.

    A sample of n dependent rows carries the evidence of n/φ independent ones (`dispersion`): its shares
    stay as they are, and its counts are scaled by n_effective/n. An effective size above the actual one
    is cut to it.

    Parameters
    ----------
    reference, current
        Shape (k,), k ≥ 1: counts, finite and ≥ 0, on the same cells in the same order.
    n_effective, m_effective
        Rows that each sample is worth, > 0; None means all of them.

    Raises
    ------
    DataError
        The rows differ in shape, are negative or not finite, a side is empty, or an effective size is not
        above 0. All problems at once.
    """
    rows = [np.asarray(counts, dtype=float) for counts in (reference, current)]
    sizes = (n_effective, m_effective)
    names = ("reference", "current")
    problems = list(chain.from_iterable(map(_problems, names, rows, sizes)))
    if rows[0].shape != rows[1].shape:
        problems.append(
            Problem(
                "reference and current counts",
                "must be on the same cells",
                f"shapes {rows[0].shape} and {rows[1].shape}",
            )
        )
    if problems:
        raise DataError(problems)
    return Table(*(_scaled(counts, size) for counts, size in zip(rows, sizes, strict=True)))


def _problems(name: str, counts: Array, size: float | None) -> list[Problem]:
    found = []
    if counts.ndim != 1:
        found.append(Problem(f"{name} counts", "must be one row, shape (k,)", f"shape {counts.shape}"))
    if not (np.isfinite(counts).all() and (counts >= 0).all()):
        found.append(Problem(f"{name} counts", "must be finite and at least 0"))
    elif counts.sum() <= 0:
        hint = "A side without rows has no p-value: report it as no data"
        found.append(Problem(f"{name} counts", "must hold at least one row", "none", hint))
    if size is not None and not (math.isfinite(size) and size > 0):
        found.append(Problem(f"effective size of the {name}", "must be above 0", str(size)))
    return found


def _scaled(counts: Array, size: float | None) -> Array:
    actual = float(counts.sum())
    return counts if size is None or size >= actual else counts * (size / actual)
