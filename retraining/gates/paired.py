"""A number of two sides on the same rows, with bounds from drawing blocks of rows, such as days, anew."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Array = NDArray[np.float64]
_DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Bounds:
    """A value, and bounds of which each alone holds with the confidence."""

    value: float
    low: float
    high: float


def bounds(statistic: Callable[[Array], Array], blocks: int, confidence: float, seed: int = 0) -> Bounds:
    """Return a statistic of weighted blocks with Student's bounds by its spread over resamples.

    What both sides of a comparison share, such as the weather of a day, cancels in each resample: a
    statistic that is the same for any weights has no width. √(B/(B-1)) undoes what resampling B blocks takes
    from their variance.

    Parameters
    ----------
    statistic
        Takes weights [resamples, blocks] and returns [resamples] values; resamples without one are left out.
    blocks
        At least two.
    confidence
        Of each bound, in (0.5, 1).
    """
    drawn = np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1 / blocks), size=_DRAWS)
    values = statistic(np.vstack([np.ones(blocks), drawn]).astype("float64"))
    value, resampled = float(values[0]), values[1:][np.isfinite(values[1:])]
    spread = float(resampled.std(ddof=1)) * math.sqrt(blocks / (blocks - 1))
    reach = float(stdtrit(blocks - 1, confidence)) * spread
    return Bounds(value, value - reach, value + reach)
