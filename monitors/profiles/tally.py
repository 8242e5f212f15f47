"""Counts Arrow batches by a plan: the one kernel that every engine runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from monitors.profiles.counting import columns
from monitors.profiles.counting.arrow_arrays import arrow_strings, present
from monitors.profiles.counting.categories import CategoryTally
from monitors.profiles.counting.cross import CrossTally
from monitors.profiles.counting.grid import GridTally
from monitors.profiles.counting.lookup import Workspace
from monitors.profiles.plan import ColumnPlan, Family, Kind, NumericPlan, Plan
from monitors.profiles.profile import CategoricalColumn, Column, NumericColumn, Profile
from spec import DataError, Problem

_BOOLEANS = arrow_strings(["false", "true"])


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
        places = {name: place for place, name in enumerate(schema.names) if name in plan.columns}
        space = Workspace()
        self._columns = {
            places[name]: _Column(plan.columns[name], space) for name in plan.columns if name in places
        }
        self._rows = 0
        found = ((place, column.plan) for place, column in self._columns.items())
        self._paired = {
            place: found for place, found in found if plan.pairs and isinstance(found, NumericPlan)
        }
        self._cross = CrossTally(list(self._paired.values()), space) if self._paired else None

    def add(self, *batches: pa.RecordBatch) -> None:
        """Count the rows of batches, which together cost less than one by one."""
        filled = [batch for batch in batches if batch.num_rows]
        self._rows += sum(batch.num_rows for batch in filled)
        for place, column in self._columns.items():
            column.add([batch.column(place) for batch in filled])
        if self._cross is not None:
            for batch in filled:
                self._cross.add([_present(batch.column(place), plan) for place, plan in self._paired.items()])

    def profile(self) -> Profile:
        """Return what has been counted."""
        counted = {column.plan.name: column.profile() for column in self._columns.values()}
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
    times = Counter(schema.names)
    types = dict(zip(schema.names, schema.types, strict=True))
    problems = []
    for name, column in plan.columns.items():
        if times[name] > 1:
            problems.append(Problem(name, "must be the name of one column", f"{times[name]} columns"))
        elif name in types:
            problems += _change(column, types[name])
    if problems:
        raise DataError(problems)


def _change(column: ColumnPlan, kind: pa.DataType) -> list[Problem]:
    """Return what is wrong with the type of a column, if anything is; a column without values fits any."""
    family = columns.family(kind)
    if family in (column.family, Family.NULL) or (family and column.family is Family.NULL):
        return []
    must = "must be of a type that can be counted"
    if column.family is not Family.NULL:
        must = f"must be a {column.family.value}, as in the reference"
    return [Problem(column.name, must, str(kind), "Convert it, or leave the column out")]


class _Column:
    """Counts one column."""

    def __init__(self, plan: ColumnPlan, space: Workspace) -> None:
        self.plan = plan
        self._tally = GridTally(plan, space) if isinstance(plan, NumericPlan) else CategoryTally(plan)

    def add(self, arrays: Sequence[pa.Array]) -> None:
        """Count the values of arrays whose type has been checked."""
        if isinstance(self._tally, GridTally):
            values = [_values(array, self.plan) for array in arrays]
            self._tally.add(values, sum(map(len, arrays)) - sum(map(len, values)))
            return
        for array in arrays:
            if pa.types.is_boolean(array.type):
                nulls, true = array.null_count, array.true_count
                self._tally.add_counts(_BOOLEANS, np.array([len(array) - nulls - true, true]), nulls)
            else:
                self._tally.add(columns.labels(array))

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
    return values, present(array)
