"""Which rows go together: blocks of event time, their resamples, and folds that keep them whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from monitors.metrics import Array, Blocks

Times = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

DAY = 86_400 * 10**6
FEWEST = 10
"""Blocks below which their spread says nothing."""
_PIECES = 20


def length(times: Times) -> int:
    """Return the microseconds of a block: a day, or a twentieth of the time covered if days are few."""
    covered = int(times.max() - times.min()) + 1
    return DAY if covered >= FEWEST * DAY else max(1, -(-covered // _PIECES))


def number(times: Times | None, rows: int) -> Blocks:
    """Number the blocks 0, 1, … in order of time, shape (rows,); each row is one where no time is known."""
    if times is None:
        return np.arange(rows, dtype=np.int64)
    return _ranks(times // length(times))


def numbered_by(times: Times | None, rows: int, microseconds: int) -> Blocks:
    """Number the blocks of a length; where no time is known all rows are one block, to be safe."""
    if times is None:
        return np.zeros(rows, dtype=np.int64)
    return _ranks(times // microseconds)


def draws(block: Blocks, count: int, seed: int) -> Iterator[Array]:
    """Yield weights of the rows, shape (rows,): how often each row's block is drawn with replacement."""
    blocks = int(block.max()) + 1
    random = np.random.default_rng(seed)
    for _ in range(count):
        yield np.bincount(random.integers(blocks, size=blocks), minlength=blocks).astype(float)[block]


def folds(block: Blocks, count: int) -> Iterator[Mask]:
    """Yield which rows a fold tests, shape (rows,): neighbouring blocks, about as many rows a fold."""
    before = np.cumsum(np.bincount(block)) - np.bincount(block)
    fold = (before[block] * count) // len(block)
    for each in np.unique(fold):
        yield np.asarray(fold == each)


def _ranks(values: Times) -> Blocks:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)
