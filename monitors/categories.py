"""The categorical kernel: exact counts of the reference's values, an honest rest, and an estimate of how many there are."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from monitors.plan import CategoricalPlan, Ints

BUCKETS = 64
"""Buckets, by hash, of the values that the plan does not track."""

RARE = 256
"""Untracked values that are counted by name: those of the smallest hashes, so that any merge keeps the same."""

Hashes = npt.NDArray[np.uint64]


class CategoryTally:
    """Counts one column's values by its plan; `add` as often as there are batches."""

    def __init__(self, plan: CategoricalPlan) -> None:
        self.plan = plan
        self.counts: Ints = np.zeros(len(plan.values), dtype=np.int64)
        self.others: Ints = np.zeros(BUCKETS, dtype=np.int64)
        self.rare: dict[str, int] = {}
        self.nulls = 0
        self._values = pa.array(plan.values, pa.string())

    def add(self, codes: npt.NDArray[np.integer], values: pa.Array, nulls: int) -> None:
        """Count values.

        Parameters
        ----------
        codes
            Positions in `values`, shape (n,).
        values
            Strings, which may repeat and may be null.
        nulls
            Missing values beside those.
        """
        counts = np.bincount(codes, minlength=len(values))
        if values.null_count:
            missing = pc.is_null(values).to_numpy(zero_copy_only=False)
            nulls += int(counts[missing].sum())
            counts = np.where(missing, 0, counts)
        self.nulls += nulls
        places = pc.fill_null(pc.index_in(values, value_set=self._values), -1).to_numpy(zero_copy_only=False)
        known = places >= 0
        np.add.at(self.counts, places[known], counts[known])
        unknown = np.flatnonzero(~known & (counts > 0))
        if len(unknown):
            self._add_others(values.take(pa.array(unknown)).to_pylist(), counts[unknown])

    def _add_others(self, values: list[str], counts: Ints) -> None:
        hashed = hashes(values)
        np.add.at(self.others, bucket(hashed), counts)
        if len(values) > RARE:  # only the smallest can stay
            smallest = np.argsort(hashed, kind="stable")[: 2 * RARE]
            values, counts = [values[place] for place in smallest], counts[smallest]
        batch: dict[str, int] = {}
        for value, count in zip(values, counts.tolist(), strict=True):
            batch[value] = batch.get(value, 0) + count
        self.rare = merge(self.rare, batch)


def merge(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """Add counts and keep the values of the 256 smallest hashes; exactly associative and commutative."""
    both = dict(one)
    for value, count in other.items():
        both[value] = both.get(value, 0) + count
    if len(both) <= RARE:
        return both
    names = list(both)
    ranked = sorted(zip(hashes(names).tolist(), names, strict=True))
    return {name: both[name] for _, name in ranked[:RARE]}


def distinct(rare: Mapping[str, int]) -> float:
    """Return the number of distinct untracked values: exact below 256, else the k-minimum-values estimate.

    ``(k - 1) / U_k`` with `U_k` the k-th smallest hash on (0, 1); relative standard error 1/√(k-2), 6 % (Beyer et
    al., "On synopses for distinct-value estimation under multiset operations", SIGMOD 2007).
    """
    if len(rare) < RARE:
        return float(len(rare))
    largest = int(hashes(rare).max())
    return (RARE - 1) / ((largest + 1) / 2**64)


def bucket(hashed: Hashes) -> Ints:
    """Return the bucket of each hash, shape (n,)."""
    return (hashed % np.uint64(BUCKETS)).astype(np.int64)


def hashes(values: Iterable[str]) -> Hashes:
    """Return a 64-bit hash of each string: two CRC-32 mixed by SplitMix64; the same on every machine."""
    encoded = [value.encode("utf-8", "surrogatepass") for value in values]
    low = np.array([zlib.crc32(value) for value in encoded], dtype=np.uint64)
    high = np.array([zlib.crc32(value, len(value) + 1) for value in encoded], dtype=np.uint64)
    mixed = low | (high << np.uint64(32))
    with np.errstate(over="ignore"):
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    hashed: Hashes = mixed ^ (mixed >> np.uint64(31))
    return hashed
