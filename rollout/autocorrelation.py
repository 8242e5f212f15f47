"""Evidence on a mean of values of which each may hang on the one before, at all looks together. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

Floats = npt.NDArray[np.float64]
Moments = Sequence[tuple[Floats, Floats, Floats]]

_EFFECTS = (0.5, 3.0)
"""Standard deviations of the mean under the alternative, in standard deviations of one value."""
_CORRELATIONS = 9
_REACH = 2.0 ** np.arange(-6, 40)
"""How far a bound is looked for, in mean absolute deviations."""


def log_evidence(values: Floats, most: float) -> Floats:
    """Return the log evidence that the mean of normal values of unknown variance is not 0, at each look.

    The values are an autoregression: neighbours correlate by r >= 0, values k apart by r^k. For each r the
    likelihood without scale (right Haar prior), of a mean N(0, g²) in standard deviations of one value, over
    that of a mean of 0, is a martingale (Wang & Ramdas, arXiv 2310.03722, of the whitened values). r is not
    known: both likelihoods are averaged over r = 0 ... `most`, which lets the values themselves tell it. So
    the chance to ever reach 1/alpha is at most alpha on average over these r, exactly; near `most` it is
    larger, near 0 smaller (`bench/quality/rollout.py` measures it by r). With `most` = 0 values are
    independent, and it is at most alpha.

    Parameters
    ----------
    values
        Oldest first along the last axis, n of them.
    most
        Largest correlation of neighbours that is thought of, in [0, 1).

    Returns
    -------
    array
        In nats, of the same shape: after each value. It is 0 as long as all are 0.
    """
    along, n = np.ones(values.shape[-1]), np.arange(1, values.shape[-1] + 1)
    moments = []
    for correlation in _correlations(most):
        errors, steps = _whitened(values, correlation), _whitened(along, correlation)
        square, slope, weight = (part.cumsum(axis=-1) for part in (errors**2, errors * steps, steps**2))
        moments.append((square, slope, weight))
    return np.where(np.logical_or.accumulate(values != 0, axis=-1), _log_ratio(moments, n, most), 0.0)


def mean_bounds(values: Floats, weights: Floats, alpha: float, most: float) -> tuple[float, float]:
    """Return bounds of a weighted mean, each with an error probability of half of `alpha` at all looks.

    The next means to both sides of the estimate about which the weighted deviations are evidence of 1/alpha.
    Infinite where none are, and where even the estimate is one of those, so that the values are no
    autoregression. Values that are all alike are their own bounds once there are enough of them.

    Parameters
    ----------
    values, weights
        Oldest first, shape (n,), n at least 1; weights positive.
    most
        As of `log_evidence`.
    """
    alike, n = not np.ptp(values), len(values)
    heavy = np.ones(n) if alike else weights / weights.mean()
    mean = float(values[0]) if alike else float((heavy * values).mean())
    off = heavy * (values - mean)
    reach = _REACH * (float(np.abs(off).mean()) or 1.0)
    whitened = [[_whitened(one, r) for one in (off, heavy, np.ones(n))] for r in _correlations(most)]
    sums = [(x @ x, x @ y, y @ y, x @ z, y @ z, z @ z) for x, y, z in whitened]

    def beyond(shift: float) -> float:
        moments = [
            (xx - 2 * shift * xy + shift**2 * yy, xz - shift * yz, zz) for xx, xy, yy, xz, yz, zz in sums
        ]
        return float(_log_ratio(moments, n, most)) + math.log(alpha)

    def end(sign: int) -> float:
        far = next((sign * at for at in reach.tolist() if beyond(sign * at) >= 0), None)
        if far is None or (not alike and beyond(0.0) >= 0):
            return sign * math.inf
        return mean if alike else mean + float(brentq(beyond, 0.0, far))

    return end(-1), end(1)


def _correlations(most: float) -> list[float]:
    return [float(each) for each in np.linspace(0, most, _CORRELATIONS if most else 1)]


def _whitened(values: Floats, correlation: float) -> Floats:
    """Return the independent errors of an autoregression, in its standard deviations of one error."""
    first = math.sqrt(1 - correlation**2) * values[..., :1]
    return np.concatenate([first, values[..., 1:] - correlation * values[..., :-1]], axis=-1)


def _log_ratio(moments: Moments, n: Floats | int, most: float) -> Floats:
    """Return the log ratio of the two likelihoods.

    Parameters
    ----------
    moments
        For each correlation, of the whitened values x and the whitened ones z: x'x, x'z, z'z.
    n
        How many values that are.
    """
    null: Floats | float = -math.inf
    shifted: Floats | float = -math.inf
    for correlation, (spread, slope, weight) in zip(_correlations(most), moments, strict=True):
        scale, square = 0.5 * math.log1p(-(correlation**2)), np.where(spread > 0, spread, 1.0)
        null = np.logaddexp(null, scale - n / 2 * np.log(square))
        for effect in _EFFECTS:
            prior = effect**2 / (1 - correlation**2)
            # By Cauchy and Schwarz at least the second; rounding can leave less of the first, and even < 0.
            rest = np.maximum(square - prior * slope**2 / (1 + prior * weight), square / (1 + prior * weight))
            fit = scale - 0.5 * np.log1p(prior * weight) - n / 2 * np.log(rest)
            shifted = np.logaddexp(shifted, fit - math.log(len(_EFFECTS)))
    return np.asarray(shifted - null)
