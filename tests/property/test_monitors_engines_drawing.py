"""Batches are an accident: how rows are cut changes nothing, and every row has the same chance."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.engines import local
from monitors.engines.drawing import at_random, picked, rebatched, spread

CUTS = st.lists(st.integers(0, 40), min_size=1, max_size=20)


def batches(lengths: list[int]) -> Iterator[pa.RecordBatch]:
    """Batches of these lengths that number their rows from 0; every other one has codes for its strings."""
    first = 0
    for turn, length in enumerate(lengths):
        numbers = pa.array(range(first, first + length), pa.int64())
        words = numbers.cast(pa.string())
        yield pa.record_batch({"row": numbers, "word": words.dictionary_encode() if turn % 2 else words})
        first += length


def numbered(parts: Iterator[pa.RecordBatch]) -> list[int]:
    """The numbers of the rows, in order."""
    return [row for part in parts for row in part.column("row").to_pylist()]


@given(lengths=CUTS, rows=st.integers(1, 50))
def test_rebatching_keeps_every_row_in_its_place(lengths: list[int], rows: int) -> None:
    """The same rows come out in the same order, in no more than four batches and so many rows at a time."""
    found = list(rebatched(batches(lengths), rows))

    assert list(range(sum(lengths))) == numbered(part for together in found for part in together)
    assert all(0 < sum(part.num_rows for part in together) <= rows for together in found)
    assert all(len(together) <= 4 for together in found)


@given(lengths=CUTS, rows=st.integers(0, 60), seed=st.integers(0, 9))
def test_a_random_sample_does_not_see_the_batches(lengths: list[int], rows: int, seed: int) -> None:
    """The same rows are drawn from one batch and from many, each once, in their order."""
    schema = pa.schema([("row", pa.int64()), ("word", pa.string())])
    drawn = at_random(schema, batches(lengths), rows, seed)
    whole = at_random(schema, batches([sum(lengths)]), rows, seed)
    numbers = drawn.column("row").to_pylist()

    assert whole.equals(drawn)
    assert min(rows, sum(lengths)) == len(set(numbers)) == len(numbers)
    assert sorted(numbers) == numbers


@given(available=st.integers(0, 10_000), rows=st.integers(1, 500))
def test_spread_places_are_one_in_each_stretch(available: int, rows: int) -> None:
    """As many places as asked for, increasing, each in a stretch of its own; all if there are no more."""
    places = spread(available, rows)

    assert min(available, rows) == len(places)
    assert (np.diff(places) > 0).all()
    if available > rows:
        assert (places < (np.arange(rows) + 1) * available / rows).all()
        assert (places >= np.floor(np.arange(rows) * available / rows)).all()


@given(lengths=CUTS, rows=st.integers(1, 60))
def test_picked_rows_are_the_rows_at_the_places(lengths: list[int], rows: int) -> None:
    """Rows are found by their place in all batches together."""
    places = spread(sum(lengths), rows)

    assert places.tolist() == numbered(picked(batches(lengths), places))


@given(lengths=CUTS)
def test_a_profile_does_not_see_the_batches(lengths: list[int]) -> None:
    """A table cut in any way, by any number of threads, has one profile."""
    (whole,) = batches([sum(lengths)])
    schema = whole.schema
    cut = pa.RecordBatchReader.from_batches(schema, (part.cast(schema) for part in batches(lengths)))
    expected = local.profile(whole, threads=1)

    assert expected == local.profile(cut, plan=expected.plan, threads=2)


def test_every_row_has_the_same_chance() -> None:
    """Over 2,000 seeds each of 20 rows is among 5 as often as chance has it, within five standard errors."""
    schema = pa.schema([("row", pa.int64()), ("word", pa.string())])
    times = np.zeros(20)
    for seed in range(2_000):
        times[at_random(schema, batches([3, 9, 8]), 5, seed).column("row").to_numpy()] += 1

    assert np.abs(times - 500).max() < 5 * np.sqrt(2_000 * 0.25 * 0.75)


@pytest.mark.parametrize("every", [24, 7, 16])
def test_a_rhythm_in_the_rows_is_not_met_always_at_the_same_beat(every: int) -> None:
    """A plan's rows are drawn from all hours of a day, though stretches are whole days long."""
    places = spread(every * 1_000, 1_000)

    assert every == len(set((places % every).tolist()))
