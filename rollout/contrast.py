"""How far two shares lie apart, at all looks together: one sequence for their difference, from counts. Pure.

For each pair of shares (p, q) the evidence against it is an average of non-negative (super)martingales that
start at 1 if p and q are the truth:

- the first arm's likelihood, averaged over alternatives, over that at p, and the second arm's alike: these
  keep each share where it can be (`rollout.bounds`);
- for tilts (a, -b) on a grid, exp(a H - b K) over its mean, with H and K the arms' hits and a / b the second
  arm's requests over the first's: where H and K lie further apart than p and q explain, so do the shares. The
  mean is exact, a product of the Bernoulli's (Howard, Ramdas, McAuliffe & Sekhon, Annals of Statistics 2021,
  section 3, have it for one arm).

A request that both arms got is in the mean once, with 1 + p (e^a - 1) + q (e^-b - 1): the largest that it can
be however the two answers hang together, reached where never both are hits.

What keeps its evidence below 1/alpha holds the true pair at all looks with probability 1 - alpha (Ville
1939); the differences of all such pairs are the interval. The logarithm of the evidence is convex in (p, q):
a log-sum of linear functions minus logarithms of linear ones. So both ends are found by searches on a line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import betaln

TILTED = 0.4
"""Weight of the tilts; the arms share the rest, the smaller one getting more: its bound is wider."""
_TILTS = np.geomspace(0.001, 4.0, 16)
_EDGE = 1e-12
_TOLERANCE = 1e-8


@dataclass(frozen=True, slots=True)
class Arm:
    """Counts of one version, ``0 <= hits <= of``; whole ones, or thinned ones (`rollout.gates.levels`)."""

    hits: float
    of: float

    @property
    def rate(self) -> float:
        """The share of hits; a half of nothing."""
        return self.hits / self.of if self.of else 0.5


NOTHING = Arm(0, 0)


def interval(
    first: Arm, second: Arm, alpha: float, part: float, guess: float, copies: Arm = NOTHING
) -> tuple[float, float]:
    """Return a confidence interval for the first share minus the second that holds at all looks together.

    Exact for requests that are independent of each other, however they are shared out between the arms.

    Parameters
    ----------
    first, second
        What was counted of either arm.
    alpha
        Chance that the interval ever misses the difference, in (0, 1).
    part
        The first arm's part of all requests that is expected, its copies among both, in (0, 1): there the
        interval is narrowest. Fixed before the first look.
    guess
        Share in (0, 1) near which it is to be narrow; fixed before the first look.
    copies
        More counts of the first arm, of requests that the second one got as well. Both arms' answers to the
        same request may hang together in any way.

    Returns
    -------
    tuple[float, float]
        In [-1, 1], and that of nothing.
    """
    evidence = PairEvidence(first, second, copies, part, guess)
    middle = evidence.middle
    low, high = (_end(evidence, middle, end, -math.log(alpha)) for end in (-1.0, 1.0))
    return max(low - _TOLERANCE, -1.0), min(high + _TOLERANCE, 1.0)


def _end(evidence: PairEvidence, middle: float, end: float, needed: float) -> float:
    """Return where, on the way to an end, the evidence reaches what is needed; the end where it does not."""

    def excess(difference: float) -> float:
        return evidence.least(difference) - needed

    last = end * (1 - _TOLERANCE)
    if end * middle >= 1 - 2 * _TOLERANCE or excess(last) <= 0:
        return end
    if excess(middle) >= 0:  # the shares lie further apart than the middle can be
        return middle
    return float(brentq(excess, middle, last, xtol=_TOLERANCE))


class PairEvidence:
    """The log evidence of counts against each pair of shares.

    `up` and `down` are e^a - 1 and e^-b - 1 of every tilt.
    """

    def __init__(self, first: Arm, second: Arm, copies: Arm, part: float, guess: float) -> None:
        ours = Arm(first.hits + copies.hits, first.of + copies.of)
        both = min(copies.of, second.of)
        self._arms = ours, second
        self._alone, self._both = (ours.of - both, second.of - both), both
        tilts = np.concatenate([_TILTS, -_TILTS])
        a, b = tilts * min(1.0, (1 - part) / part), tilts * min(1.0, part / (1 - part))
        self.up, self.down = np.expm1(a), np.expm1(-b)
        self._tilted = a * ours.hits - b * second.hits + math.log(TILTED / len(tilts))
        self._own = tuple(
            math.log((1 - TILTED) * weight) + _mixture(arm, guess)
            for arm, weight in ((ours, 1 - part), (second, part))
        )

    @property
    def middle(self) -> float:
        """A difference that no evidence speaks against: that of the most likely shares, within the edges."""
        found = self._arms[0].rate - self._arms[1].rate
        return min(max(found, 2 * _TOLERANCE - 1), 1 - 2 * _TOLERANCE)

    def least(self, difference: float) -> float:
        """Return the least evidence against any pair of shares that lie so far apart."""
        first, second, room = max(0.0, difference), max(0.0, -difference), 1 - abs(difference)

        def at(
            logit: float,
        ) -> float:  # of the place between the two pairs at the edges: near either it is fine
            up = room / (1 + math.exp(-logit))
            return self.against(_inside(first + up), _inside(second + up))

        ends = math.log(_EDGE), -math.log(_EDGE)
        return float(minimize_scalar(at, bounds=ends, method="bounded", options={"xatol": 1e-5}).fun)

    def against(self, first: float, second: float) -> float:
        """Return the log evidence against one pair of shares in (0, 1)."""
        up, down = first * self.up, second * self.down
        means = self._alone[0] * np.log1p(up) + self._alone[1] * np.log1p(down)
        tilted = self._tilted - means - self._both * np.log1p(up + down)
        own = [
            mixture - _likelihood(arm, share)
            for mixture, arm, share in zip(self._own, self._arms, (first, second), strict=True)
        ]
        return float(np.logaddexp.reduce(np.append(tilted, own)))


def _inside(share: float) -> float:
    return min(max(share, _EDGE), 1 - _EDGE)


def _mixture(arm: Arm, guess: float) -> float:
    """Return the log likelihood of an arm's hits averaged over shares, as `rollout.bounds.interval` does."""
    a, b = 0.5, 0.5 * (1 - guess) / guess
    return float(betaln(a + arm.hits, b + arm.of - arm.hits) - betaln(a, b))


def _likelihood(arm: Arm, share: float) -> float:
    return arm.hits * math.log(share) + (arm.of - arm.hits) * math.log1p(-share)
