"""Rows of mixed columns as one matrix of standardized numbers, by rules frozen on one sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitors.multivariate.rows import Column

Array = npt.NDArray[np.float64]

_REACH = 5.0  # standard deviations beyond which a value counts as just this far
_TAIL = 0.005  # of each end of the reference, which does not count for mean and deviation
_CATEGORIES = 20
_FREQUENT = 0.01
_FLOOR = 0.1  # standard deviation of a share of 1 %: that of a share that was always 0 or 1


@dataclass(frozen=True, slots=True, eq=False)
class NumericRule:
    """(x - mean)/deviation within ±5, 0 where missing; and a column that says missing."""

    name: str
    mean: float
    deviation: float
    missing: float
    categorical: bool = False

    @property
    def width(self) -> int:
        """Columns of the matrix."""
        return 2

    def apply(self, column: Column) -> Array:
        """Return shape (rows, 2)."""
        standard = np.zeros(len(column.present))
        with np.errstate(over="ignore"):
            offset = column.values.astype(np.float64) - self.mean
            standard[column.present] = np.clip(offset / self.deviation, -_REACH, _REACH)
        return np.column_stack([standard, _share(~column.present, self.missing)])


@dataclass(frozen=True, slots=True, eq=False)
class CategoricalRule:
    """A column for each frequent category, one for all others and one that says missing."""

    name: str
    values: tuple[str, ...]
    shares: tuple[float, ...]
    categorical: bool = True

    @property
    def width(self) -> int:
        """Columns of the matrix."""
        return len(self.shares)

    def apply(self, column: Column) -> Array:
        """Return shape (rows, values + 2)."""
        known = {value: at for at, value in enumerate(self.values)}
        slot = np.full(len(column.present), len(self.values) + 1)
        slot[column.present] = [known.get(value, len(self.values)) for value in column.values.astype(str)]
        return np.column_stack([_share(slot == at, share) for at, share in enumerate(self.shares)])


Rule = NumericRule | CategoricalRule


def rule(name: str, column: Column, *, categorical: bool) -> Rule:
    """Return how a column is standardized, from the values that a sample of it has.

    Mean and deviation of numbers leave out the sample's extreme half per cent at each end, by setting it to
    its own limit (winsorizing), so that one absurd row moves neither.
    """
    rows = len(column.present)
    missing = 1 - len(column.values) / rows
    if categorical:
        values, counts = np.unique(column.values.astype(str), return_counts=True)
        ranked = np.argsort(-counts, kind="stable")[:_CATEGORIES]
        frequent = [at for at in ranked if counts[at] >= _FREQUENT * rows]
        shares = [float(counts[at]) / rows for at in frequent]
        return CategoricalRule(
            name,
            tuple(str(values[at]) for at in frequent),
            (*shares, max(0.0, 1 - missing - sum(shares)), missing),
        )
    finite = column.values.astype(np.float64)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return NumericRule(name, 0.0, 1.0, missing)
    low = np.quantile(
        finite, _TAIL, method="higher"
    )  # never the extreme row itself, however few rows there are
    high = np.quantile(finite, 1 - _TAIL, method="lower")
    body = np.clip(finite, low, max(low, high))
    mean, deviation = float(body.mean()), float(body.std())
    return NumericRule(name, mean, max(deviation, 1e-9 * max(1.0, abs(mean))), missing)


def matrix(rules: Sequence[Rule], columns: Sequence[Column]) -> Array:
    """Return rows as numbers in [-5, 5] without NaN; shape (rows, sum of the rules' widths)."""
    return np.column_stack([one.apply(column) for one, column in zip(rules, columns, strict=True)])


def _share(is_so: npt.NDArray[np.bool_], share: float) -> Array:
    deviation = max(_FLOOR, (share * (1 - share)) ** 0.5)
    return np.asarray(np.clip((is_so - share) / deviation, -_REACH, _REACH), dtype=np.float64)
