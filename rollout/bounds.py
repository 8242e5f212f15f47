"""Evidence that may be looked at as often as one likes: about shares, and about means. Pure.

All of it is a mixture as of Robbins (1970): the likelihood of what was seen, averaged over the
alternatives, over its likelihood under the null. Under the null this ratio is a non-negative martingale
that starts at 1, so the chance that it *ever* reaches 1/alpha is at most alpha (Ville), however often
one looks and whenever one stops.
"""

from __future__ import annotations

import math
import sys

from scipy.optimize import brentq
from scipy.special import betaincc, betaln


def log_excess(hits: float, misses: float, null: float) -> float:
    """Return the log evidence that the share of hits is above `null`.

    The mixture is uniform over the shares in (null, 1). At least ``log(1/alpha)`` is proof at level
    alpha against every share up to `null`, under any number of looks.

    Two uses: one version's rate against a limit (hits and misses of its requests); and two versions'
    rates against each other, where a hit is a failure of the first, a miss one of the second, and
    `null` the first's part of the requests (Lindon & Malek, arXiv 2011.03567, section 4). If both score
    the same requests (null = 1/2), a request on which both fail multiplies the ratio by an average of
    4p(1-p), at most 1: requests need not be independent between the versions.

    Parameters
    ----------
    hits, misses
        Counts, at least 0; whole ones, or thinned ones (`rollout.gates.levels`).
    null
        In (0, 1).

    Returns
    -------
    float
        In nats; 0 before the first count, -inf where the excess is beyond belief.
    """
    above = float(betaincc(hits + 1, misses + 1, null))
    if above < sys.float_info.min:  # below that a float has lost its digits
        return -math.inf
    mixture = float(betaln(hits + 1, misses + 1)) + math.log(above) - math.log1p(-null)
    return mixture - hits * math.log(null) - misses * math.log1p(-null)


def interval(hits: float, of: float, alpha: float, guess: float) -> tuple[float, float]:
    """Return a confidence interval for a share that holds at all looks together.

    The shares that the mixture with weights Beta(1/2, (1-guess)/(2 guess)) does not reject at `alpha`.

    Parameters
    ----------
    hits, of
        Counts, ``0 <= hits <= of``; of nothing the interval is (0, 1).
    alpha
        Chance that the interval ever misses the share, in (0, 1).
    guess
        Share in (0, 1) near which the interval is to be narrow; fixed before the first look.
    """
    misses, a, b = of - hits, 0.5, 0.5 * (1 - guess) / guess
    mixture = float(betaln(a + hits, b + misses) - betaln(a, b))

    def kept(share: float) -> float:
        return hits * math.log(share) + misses * math.log1p(-share) - mixture - math.log(alpha)

    tiny, peak = 1e-12, min(max(hits / of if of else guess, 1e-12), 1 - 1e-12)
    low = 0.0 if hits == 0 or kept(tiny) >= 0 else float(brentq(kept, tiny, peak))
    high = 1.0 if misses == 0 or kept(1 - tiny) >= 0 else float(brentq(kept, peak, 1 - tiny))
    return low, high
