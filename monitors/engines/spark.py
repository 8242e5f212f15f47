"""Profiles on Spark: every task counts its rows with the kernel of every engine, the driver adds up."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from monitors.engines.drawing import rebatched
from monitors.profiles.plan import Kind, Plan
from monitors.profiles.planning import SAMPLE, make_plan
from monitors.profiles.profile import Profile, empty, merged
from monitors.profiles.profile_format import from_bytes, to_bytes
from monitors.profiles.tally import Tally, check_types
from spec import DataError, Problem

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_SEED = 8191
_SPARE = 1.2  # Spark draws about as many rows as it is asked for: some more, and they are seldom too few
_COUNTED = "profile binary"
_UNREAD = ("time(", "array", "map", "struct", "variant", "binary", "udt", "interval", "geometry", "geography")


def profile(
    dataframe: DataFrame,
    *,
    plan: Plan | None = None,
    kinds: Mapping[str, Kind] | None = None,
    pairs: bool = False,
) -> Profile:
    """Return the profile of a Spark data frame: by the same plan the same as on any engine.

    Each task reads its partition as Arrow batches and returns some kilobytes a column, without a shuffle.
    The plan travels with the task, which Spark broadcasts. Executors need this package, NumPy and PyArrow.

    Parameters
    ----------
    dataframe
        Is computed once with a plan; without one it is counted and sampled too, so cache what is dear.
    plan
        Count by this plan: that of the reference. By default one is taken from about 65,536 rows drawn at
        random with a fixed seed.
    kinds
        What columns are, where their types do not say; only without a plan.
    pairs
        Whether to count for the correlations of numeric columns too; only without a plan.

    Raises
    ------
    DataError
        With every column whose type is not that of the plan, or every name of `kinds` that is no column.
    ValueError
        `kinds` or `pairs` beside a plan, which says both.
    """
    if plan is not None and (kinds or pairs):
        msg = "A plan says what columns are and whether pairs are counted: give it alone"
        raise ValueError(msg)
    unread = _unread(dataframe)
    if plan is None:
        readable = [name for name in dataframe.columns if name not in unread]
        plan = make_plan(_sample(dataframe, readable), kinds=kinds, pairs=pairs)
        plan = replace(plan, skipped=unread)
    _check(plan, dataframe, unread)
    names = [name for name in dataframe.columns if name in plan.columns]
    if not names:  # Spark hands no rows to a task that reads no columns
        return replace(empty(plan, names), rows=dataframe.count())
    wanted = _numbered(dataframe, names)
    with warnings.catch_warnings():  # it warns of pandas 3, which takes no part
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        counted = wanted.mapInArrow(counter(plan, names), _COUNTED).toArrow()["profile"].to_pylist()
    return merged([empty(plan, names), *(from_bytes(content, plan=plan) for content in counted)])


def counter(plan: Plan, names: list[str]) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return what a task does: batches of the columns of these names in, the bytes of their profile out.

    Nothing comes out without rows.
    """

    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        tally = None
        for together in rebatched(batches):
            named = [batch.rename_columns(names) for batch in together]
            tally = tally or Tally(plan, named[0].schema)
            tally.add(*named)
        if tally is not None:
            content = to_bytes(tally.profile(), with_plan=False)
            yield pa.RecordBatch.from_arrays([pa.array([content], pa.binary())], ["profile"])

    return count


def _unread(dataframe: DataFrame) -> dict[str, str]:
    """Return why columns cannot be profiled; they never leave Spark."""
    unread = {
        field.name: f"columns of type {field.dataType.simpleString()} are not profiled"
        for field in dataframe.schema
        if field.dataType.simpleString().startswith(_UNREAD)
    }
    times = Counter(dataframe.columns)
    return unread | {name: "more than one column has this name" for name, count in times.items() if count > 1}


def _check(plan: Plan, dataframe: DataFrame, unread: Mapping[str, str]) -> None:
    """Refuse what the plan cannot count, all of it at once, before a row is read."""
    problems = [
        Problem(name, f"must be a {plan.columns[name].family.value}, as in the reference", why)
        for name, why in unread.items()
        if name in plan.columns
    ]
    readable = [name for name in dataframe.columns if name in plan.columns and name not in unread]
    try:
        check_types(plan, _rows(_numbered(dataframe, readable).limit(0), readable).schema)
    except DataError as error:
        problems += error.problems
    if problems:
        raise DataError(problems)


def _numbered(dataframe: DataFrame, names: list[str]) -> DataFrame:
    """Return the columns of these names under numbers for names: c0, c1 and so on.

    Spark cannot map columns that have points in their names, nor tell `id` from `ID`.
    """
    numbers = [f"c{place}" for place in range(len(dataframe.columns))]
    wanted = [numbers[dataframe.columns.index(name)] for name in names]
    return dataframe.toDF(*numbers).select(wanted)


def _rows(dataframe: DataFrame, names: list[str]) -> pa.Table:
    return dataframe.toArrow().rename_columns(names)


def _sample(dataframe: DataFrame, names: list[str]) -> pa.Table:
    rows = dataframe.count()
    wanted = _numbered(dataframe, names)
    if rows > SAMPLE:
        wanted = wanted.sample(fraction=min(1.0, SAMPLE * _SPARE / rows), seed=_SEED)
    return _rows(wanted, names)
