"""How often each day of event time is in each resample of the days."""

from __future__ import annotations

import numpy as np

from monitors.slices.losses import Array


def resampled(blocks: int, resamples: int) -> Array:
    """Return how often each block is in each resample, shape (1 + resamples, blocks); first every block once.

    Seeded: the same number of blocks gives the same resamples.
    """
    drawn = np.random.default_rng(0).multinomial(blocks, np.full(blocks, 1 / blocks), size=resamples)
    return np.vstack([np.ones(blocks), drawn]).astype(float)
