"""Which rows go together: those of a day of event time, as in `monitors.performance`."""

from __future__ import annotations

import numpy as np

from monitors.performance import Times
from monitors.slices.cuts import Codes
from monitors.slices.losses import Array

_TICKS_A_DAY = 86_400 * 10**6
_FEWEST_DAYS = 5
_GROUPS = 20


def blocks(times: Times) -> Codes:
    """Number the rows' days 0, 1, …; with fewer than five, deal the rows out to 20 groups in order of time.

    Parameters
    ----------
    times
        Microseconds since the epoch; shape (rows,).
    """
    days, day = np.unique(times // _TICKS_A_DAY, return_inverse=True)
    if len(days) >= _FEWEST_DAYS:
        return np.asarray(day, dtype=np.int64)
    block = np.empty(len(times), dtype=np.int64)
    block[np.argsort(times, kind="stable")] = np.arange(len(times)) % _GROUPS
    return block


def resampled(blocks: int, resamples: int) -> Array:
    """Return how often each block is in each resample, shape (1 + resamples, blocks); first every block once.

    Seeded: the same number of blocks gives the same resamples.
    """
    drawn = np.random.default_rng(0).multinomial(blocks, np.full(blocks, 1 / blocks), size=resamples)
    return np.vstack([np.ones(blocks), drawn]).astype(float)
