"""Profiles in this process: threads over batches, in memory that does not grow with the data."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import chain
from typing import Any

import pyarrow as pa

from monitors.engines.drawing import at_random, rebatched
from monitors.engines.source import Source, selected
from monitors.engines.sources import open_source
from monitors.profiles.plan import Kind, Plan
from monitors.profiles.planning import SAMPLE, make_plan, not_profiled
from monitors.profiles.profile import Profile, merged
from monitors.profiles.tally import Tally, check_types
from spec import DataError, Problem, did_you_mean

Progress = Callable[[int], None]
"""Is told how many rows have been handed out, now and then, from one thread at a time."""


def profile(
    data: Any,
    *,
    plan: Plan | None = None,
    kinds: Mapping[str, Kind] | None = None,
    pairs: bool = False,
    columns: Sequence[str] | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Profile:
    """Return the profile of a table; it is the same whatever the threads and the batches.

    Parameters
    ----------
    data
        See `sources.open_source`.
    plan
        Count by this plan: that of the reference. By default one is taken from 32,768 rows of `data`, spread
        over it where it can be read twice; from the beginning of a stream that cannot.
    kinds
        What columns are, where their types do not say; only without a plan.
    pairs
        Whether to count for the correlations of numeric columns too; only without a plan.
    columns
        Profile these only.
    threads
        By default one for each core that this process may use.
    progress
        Called with the number of rows so far.

    Raises
    ------
    DataError
        With everything that is wrong with the data, or every name of `columns` or `kinds` that is no column.
    ValueError
        `kinds` or `pairs` beside a plan, which says both.
    """
    if plan is not None and (kinds or pairs):
        msg = "A plan says what columns are and whether pairs are counted: give it alone"
        raise ValueError(msg)
    source = open_source(data)
    _check_names(source, columns)
    plan = plan or _planned(source, columns, kinds or {}, pairs=pairs)
    names = [name for name in plan.columns if columns is None or name in columns]
    wanted = _some(names, source)
    schema = selected(source.schema, wanted)
    check_types(plan, schema)
    batches = _Shared(rebatched(source.batches(wanted)), progress)
    return _counted(plan, schema, batches, threads or len(os.sched_getaffinity(0)))


def sample(data: Any, rows: int, seed: int = 0, *, columns: Sequence[str] | None = None) -> pa.Table:
    """Return rows drawn at random without replacement, in their order; all, if there are not more.

    One pass over the data; the same seed gives the same rows, however they are stored.

    Raises
    ------
    DataError
        With everything that is wrong with the data, or every name of `columns` that is no column.
    """
    source = open_source(data)
    _check_names(source, columns)
    return at_random(selected(source.schema, columns), source.batches(columns), rows, seed)


def _planned(
    source: Source, columns: Sequence[str] | None, kinds: Mapping[str, Kind], *, pairs: bool
) -> Plan:
    """Take the plan from a sample of the columns that can be profiled: a vector a row is not read."""
    skipped = not_profiled(selected(source.schema, columns), kinds)
    names = [name for name in source.schema.names if name not in skipped and name in (columns or [name])]
    plan = make_plan(source.sample(SAMPLE, _some(names, source)), kinds=kinds, pairs=pairs)
    return replace(plan, skipped=skipped)


def _some(names: list[str], source: Source) -> list[str] | None:
    """Return None for all of the columns: a source looks each of them up in the names that it is given."""
    return None if names == source.schema.names else names


def _check_names(source: Source, columns: Sequence[str] | None) -> None:
    if not len(source.schema):
        raise DataError([Problem(source.name, "must have columns", "none")])
    problems = [
        Problem(
            f"{source.name}: {name}",
            "must be a column",
            "no such column",
            did_you_mean(name, source.schema.names),
        )
        for name in columns or ()
        if name not in source.schema.names
    ]
    if problems:
        raise DataError(problems)


def _counted(plan: Plan, schema: pa.Schema, batches: _Shared, threads: int) -> Profile:
    def work(_: int) -> list[Profile]:
        """Return what one thread counted, or nothing where it came too late for a batch."""
        tally: Tally | None = None
        try:
            for together in batches:
                tally = tally or Tally(plan, schema)
                tally.add(*together)
        finally:
            batches.stop()  # at its end, or with an error, which nobody asks about before the others end
        return [] if tally is None else [tally.profile()]

    with _one_thread_each(plan), ThreadPoolExecutor(threads) as pool:
        try:
            counted = list(chain.from_iterable(pool.map(work, range(threads))))
            return merged(counted or [Tally(plan, schema).profile()])
        finally:
            batches.stop()


def _one_thread_each(plan: Plan) -> AbstractContextManager[object]:
    """Keep the matrix products of pairs from starting threads of their own below ours."""
    if not plan.pairs:
        return nullcontext()
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - used for pairs only

    limits: AbstractContextManager[object] = threadpool_limits(1, "blas")
    return limits


class _Shared:
    """One stream of batches for many threads: while one waits for its batch, the others count theirs."""

    def __init__(self, batches: Iterable[list[pa.RecordBatch]], progress: Progress | None) -> None:
        self._batches = iter(batches)
        self._progress = progress
        self._rows = 0
        self._stopped = False
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[list[pa.RecordBatch]]:
        return self

    def __next__(self) -> list[pa.RecordBatch]:
        with self._lock:
            if self._stopped:
                raise StopIteration
            together = next(self._batches)
            self._rows += sum(batch.num_rows for batch in together)
            if self._progress is not None:
                self._progress(self._rows)
            return together

    def stop(self) -> None:
        """Hand out no more: an error in one thread ends the others after their batch."""
        self._stopped = True
