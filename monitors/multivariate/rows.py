"""Samples of rows, Arrow or pandas, as pairs of columns that can be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from monitors.profiles.counting import columns
from monitors.profiles.plan import Family
from spec.errors import DataError, Problem

if TYPE_CHECKING:
    import pandas as pd

Rows: TypeAlias = "pa.Table | pd.DataFrame"
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The values of one column that are not missing (null, NaN), and which rows those are, shape (rows,).

    `values` are NumPy numbers, or Python strings where the column is categorical.
    """

    values: npt.NDArray[np.generic]
    present: Mask


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One column on both sides."""

    name: str
    categorical: bool
    reference: Column
    current: Column


def arrow(rows: Rows) -> pa.Table:
    """Return rows as an Arrow table; a pandas column of mixed objects becomes the text of its values."""
    if isinstance(rows, pa.Table):
        return rows
    names = [str(name) for name in rows.columns]
    return pa.Table.from_arrays([_array(rows.iloc[:, at]) for at in range(len(names))], names=names)


def _array(series: pd.Series) -> pa.Array:
    try:
        found = pa.array(series, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        found = pa.array(
            [None if missing else str(value) for value, missing in zip(series, series.isna(), strict=True)]
        )
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def pairs(
    reference: pa.Table, current: pa.Table, categorical: Collection[str] = ()
) -> tuple[tuple[Pair, ...], dict[str, str]]:
    """Return the columns that both tables have, in the reference's order, and why others are left out.

    Numbers, instants and booleans are numeric, strings categorical; so is what `categorical` names. A column
    with no value on either side, of nested or binary type, of two types, named twice, or on one side only, is
    left out.

    Raises
    ------
    DataError
        No column of the reference is in the current table, or `categorical` names a column that neither has.
    """
    problems = [
        Problem(f"column {name!r}", "must be in both tables to be categorical", "no such column")
        for name in categorical
        if name not in reference.column_names and name not in current.column_names
    ]
    if not set(reference.column_names) & set(current.column_names):
        theirs = ", ".join(map(repr, current.column_names[:10])) or "no column"
        problems.append(Problem("current", "must share a column with the reference", theirs))
    if problems:
        raise DataError(problems)
    taken, skipped = [], {}
    for name in dict.fromkeys([*reference.column_names, *current.column_names]):
        reason = _unfit(reference, current, name)
        if reason is None:
            coded = name in categorical or Family.STRING in _families(reference, current, name)
            sides = (column(table[name], categorical=coded) for table in (reference, current))
            taken.append(Pair(name, coded, *sides))
        else:
            skipped[name] = reason
    return tuple(taken), skipped


def column(chunked: pa.ChunkedArray, *, categorical: bool) -> Column:
    """Return a column's values that are there; NaN counts as missing."""
    array = chunked.combine_chunks()
    present = ~np.asarray(array.is_null(nan_is_null=False))
    if categorical:
        return Column(np.asarray(columns.strings(array.drop_null()), dtype=object), present)
    values = columns.numbers(array)
    if values.dtype.kind == "f":
        known = ~np.isnan(values)
        present[present] = known
        values = values[known]
    return Column(values.astype(np.int8) if values.dtype.kind == "b" else values, present)


def canonical(matrix: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """Return an order of the rows that depends on nothing but their values, shape (rows,)."""
    whole = np.ascontiguousarray(matrix)
    return np.asarray(np.argsort(whole.view(f"V{whole.itemsize * whole.shape[1]}").ravel()), dtype=np.int64)


def _families(reference: pa.Table, current: pa.Table, name: str) -> set[Family | None]:
    found = {columns.family(table.schema.field(name).type) for table in (reference, current)}
    return found - {Family.NULL} or {Family.NULL}


def _unfit(reference: pa.Table, current: pa.Table, name: str) -> str | None:
    for side, table in (("reference", reference), ("current", current)):
        times = Counter(table.column_names)[name]
        if times != 1:
            return f"{'missing' if times == 0 else 'named twice'} in the {side} rows"
    families = _families(reference, current, name)
    if None in families:
        return "of a nested or binary type"
    if len(families) > 1:
        return "of another type in the current rows"
    if all(table[name].null_count == len(table) for table in (reference, current)):
        return "without a value on either side"
    return None
