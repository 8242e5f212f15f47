"""A 64-bit hash of strings, many at once, the same on every machine and for every type of string."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Hashes = npt.NDArray[np.uint64]

_BLOCK = 2**17  # bytes hashed at once
_LONG = 2**12  # bytes from which on a string is hashed by itself


def hashes(values: pa.Array) -> Hashes:
    """Return a hash of each string, shape (n,).

    Simple tabulation hashing with a computed table (Pătraşcu and Thorup, "The power of simple tabulation
    hashing", JACM 2012): the sum of a pseudo-random number for each byte and its place, mixed with the
    length. Not for use against an adversary.

    Parameters
    ----------
    values
        Strings, shape (n,), of which none is null.
    """
    if not len(values):
        return np.zeros(0, dtype=np.uint64)
    values = values.cast(pa.large_binary())
    _, starts, data = values.buffers()
    ends = np.frombuffer(starts, np.int64, len(values) + 1, values.offset * 8)
    content = np.frombuffer(data or b"", np.uint8)
    hashed = np.empty(len(values), dtype=np.uint64)
    for first, last in _blocks(ends):
        hashed[first:last] = _block(content[ends[first] : ends[last]], ends[first : last + 1] - ends[first])
    for place in np.flatnonzero(np.diff(ends) > _LONG).tolist():
        digest = blake2b(content[ends[place] : ends[place + 1]].tobytes(), digest_size=8).digest()
        hashed[place] = int.from_bytes(digest, "little")
    return hashed


def _blocks(ends: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last string of blocks of about 2^17 bytes, without those that are long."""
    first, last = 0, len(ends) - 1
    while first < last:
        stop = int(np.searchsorted(ends, ends[first] + _BLOCK, side="right")) - 1
        stop = min(max(stop, first + 1), first + _BLOCK, last)
        if ends[stop] - ends[first] <= _BLOCK:
            yield first, stop
        first = stop


def _block(content: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64]) -> Hashes:
    sizes = np.diff(ends)
    places = np.arange(len(content)) - np.repeat(ends[:-1], sizes)
    codes = (places << 8 | content).astype(np.uint64)
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(_mixed(codes), dtype=np.uint64)])
    return _mixed((sums[ends[1:]] - sums[ends[:-1]]) ^ sizes.astype(np.uint64))


def _mixed(numbers: Hashes) -> Hashes:
    """Return SplitMix64's output for each state (Steele, Lea and Flood, OOPSLA 2014)."""
    mixed = (numbers + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    final: Hashes = mixed ^ (mixed >> np.uint64(31))
    return final
