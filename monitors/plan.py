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
        Width of a cell; the central 99 % of the reference span 32,767 of them, or it is 1 for small integers.
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


@dataclass(frozen=True)
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
        digest = hashlib.blake2b(json.dumps(to_record(self), sort_keys=True).encode(), digest_size=8)
        return digest.hexdigest()

    def __reduce__(self) -> tuple[object, ...]:
        return Plan, (dict(self.columns), dict(self.skipped), self.pairs)


def to_record(plan: Plan) -> dict[str, object]:
    """Return the plan as JSON-able values; `from_record` reads them."""
    return {
        "columns": [_column_record(column) for column in plan.columns.values()],
        "skipped": dict(plan.skipped),
        "pairs": plan.pairs,
    }


def from_record(record: Mapping[str, object]) -> Plan:
    """Return the plan that `to_record` wrote."""
    columns = [_column(fields) for fields in record["columns"]]  # type: ignore[attr-defined]
    return Plan({column.name: column for column in columns}, record["skipped"], bool(record["pairs"]))  # type: ignore[arg-type]


def _column_record(column: ColumnPlan) -> dict[str, object]:
    shared: dict[str, object] = {
        "name": column.name,
        "kind": column.kind.value,
        "family": column.family.value,
    }
    if isinstance(column, CategoricalPlan):
        return {**shared, "values": list(column.values)}
    return {
        **shared,
        "center": column.center,
        "step": column.step,
        "cuts": column.cuts.tolist(),
        "groups": column.groups.tolist(),
        "ranks": column.ranks.tolist(),
        "scale": column.scale,
        "exact": column.exact,
    }


def _column(record: Mapping[str, object]) -> ColumnPlan:
    fields = dict(record) | {"kind": Kind(str(record["kind"])), "family": Family(str(record["family"]))}
    if "values" in fields:
        return CategoricalPlan(**fields | {"values": tuple(fields["values"])})  # type: ignore[arg-type]
    arrays = {name: np.array(fields[name], dtype=np.int64) for name in ("groups", "ranks")}
    cuts = np.array(fields["cuts"], dtype=np.float64)
    return NumericPlan(**fields | arrays | {"cuts": cuts})  # type: ignore[arg-type]
