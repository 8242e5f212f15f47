"""Turn what people hand in as labels into typed columns, and name everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from spec.errors import DataError, Problem, did_you_mean
from spec.model import ModelSpec
from spec.performance import Task

Labels: TypeAlias = pa.Table | pd.DataFrame | Path | str
_SHOWN = 3
_TRUTH = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
_LEGAL = {
    Task.BINARY: "must be true or false, or 1 or 0",
    Task.REGRESSION: "must be a finite number",
    Task.MULTICLASS: "must be one of the classes",
}


def parse(spec: ModelSpec, data: Labels) -> tuple[pa.Table, list[Problem]]:
    """Read labels and check them.

    Parameters
    ----------
    data
        A table, or a Parquet or CSV file, with the columns `spec.data.id` (strings or integers) and
        `spec.data.target.name`: true/false, 1/0 or their spellings (binary), numbers (regression),
        names of classes (multiclass).

    Returns
    -------
    labels
        `prediction_id` (string) and `label` (bool, double or string) of all rows, null where a value is
        missing or illegal.
    problems
        All that is wrong; rows count from 1.

    Raises
    ------
    DataError
        There is nothing to look at: an unreadable file, or a missing column.
    """
    table, where = _table(spec, data)
    id_at, label_at = f"{where}: {spec.data.id}", f"{where}: {spec.data.target.name}"
    ids, problems = _ids(table[spec.data.id].combine_chunks(), id_at)
    given = table[spec.data.target.name].combine_chunks()
    labels = _labels(spec, given)
    problems += _rows(label_at, "must not be null", _positions(pc.is_null(given, nan_is_null=True)))
    illegal = pc.and_(pc.is_valid(given), pc.is_null(labels))
    if pa.types.is_floating(given.type):
        illegal = pc.and_(illegal, pc.invert(pc.is_nan(given).fill_null(fill_value=False)))
    hint = f"The classes: {', '.join(spec.data.target.classes)}" if spec.data.target.classes else ""
    problems += _rows(label_at, _LEGAL[spec.task], _positions(illegal), given, hint)
    return pa.table({"prediction_id": ids, "label": labels}), problems


def listed(values: Iterable[object], count: int) -> str:
    """Return the first few values and how many there are in all."""
    shown = ", ".join(str(value) for value in values)
    return shown if count <= _SHOWN else f"{shown}, … ({count} in all)"


def first_few(values: pa.Array) -> str:
    """Return the first few of an array, quoted, and how many there are in all."""
    return listed((repr(value) for value in values[:_SHOWN].to_pylist()), len(values))


def _table(spec: ModelSpec, data: Labels) -> tuple[pa.Table, str]:
    wanted = [spec.data.id, spec.data.target.name]
    if isinstance(data, pa.Table):
        table, where = data, "labels"
    elif isinstance(data, pd.DataFrame):
        table, where = _from_pandas(data, wanted), "labels"
    else:
        table, where = _from_file(Path(data), wanted), str(data)
    there = table.column_names
    missing = [
        Problem(
            f"{where}: {name}",
            "must be a column",
            "no such column",
            did_you_mean(name, there),
        )
        for name in wanted
        if name not in there
    ]
    if missing:
        raise DataError(missing)
    return table.select(wanted), where


def _from_pandas(frame: pd.DataFrame, wanted: list[str]) -> pa.Table:
    present = [name for name in wanted if name in frame.columns]
    if len(present) < len(wanted):
        return pa.table({str(name): pa.nulls(0) for name in frame.columns})
    columns: dict[str, pa.Array] = {}
    problems = []
    for name in present:
        try:
            columns[name] = pa.Array.from_pandas(frame[name])
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            problems.append(Problem(f"labels: {name}", "must hold values of one type", str(error)))
    if problems:
        raise DataError(problems)
    return pa.table(columns)


def _from_file(path: Path, wanted: list[str]) -> pa.Table:
    text = pcsv.ConvertOptions(
        column_types=dict.fromkeys(wanted, pa.string()), null_values=[""], strings_can_be_null=True
    )
    try:
        match path.suffix.lower():
            case ".parquet" | ".pq":
                return pq.read_table(path)
            case ".csv":
                return pcsv.read_csv(path, convert_options=text)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError([Problem(str(path), "must be a readable label file", str(error))]) from error
    raise DataError([Problem(str(path), "must be a .parquet or a .csv file", repr(path.suffix))])


def _ids(given: pa.Array, where: str) -> tuple[pa.Array, list[Problem]]:
    plain = given.dictionary_decode() if pa.types.is_dictionary(given.type) else given
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_integer)
    if not any(is_kind(plain.type) for is_kind in texts) and not pa.types.is_null(plain.type):
        return pa.nulls(len(plain), pa.string()), [
            Problem(where, "must hold strings or integers", str(plain.type))
        ]
    ids = plain.cast(pa.string())
    ids = pc.if_else(pc.equal(ids, ""), pa.scalar(None, pa.string()), ids)
    problems = _rows(where, "must not be null or empty", _positions(pc.is_null(ids)))
    counts = pc.value_counts(ids.drop_null())
    twice = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    if len(twice):
        hint = "Hand in a correction as a later, separate append"
        problems.append(Problem(where, "must name a prediction once", first_few(twice), hint))
    return ids, problems


def _labels(spec: ModelSpec, given: pa.Array) -> pa.Array:
    """Cast to the type of the task; what cannot be cast is null."""
    plain = given.dictionary_decode() if pa.types.is_dictionary(given.type) else given
    if spec.task is Task.REGRESSION:
        return _numbers(plain)
    try:
        texts = pc.utf8_trim_whitespace(plain.cast(pa.string()))
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return pa.nulls(len(plain), pa.bool_() if spec.task is Task.BINARY else pa.string())
    if spec.task is Task.BINARY:
        spelled = pc.index_in(pc.utf8_lower(texts), value_set=pa.array(list(_TRUTH)))
        return pa.array(list(_TRUTH.values())).take(spelled)
    classes = pa.array(spec.data.target.classes)
    return classes.take(pc.index_in(texts, value_set=classes))


def _numbers(plain: pa.Array) -> pa.Array:
    if pa.types.is_boolean(plain.type):
        return pa.nulls(len(plain), pa.float64())
    if pa.types.is_string(plain.type) or pa.types.is_large_string(plain.type):
        parsed = pd.to_numeric(plain.to_pandas(), errors="coerce")
        numbers = pa.array(parsed.to_numpy(dtype="float64"), from_pandas=True)
    else:
        try:
            numbers = plain.cast(pa.float64())
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
            return pa.nulls(len(plain), pa.float64())
    return pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, pa.float64()))


def _positions(mask: pa.Array) -> pa.Array:
    return pc.indices_nonzero(mask)


def _rows(
    where: str, must: str, rows: pa.Array, given: pa.Array | None = None, hint: str = ""
) -> list[Problem]:
    if not len(rows):
        return []
    few = rows[:_SHOWN].to_pylist()
    shown = [f"row {row + 1}" if given is None else f"row {row + 1}: {given[row].as_py()!r}" for row in few]
    return [Problem(where, must, listed(shown, len(rows)), hint)]
