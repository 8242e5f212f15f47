"""Reads many files as one table: all their columns, types that hold all, constants from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from monitors.engines.source import Names, Source, selected
from spec import DataError, Problem

_FILES = 64  # files into which the sample looks first
_ENOUGH = 0.5  # share of the rows asked for that needs no more files

Constants = Mapping[str, pa.Scalar]
"""The values of columns that a file does not hold itself: its partition."""


def combined(
    name: str, sources: Sequence[Source], constants: Sequence[Constants], schema: pa.Schema
) -> Source:
    """Return many sources as one, each with its constants.

    A column that a file does not have is null there; one of another type is cast.
    """
    weights = np.array([source.size + 1 for source in sources], dtype=np.float64)

    def own(place: int, names: Names) -> Names:
        return [name for name in sources[place].schema.names if names is None or name in names]

    def part(place: int, batch: pa.RecordBatch, names: Names) -> pa.RecordBatch:
        return _conform(batch, selected(schema, names), constants[place])

    def batches(names: Names) -> Iterator[pa.RecordBatch]:
        for place, source in enumerate(sources):
            for batch in source.batches(own(place, names)):
                yield part(place, batch, names)

    def drawn(rows: int, names: Names, files: int) -> pa.Table:
        whole = selected(schema, names)
        batches = [
            part(place, batch, names)
            for place, quota in _quotas(weights, rows, files).items()
            for batch in sources[place].sample(quota, own(place, names)).to_batches()
        ]
        tables = [pa.Table.from_batches([batch]).cast(whole) for batch in batches]  # codes in one file only
        return pa.concat_tables([whole.empty_table(), *tables])

    def sample(rows: int, names: Names) -> pa.Table:
        found = drawn(rows, names, _FILES)
        if len(sources) > _FILES and found.num_rows < rows * _ENOUGH:  # the files are short: more of them
            return drawn(rows, names, -(-rows * _FILES // max(found.num_rows, 1)))
        return found

    return Source(name, schema, int(weights.sum()), batches, sample)


def unified(name: str, sources: Sequence[Source]) -> pa.Schema:
    """Return the columns of all sources, each in a type that holds its values in all of them.

    Integers become decimals where they must; numbers do not become strings. Times of several units are
    counted in microseconds, which hold every year that there is a date for.

    Raises
    ------
    DataError
        With every column that has types in the files that no type holds, and every name that stands twice.
    """
    found: dict[str, pa.DataType] = {}
    problems = []
    for source in sources:
        for field in source.schema:
            where = f"{source.name}: column {field.name}"
            before = found.get(field.name, field.type)
            wider = _wider(before, field.type)
            if source.schema.names.count(field.name) > 1:
                problems.append(
                    Problem(where, "must be the name of one column in each file", "more than one")
                )
            elif wider is None:
                must = f"must have one type in all files of {name}"
                problems.append(Problem(where, must, f"{before} and {field.type}"))
            found[field.name] = before if wider is None else wider
    if problems:
        raise DataError(problems)
    return pa.schema(list(found.items()))


def _quotas(weights: npt.NDArray[np.float64], rows: int, files: int) -> dict[int, int]:
    """Return how many rows to take from which sources: from all by their weight, or from so many files."""
    if len(weights) > files:
        points = (np.arange(files) + 0.5) / files * weights.sum()
        weights = np.bincount(np.searchsorted(np.cumsum(weights), points), minlength=len(weights)).astype(
            float
        )
    shares = weights / weights.sum() * rows
    return {place: max(1, round(share)) for place, share in enumerate(shares.tolist()) if share}


def _wider(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    one, other = (kind.value_type if pa.types.is_dictionary(kind) else kind for kind in (one, other))
    if one == other:
        return one
    if pa.types.is_timestamp(one) and pa.types.is_timestamp(other) and one.tz == other.tz:
        return pa.timestamp("us", one.tz)
    if pa.types.is_duration(one) and pa.types.is_duration(other):
        return pa.duration("us")
    schemas = [pa.schema([("column", kind)]) for kind in (one, other)]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except pa.ArrowException:
        return None


def _conform(batch: pa.RecordBatch, schema: pa.Schema, constants: Constants) -> pa.RecordBatch:
    columns = []
    for field in schema:
        if field.name in constants:
            columns.append(pa.repeat(constants[field.name], batch.num_rows))
        elif field.name not in batch.schema.names:
            columns.append(pa.nulls(batch.num_rows, field.type))
        else:
            columns.append(_as(batch.column(field.name), field.type))
    return pa.RecordBatch.from_arrays(columns, schema.names)


def _as(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Cast where the types differ by more than that one holds codes for the other's values."""
    found = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if kind in (array.type, found):
        return array
    if pa.types.is_decimal(found) and pa.types.is_floating(
        kind
    ):  # Arrow's own cast is often one float beside
        array = array.cast(pa.string())
    return array.cast(kind, safe=False)
