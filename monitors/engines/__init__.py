"""One kernel, wherever the rows are: `profile` finds the engine that data belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitors.engines import local
from monitors.profiles.plan import Kind, Plan
from monitors.profiles.profile import Profile


def profile(
    data: Any, *, plan: Plan | None = None, kinds: Mapping[str, Kind] | None = None, pairs: bool = False
) -> Profile:
    """Return the profile of a table: on Spark for a Spark data frame, else in this process.

    Parameters
    ----------
    data
        A path (Parquet, CSV, Arrow, a folder or glob of them, a Delta table), an Arrow table, batch, reader
        or dataset, a pandas or Polars frame, anything that exports an Arrow stream, or a Spark data frame.
    plan
        Count by this plan: that of the reference, which makes the profiles comparable. By default one is
        taken from a sample of `data`.
    kinds
        What columns are, where their types do not say; only without a plan.
    pairs
        Whether to count for the correlations of numeric columns too; only without a plan.

    Raises
    ------
    DataError
        With everything that is wrong: a missing or unreadable file, an unknown format, a type that changed.
    """
    if type(data).__module__.partition(".")[0] == "pyspark":
        from monitors.engines import spark  # noqa: PLC0415 - pyspark takes a second, and few have it

        return spark.profile(data, plan=plan, kinds=kinds, pairs=pairs)
    return local.profile(data, plan=plan, kinds=kinds, pairs=pairs)
