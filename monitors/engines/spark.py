"""Profiles on Spark: every task counts its rows with the kernel of every engine, the driver adds up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from monitors.engines.drawing import rebatched
from monitors.plan import Kind, Plan
from monitors.planning import SAMPLE, make_plan
from monitors.profile import Profile, empty, merged
from monitors.tally import Tally, check_types

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_SEED = 8191
_SPARE = 1.2  # the sample's size is random on Spark: some more, and it is rarely too small
_COUNTED = "profile binary"


def profile(
    dataframe: DataFrame,
    *,
    plan: Plan | None = None,
    kinds: Mapping[str, Kind] | None = None,
    pairs: bool = False,
) -> Profile:
    """Return the profile of a Spark data frame: by the same plan the same as on any engine.

    Each task reads its partition as Arrow batches and returns some kilobytes a column; nothing is shuffled.
    The executors need this package with NumPy and PyArrow. Nested columns are skipped.

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
    if plan is None:
        plan = make_plan(_sample(dataframe), kinds=kinds, pairs=pairs)
    schema = dataframe.limit(0).toArrow().schema
    check_types(plan, schema)
    names = [name for name in schema.names if name in plan.columns]
    wanted = dataframe.select([f"`{name.replace('`', '``')}`" for name in names])
    counted = wanted.mapInArrow(counter(plan), _COUNTED).toArrow()["profile"].to_pylist()
    return merged([empty(plan, names), *map(Profile.from_bytes, counted)])


def counter(plan: Plan) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return what a task does: batches in, the bytes of their profile out; nothing without rows."""

    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        tally = None
        for batch in rebatched(batches):
            tally = tally or Tally(plan, batch.schema)
            tally.add(batch)
        if tally is not None:
            yield pa.RecordBatch.from_arrays(
                [pa.array([tally.profile().to_bytes()], pa.binary())], ["profile"]
            )

    return count


def _sample(dataframe: DataFrame) -> pa.Table:
    rows = dataframe.count()
    if rows > SAMPLE:
        dataframe = dataframe.sample(fraction=min(1.0, SAMPLE * _SPARE / rows), seed=_SEED)
    return dataframe.toArrow()
