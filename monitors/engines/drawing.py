"""Which rows stand for all: spread evenly for a plan, drawn at random for a test; the same at every call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from monitors.profiles.counting.arrow_arrays import arrow_numbers

BATCH = 2**17
"""Rows that are counted at once."""

_SEED = 8191
_PIECES = 4  # batches that cost less one by one than their copy does
_SPARE = 4  # times the rows asked for that may be held before the losers are dropped


def spread(available: int, rows: int) -> npt.NDArray[np.int64]:
    """Return `rows` increasing places below `available`: one at random in each of as many equal stretches.

    All places, if there are not more. Random within the stretch, so that a daily rhythm is not met always at
    the same hour.
    """
    if available <= rows:
        return np.arange(available)
    starts = np.arange(rows + 1, dtype=np.int64) * available // rows
    within = np.random.default_rng(_SEED).random(rows) * np.diff(starts)
    places: npt.NDArray[np.int64] = starts[:-1] + within.astype(np.int64)
    return places


def picked(batches: Iterable[pa.RecordBatch], places: npt.NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
    """Yield the rows at increasing places of consecutive batches; no batch is read after the last place."""
    first = 0
    if not len(places):
        return
    for batch in batches:
        low, high = np.searchsorted(places, [first, first + batch.num_rows])
        if high > low:
            yield batch.take(arrow_numbers(places[low:high] - first))
        first += batch.num_rows
        if high == len(places):
            return


def at_random(schema: pa.Schema, batches: Iterable[pa.RecordBatch], rows: int, seed: int) -> pa.Table:
    """Return `rows` rows, each with the same chance, in their order; all, if there are not more.

    One pass in bounded memory: every row gets a random key, and the smallest keys stay. The rows are the same
    however the data are cut into batches.
    """
    generator = np.random.default_rng(seed)
    held, keys = [pa.Table.from_batches([], schema)], [np.zeros(0)]
    waiting, limit = 0, np.inf
    for batch in batches:
        drawn = generator.random(batch.num_rows)
        kept = np.flatnonzero(drawn < limit)
        if len(kept):
            held.append(pa.Table.from_batches([batch.take(arrow_numbers(kept))]).cast(schema))
            keys.append(drawn[kept])
            waiting += len(kept)
        if waiting > _SPARE * rows:
            winners, smallest = _smallest(held, keys, rows)
            held, keys, waiting = [winners], [smallest], len(smallest)
            limit = smallest.max(initial=0.0)
    return _smallest(held, keys, rows)[0]


def _smallest(
    held: Sequence[pa.Table], keys: Sequence[npt.NDArray[np.float64]], rows: int
) -> tuple[pa.Table, npt.NDArray[np.float64]]:
    """Return the rows of the smallest keys, and these keys."""
    table, every = pa.concat_tables(held), np.concatenate(keys)
    if len(every) <= rows:
        return table, every
    winners = np.sort(np.argpartition(every, rows)[:rows])
    return table.combine_chunks().take(arrow_numbers(winners)), every[winners]


def rebatched(batches: Iterable[pa.RecordBatch], rows: int = BATCH) -> Iterator[list[pa.RecordBatch]]:
    """Yield the same rows, at most `rows` of them at a time: what a batch costs by itself is paid seldom.

    Up to four batches come as they are, more are copied into one.
    """
    held: list[pa.RecordBatch] = []
    waiting = 0
    for batch in batches:
        for start in range(0, batch.num_rows, rows):
            piece = batch.slice(start, rows)
            full = waiting + piece.num_rows > rows
            if held and (full or piece.schema != held[0].schema):  # one file's strings come as codes
                yield _joined(held)
                waiting = 0
            held.append(piece)
            waiting += piece.num_rows
    if held:
        yield _joined(held)


def _joined(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """Return batches, many as one, and empty their list: nothing is held longer than it is counted."""
    joined = batches.copy() if len(batches) <= _PIECES else [pa.concat_batches(batches)]
    batches.clear()
    return joined
