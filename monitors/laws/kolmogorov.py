"""The law of the two-sample Kolmogorov–Smirnov distance."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import kolmogorov

from monitors.laws.tables import TINIEST
from spec.errors import DataError, Problem

_EXACT = 200
"""Up to this many rows in both samples together the law is computed exactly (a few milliseconds)."""
_ROUNDING = 1e-9


def p_value(distance: float, n: float, m: float) -> float:
    """Return P(D ≥ `distance`) for two samples of one continuous law.

    D = max |F − G| of the two empirical distribution functions. Up to 200 rows together the probability
    is exact: the share of the orders of n + m values in which the walk (i/n, j/m) leaves the band |i/n −
    j/m| < D. Beyond, Kolmogorov's limit K(λ) at λ = (√e + 0.12 + 0.11/√e)·(D − h/2), with e = nm/(n + m)
    and h = gcd(n, m)/(nm) the step of D's lattice: within 10 % of the exact value down to 1e-5, and on
    the safe side (too large) further out.

    Bins, ties and discrete values make the law conservative: D over bins is at most D over values, and ties
    take orders away. The false-alarm rate is then below the nominal one; never above.

    Parameters
    ----------
    distance
        D, in [0, 1].
    n, m
        Sizes (effective sizes) of the samples, ≥ 1; fractions are cut off.

    Returns
    -------
    In (0, 1]; falls in `distance`, and 1 at distance 0.

    Raises
    ------
    DataError
        A size below 1, or a distance outside [0, 1]. All problems at once.

    References
    ----------
    Hodges (1958), Arkiv för Matematik 3; Stephens (1970), JRSS B 32.
    """
    problems = [
        Problem(name, "must be at least 1 row", str(size), "Report an empty side as no data")
        for name, size in (("n", n), ("m", m))
        if not size >= 1
    ]
    if not -_ROUNDING <= distance <= 1 + _ROUNDING:
        problems.append(Problem("distance", "must be in [0, 1]", str(distance)))
    if problems:
        raise DataError(problems)
    rows = int(n), int(m)
    p = _exact(distance, *rows) if sum(rows) <= _EXACT else _limit(distance, *rows)
    return min(1.0, max(TINIEST, p))


def _exact(distance: float, n: int, m: int) -> float:
    """Walk over all orders at once, adding up what leaves the band: small tails keep their digits."""
    i = np.arange(n + 1)
    inside = np.zeros(n + 1)
    inside[0] = 1.0
    edge = round(distance * n * m, 6) - 1e-6
    left = 0.0
    for step in range(n + m):
        remaining = n + m - step
        moved = inside * np.clip(m - (step - i), 0, None) / remaining
        moved[1:] += inside[:-1] * (n - i[:-1]) / remaining
        outside = np.abs(i * m - (step + 1 - i) * n) >= edge
        left += float(moved[outside].sum())
        moved[outside] = 0.0
        inside = moved
    return left if edge > 0 else 1.0


def _limit(distance: float, n: int, m: int) -> float:
    root = math.sqrt(n * m / (n + m))
    corrected = distance - math.gcd(n, m) / (2 * n * m)
    return float(kolmogorov((root + 0.12 + 0.11 / root) * max(0.0, corrected)))
