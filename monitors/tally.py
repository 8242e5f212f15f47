"""Counts Arrow batches by a plan: the one kernel that every engine runs."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from monitors import columns
from monitors.categories import CategoryTally
from monitors.cross import CrossTally
from monitors.grid import GridTally
from monitors.plan import CategoricalPlan, ColumnPlan, Family, Kind, NumericPlan, Plan
from monitors.profile import CategoricalColumn, Column, NumericColumn, Profile
from spec import DataError, Problem


class Tally:
    """Counts the batches of one table, which all have one schema.

    Raises
    ------
    DataError
        With every column whose type is not what it was in the reference, and every name that stands twice.
    """

    def __init__(self, plan: Plan, schema: pa.Schema) -> None:
        self.plan = plan
        check_types(plan, schema)
        self._names = [name for name in plan.columns if name in schema.names]
        self._columns = [_Column(plan.columns[name]) for name in self._names]
        self._rows = 0
        numeric = [plan.columns[name] for name in self._names]
        self._paired = [column for column in numeric if isinstance(column, NumericPlan)] if plan.pairs else []
        self._cross = CrossTally(self._paired) if self._paired else None

    def add(self, batch: pa.RecordBatch) -> None:
        """Count the rows of a batch."""
        self._rows += batch.num_rows
        if not batch.num_rows:
            return
        for column in self._columns:
            column.add(batch.column(column.plan.name))
        if self._cross is not None:
            self._cross.add([_present(batch.column(plan.name), plan) for plan in self._paired])

    def profile(self) -> Profile:
        """Return what has been counted."""
        counted = {column.plan.name: column.profile() for column in self._columns}
        cross = self._cross.moments if self._cross is not None else None
        return Profile(self.plan, self._rows, counted, cross)


def count(plan: Plan, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Profile:
    """Return the profile of batches of one schema."""
    tally = Tally(plan, schema)
    for batch in batches:
        tally.add(batch)
    return tally.profile()


def check_types(plan: Plan, schema: pa.Schema) -> None:
    """Refuse columns that have changed their type since the reference, or whose name stands twice."""
    problems = []
    for name, column in plan.columns.items():
        if schema.names.count(name) > 1:
            problems.append(
                Problem(name, "must be the name of one column", f"{schema.names.count(name)} columns")
            )
        elif name in schema.names:
            kind = schema.field(name).type
            family = columns.family(kind)
            if Family.NULL not in (family, column.family) and family is not column.family:
                must = f"must be a {column.family.value}, as in the reference"
                problems.append(Problem(name, must, str(kind), "Convert it, or leave the column out"))
    if problems:
        raise DataError(problems)


class _Column:
    """Counts one column."""

    def __init__(self, plan: ColumnPlan) -> None:
        self.plan = plan
        self._tally = GridTally(plan) if isinstance(plan, NumericPlan) else CategoryTally(plan)

    def add(self, array: pa.Array) -> None:
        """Count the values of an array whose type has been checked."""
        if isinstance(self._tally, GridTally):
            values = _values(array, self.plan)
            self._tally.add(values, len(array) - len(values))
        elif pa.types.is_boolean(array.type):
            self._add_boolean(array, self._tally)
        else:
            codes, values = columns.coded(columns.as_text(array))
            self._tally.add(codes, values, len(array) - len(codes))

    def _add_boolean(self, array: pa.Array, tally: CategoryTally) -> None:
        true = array.true_count
        nulls = array.null_count
        codes = np.repeat([0, 1], [len(array) - nulls - true, true])
        tally.add(codes, pa.array(["false", "true"]), nulls)

    def profile(self) -> Column:
        """Return what has been counted."""
        tally = self._tally
        if isinstance(tally, CategoryTally):
            return CategoricalColumn(
                tally.plan, tally.counts.copy(), tally.others.copy(), dict(tally.rare), tally.nulls
            )
        return NumericColumn(
            tally.plan,
            tally.counts.copy(),
            nulls=tally.nulls,
            nans=tally.nans,
            pos_inf=tally.pos_inf,
            neg_inf=tally.neg_inf,
            minimum=tally.minimum,
            maximum=tally.maximum,
            total=tally.sum,
            squares=tally.squares,
        )


def _values(array: pa.Array, plan: ColumnPlan) -> npt.NDArray[np.number]:
    return columns.lengths(array) if plan.kind is Kind.TEXT else columns.numbers(array)


def _present(
    array: pa.Array, plan: NumericPlan
) -> tuple[npt.NDArray[np.number], npt.NDArray[np.bool_] | None]:
    values = _values(array, plan)
    if len(values) == len(array):
        return values, None
    return values, pc.is_valid(array).to_numpy(zero_copy_only=False)


__all__ = ["CategoricalPlan", "Tally", "check_types", "count"]
