"""Bounds of the mean of bounded values, by bets against it, that hold at all looks together. Pure."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

Floats = npt.NDArray[np.float64]
_STAKE = 0.9
"""Largest part of the capital that one bet may lose."""


def log_capital(values: Floats, null: float, alpha: float) -> float:
    """Return the log capital of a gambler who bets that the mean of `values` is above `null`.

    prod(1 + min(l_i, 0.9/m) (x_i - m)) with l_t = sqrt(2 ln(1/alpha) / (s²_{t-1} t ln(1+t))), where s² is the
    running variance of the *earlier* values, begun with one quarter (Waudby-Smith & Ramdas, JRSS B 2024,
    arXiv 2010.09686, section 4.2). As long as each value has at most the mean m given those before it, this
    is a non-negative supermartingale that starts at 1: it *ever* reaches 1/alpha with probability at most
    alpha (Ville). Values need not be alike or independent beyond that.

    Parameters
    ----------
    values
        In [0, 1], shape (n,), oldest first.
    null
        The mean m that is bet against, in (0, 1).
    alpha
        Level that the bets are tuned for; the guarantee holds for any.

    Returns
    -------
    float
        In nats; 0 before the first value.
    """
    bets = np.minimum(_bets(values, alpha), _STAKE / null)
    return float(np.log1p(bets * (values - null)).sum())


def lower_bound(values: Floats, alpha: float) -> float:
    """Return a bound that the mean of `values` (in [0, 1], oldest first) stays above at all looks together.

    The smallest mean that the bets do not refute; 0 of nothing. The capital falls as the mean rises, so
    there is one root.
    """
    tiny = 1e-9

    def short(null: float) -> float:
        return log_capital(values, null, alpha) + math.log(alpha)

    if not len(values) or short(tiny) < 0:
        return 0.0
    return float(brentq(short, tiny, 1 - tiny)) if short(1 - tiny) < 0 else 1.0


def upper_bound(values: Floats, alpha: float) -> float:
    """Return a bound that the mean of `values` stays below at all looks together; 1 of nothing."""
    return 1 - lower_bound(1 - values, alpha)


def _bets(values: Floats, alpha: float) -> Floats:
    times = np.arange(1, len(values) + 1)
    means = (0.5 + np.cumsum(values)) / (times + 1)
    spread = (0.25 + np.cumsum((values - means) ** 2)) / (times + 1)
    before = np.concatenate([[0.25], spread[:-1]])
    bets: Floats = np.sqrt(2 * math.log(1 / alpha) / (before * times * np.log1p(times)))
    return bets
