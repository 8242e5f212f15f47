"""Where a quantile lies, from the counts of a histogram, at all looks together. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.special import betaln


def between(
    edges: Sequence[float], counts: Sequence[float], of: float, quantile: float, alpha: float
) -> tuple[float, float]:
    """Return two edges that a quantile lies between, at all looks together.

    Of the first n values, how many are at most the quantile is a sum of Bernoulli(p). A mixture over its
    alternatives reaches ``1/alpha`` in at most alpha of all runs, however often one looks (Robbins 1970;
    Howard & Ramdas, Bernoulli 28(3), 2022, arXiv 1906.09712, theorem 1 with a beta-binomial boundary). An
    edge with fewer values up to it than this allows lies below the quantile, one with more does not. Nothing
    is interpolated, and to look at all edges costs nothing: it is one event.

    Parameters
    ----------
    edges
        Upper edges of the buckets, rising.
    counts
        How many values are at most each edge; as a histogram of Prometheus counts.
    of
        All values.
    quantile
        p in (0, 1).
    alpha
        Chance that the quantile ever lies outside, in (0, 1).

    Returns
    -------
    tuple
        The lower edge, 0 if none is shown to be below; the upper one, infinite if none is shown to be above.
    """
    low, high = 0.0, math.inf
    for edge, count in zip(edges, counts, strict=True):
        if _beyond(count, of, quantile, alpha):
            if count < of * quantile:
                low = max(low, edge)
            else:
                high = min(high, edge)
    return low, high


def _beyond(hits: float, of: float, share: float, alpha: float) -> bool:
    """Whether so many hits refute that their share is `share`."""
    rare, p = (hits, share) if share < 0.5 else (of - hits, 1 - share)  # noqa: PLR2004 - the rarer side
    a, b, rest = 0.5, 0.5 * (1 - p) / p, of - rare
    mixture = float(betaln(a + rare, b + rest) - betaln(a, b))
    return mixture - rare * math.log(p) - rest * math.log1p(-p) >= -math.log(alpha)
