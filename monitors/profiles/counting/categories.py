"""The categorical kernel: exact counts of the reference's values, an honest rest, and how many there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from monitors.profiles.counting.arrow_arrays import (
    arrow_flags,
    arrow_numbers,
    arrow_strings,
    numpy_numbers,
    present,
)
from monitors.profiles.counting.columns import decoded, plain
from monitors.profiles.counting.hashing import Hashes, hashes
from monitors.profiles.plan import CategoricalPlan, Ints

BUCKETS = 64
"""Buckets, by hash, of the values that the plan does not track."""

RARE = 256
"""Untracked values that are counted by name: those of the smallest hashes, the same after any merge."""


class CategoryTally:
    """Counts one column's values by its plan; `add` as often as there are batches."""

    def __init__(self, plan: CategoricalPlan) -> None:
        self.plan = plan
        self.counts: Ints = np.zeros(len(plan.values), dtype=np.int64)
        self.others: Ints = np.zeros(BUCKETS, dtype=np.int64)
        self.rare: dict[str, int] = {}
        self.nulls = 0
        self._tracked = arrow_strings(plan.values)
        self._untracked = arrow_numbers(np.array([len(plan.values)], dtype=np.int32))[0]
        self._options: dict[pa.DataType, pc.SetLookupOptions] = {}

    def add(self, array: pa.Array) -> None:
        """Count strings of any Arrow type but views, which may be coded and null."""
        coded = pa.types.is_dictionary(array.type)
        if coded and len(array.dictionary) <= len(array):
            self._add_coded(array)
        else:
            self._add_plain(plain(array) if coded else array)

    def _add_plain(self, array: pa.Array) -> None:
        places = self._places(array)
        counts = np.bincount(places, minlength=len(self.counts) + 1)
        self.counts += counts[:-1]
        self.nulls += array.null_count
        if counts[-1] > array.null_count:
            unknown = arrow_numbers(np.flatnonzero(places == len(self.counts)))
            found = array.take(unknown).drop_null().value_counts()
            self._add_others(found.field(0), numpy_numbers(found.field(1)))

    def _add_coded(self, array: pa.Array) -> None:
        values = array.dictionary
        codes = numpy_numbers(array.indices.drop_null()).astype(np.int64, copy=False)
        counts = np.bincount(codes, minlength=len(values))
        nulls = len(array) - len(codes)
        if values.null_count:
            there = present(values)
            nulls += int(counts[~there].sum())
            values, counts = values.drop_null(), counts[there]
        self.add_counts(values, counts, nulls)

    def add_counts(self, values: pa.Array, counts: Ints, nulls: int) -> None:
        """Count strings, none of them null, as often as `counts` says, beside `nulls` that are missing."""
        self.nulls += nulls
        places = self._places(values)
        known = places < len(self.counts)
        np.add.at(self.counts, places[known], counts[known])
        unknown = np.flatnonzero(~known & (counts > 0))
        if len(unknown):
            self._add_others(values.take(arrow_numbers(unknown)), counts[unknown])

    def _places(self, array: pa.Array) -> npt.NDArray[np.int32]:
        """Return the place of each string among the tracked ones; their number where it is not or is null."""
        if array.type not in self._options:
            self._options[array.type] = pc.SetLookupOptions(value_set=self._tracked.cast(array.type))
        places = pc.index_in(array, options=self._options[array.type])
        return numpy_numbers(places.fill_null(self._untracked) if places.null_count else places)

    def _add_others(self, values: pa.Array, counts: Ints) -> None:
        hashed = hashes(values)
        np.add.at(self.others, bucket(hashed), counts)
        kept = hashed <= _largest(hashed)
        names = decoded(values.filter(arrow_flags(kept)))
        batch: dict[str, int] = {}
        for name, count in zip(names, counts[kept].tolist(), strict=True):
            batch[name] = batch.get(name, 0) + count
        self.rare = merge(self.rare, batch)


def merge(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """Add counts and keep the values of the 256 smallest hashes; exactly associative and commutative."""
    both = dict(one)
    for value, count in other.items():
        both[value] = both.get(value, 0) + count
    if len(both) <= RARE:
        return both
    names = list(both)
    ranked = sorted(zip(_hashes(names).tolist(), names, strict=True))
    return {name: both[name] for _, name in ranked[:RARE]}


def distinct(rare: Mapping[str, int]) -> float:
    """Return the number of distinct untracked values: exact below 256, else the k-minimum-values estimate.

    ``(k - 1) / U_k`` with `U_k` the k-th smallest hash on (0, 1); relative standard error 1/√(k-2), 6 %
    (Beyer et al., "On synopses for distinct-value estimation under multiset operations", SIGMOD 2007).
    """
    if len(rare) < RARE:
        return float(len(rare))
    largest = int(_hashes(rare).max())
    return (RARE - 1) / ((largest + 1) / 2**64)


def bucket(hashed: Hashes) -> Ints:
    """Return the bucket of each hash, shape (n,)."""
    return (hashed % np.uint64(BUCKETS)).astype(np.int64)


def _largest(hashed: Hashes) -> np.uint64:
    """Return the 256th smallest of the distinct hashes, or the largest."""
    ordered = np.sort(hashed)
    ordered = ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])]
    largest: np.uint64 = ordered[min(len(ordered), RARE) - 1]
    return largest


def _hashes(names: Iterable[str]) -> Hashes:
    return hashes(arrow_strings(list(names)))
