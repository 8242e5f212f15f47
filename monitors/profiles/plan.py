"""The frozen plan by which rows are counted: the bins of a numeric column, the values of a categorical one.

A plan is taken once from the reference. Whatever is counted by the same plan can be added and compared, on
any engine and in any order, because a row's bin depends on nothing but its value.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

GRID = 2**15 - 1
"""Cells of the grid on each side of a column's center."""

TRACKED = 1000
"""Categories of the reference that are counted by name; the others are counted by hash."""

REACH = 63
"""Ranks lie between -63 and 63: single precision adds up 4,096 products of two of them exactly."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Kind(StrEnum):
    """What a column is to the monitors, whatever type stores it."""

    NUMERIC = "numeric"
    DATETIME = "datetime"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"
    TEXT = "text"


class Family(StrEnum):
    """The stored types that may stand for each other; a column that changes it has changed its type."""

    NUMBER = "number"
    TIME = "time"
    BOOLEAN = "boolean"
    STRING = "string"
    NULL = "null"


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class NumericPlan:
    """The bins of a numeric column, of instants (microseconds since the epoch) or of the lengths of texts.

    A value `x` lies in cell ``round((x - center) / step)``, an integer. Bins are runs of cells: about 512 of
    equal mass in the reference, one for each value that has much mass by itself, and bins that double in
    width beyond the grid. Where the grid cannot resolve the body (`exact`: a column that spans decades), bins
    are runs of offsets ``x - center`` instead. Two values in one cell are one value, unless the sample of the
    reference has at most 512 different ones: then each of those has a bin of its own.

    Parameters
    ----------
    center
        Middle of the reference's central 99 %; an integer where the stored type is one.
    step
        Width of a cell; the central 99 % of the reference span 32,766 of them, or it is 1 for small integers.
    cuts
        Shape (bins - 1,), increasing: bin `b` holds cells ``cuts[b-1] <= cell < cuts[b]``. Offsets from the
        center instead of cells where `exact`.
    groups
        Shape (bins,): the coarse group of each bin, from 0, non-decreasing: what lies below the reference,
        about 20 groups of equal mass, what lies above.
    ranks
        Shape (bins,): the mid-rank of each bin in the reference, an integer from -63 to 63.
    scale
        Winsorized standard deviation of the reference, in the column's unit: one extreme row does not move
        it. 0 for a constant.
    whole
        Whether the reference holds whole numbers only, and the grid tells them apart.
    """

    name: str
    kind: Kind
    family: Family
    center: float | int
    step: float
    cuts: Floats
    groups: Ints
    ranks: Ints
    scale: float
    exact: bool = False
    whole: bool = False

    @property
    def bins(self) -> int:
        """The number of bins."""
        return len(self.cuts) + 1

    @property
    def edges(self) -> Floats:
        """The values between the bins, shape (bins + 1,), from -inf to +inf."""
        offsets = self.cuts if self.exact else (self.cuts - 0.5) * self.step
        with np.errstate(over="ignore"):
            return np.concatenate([[-np.inf], float(self.center) + offsets, [np.inf]])


@dataclass(frozen=True, slots=True)
class CategoricalPlan:
    """The values of a categorical or boolean column that are counted by name, the most frequent first."""

    name: str
    kind: Kind
    family: Family
    values: tuple[str, ...]


ColumnPlan = NumericPlan | CategoricalPlan


@dataclass(frozen=True, eq=False)
class Plan:
    """How each column is counted, and why the others are not.

    Parameters
    ----------
    columns
        By name, in the reference's order.
    skipped
        Columns that cannot be monitored, with the reason (nested, binary, …).
    pairs
        Whether the joint moments of the numeric columns' ranks are counted too, for their correlations.
    """

    columns: Mapping[str, ColumnPlan]
    skipped: Mapping[str, str] = field(default_factory=dict)
    pairs: bool = False

    def __post_init__(self) -> None:
        """Keep copies that nobody can change."""
        object.__setattr__(self, "columns", MappingProxyType(dict(self.columns)))
        object.__setattr__(self, "skipped", MappingProxyType(dict(self.skipped)))

    @property
    def numeric(self) -> tuple[str, ...]:
        """The names of the columns that are counted in bins."""
        return tuple(name for name, column in self.columns.items() if isinstance(column, NumericPlan))

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits; equal for plans that count alike."""
        digest = hashlib.blake2b(json.dumps([self.pairs, len(self.columns)]).encode(), digest_size=8)
        for column in self.columns.values():
            digest.update(_identity(column))
        return digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        return self.fingerprint == other.fingerprint if isinstance(other, Plan) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __reduce__(self) -> tuple[object, ...]:
        return Plan, (dict(self.columns), dict(self.skipped), self.pairs)


def _identity(column: ColumnPlan) -> bytes:
    """Return bytes that differ if columns are counted differently."""
    shared = [column.name, column.kind.value, column.family.value]
    if isinstance(column, CategoricalPlan):
        return json.dumps([*shared, column.values]).encode()
    head = json.dumps(
        [*shared, repr(column.center), column.step, column.scale, column.exact, column.whole, column.bins]
    )
    arrays = (column.cuts.astype("<f8"), column.groups.astype("<i8"), column.ranks.astype("<i8"))
    return head.encode() + b"".join(array.tobytes() for array in arrays)
