"""The far tail of a difference of two means, from the pooled counts: right where the normal law is not."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr

from monitors.laws.tables import Array, Table

_STEPS = 60
_LARGEST = 700.0
"""exp() of more overflows."""


def tail(values: Array, counts: Table) -> float:
    """Return P(mean of `values` over the current rows − over the reference rows ≥ the observed), under H₀.

    Barndorff-Nielsen's r* on the cumulant function of two multinomial samples from the pooled counts,
    K(θ) = m ln E exp(θv/m) + n ln E exp(−θv/n): Φ̄(r + ln(u/r)/r) with r = √(2(θw − K)) and
    u = √K''·(1 − exp(−θδ))/δ, where δ is what one row of the smaller sample can add at most. With many small
    rows u is the continuous one; when one row makes the whole difference, it is the lattice one, so that the
    probability of that row comes out and not that of a normal of the same variance.

    For the Wasserstein distance `values` is the optimal potential of the observed pair, whose difference of
    means *is* the distance (Kantorovich duality); given that a rare distance occurred, it occurred in its
    likeliest direction, which is the one that was seen.

    Parameters
    ----------
    values
        Shape (k,): a value for each cell, any unit.
    counts
        Both samples on the cells.

    Returns
    -------
    In [0, 1]; 1 where the observed difference is not positive.
    """
    centred, observed = _standardized(values, counts)
    return 1.0 if observed <= 0 else _beyond(observed, centred, counts)


def two_sided_tail(values: Array, counts: Table) -> float:
    """Return P(|difference of the means of `values`| ≥ the observed), under H₀.

    A distance that is the supremum of such differences over potentials, as Wasserstein's and total variation
    are, is at least that large where its observed potential is, *or its mirror image*. With one long tail
    the mirror image adds nothing, with two it adds as much again.

    Parameters
    ----------
    values, counts
        As in `tail`; the observed difference must be positive, or the result is 1.

    Returns
    -------
    In [0, 1].
    """
    centred, observed = _standardized(values, counts)
    if observed <= 0:
        return 1.0
    return min(1.0, _beyond(observed, centred, counts) + _beyond(observed, -centred, counts))


def _standardized(values: Array, counts: Table) -> tuple[Array, float]:
    """Return the values about their pooled mean in units of their span, and the observed difference."""
    span = float(np.ptp(values))
    if span <= 0:
        return np.zeros(len(values)), 0.0
    centred = (values - counts.pooled @ values) / span
    return centred, float(centred @ (counts.current / counts.m - counts.reference / counts.n))


def _beyond(observed: float, centred: Array, counts: Table) -> float:
    """Return P(difference of means ≥ `observed`) for values of span 1."""
    theta = solve(observed, centred, counts)
    cumulant, _, curvature = _cumulants(theta, centred, counts.pooled, counts)
    exponent = theta * observed - cumulant
    if exponent <= 0 or curvature <= 0:
        return 1.0 if exponent <= 0 else math.exp(-exponent)
    row = 1 / min(counts.n, counts.m)
    r, u = math.sqrt(2 * exponent), math.sqrt(curvature) * -math.expm1(-theta * row) / row
    return float(min(math.exp(-exponent), ndtr(-(r + math.log(u / r) / r))))


def solve(observed: float, values: Array, counts: Table) -> float:
    """Return the tilt θ ≥ 0 under which the means of `values` differ by `observed` in expectation.

    K'(θ) = observed, by Newton's method in a bracket; any θ ≥ 0 would give a valid bound on the tail.

    Parameters
    ----------
    observed
        > 0; where no tilt reaches it, the largest that can be computed with is returned.
    values
        Shape (k,): with pooled mean 0 and a span of 1.
    counts
        Both samples on the cells.
    """
    low, high = 0.0, _LARGEST * min(counts.n, counts.m)
    theta = 0.0
    pooled = counts.pooled
    for _ in range(_STEPS):
        _, slope, curvature = _cumulants(theta, values, pooled, counts)
        low, high = (theta, high) if slope < observed else (low, theta)
        step = theta + (observed - slope) / curvature if curvature > 0 else high
        step = step if low < step < high else (low + high) / 2
        if abs(step - theta) <= 1e-9 * max(1.0, abs(theta)):
            break
        theta = step
    return theta


def _cumulants(theta: float, values: Array, pooled: Array, counts: Table) -> tuple[float, float, float]:
    """Return K, K' and K'' at θ."""
    total = [0.0, 0.0, 0.0]
    for sign, size in ((1.0, counts.m), (-1.0, counts.n)):
        exponents = sign * theta / size * values
        top = float(exponents.max())
        weights = pooled * np.exp(exponents - top)
        mass = float(weights.sum())
        mean = float(weights @ values) / mass
        variance = float(weights @ (values - mean) ** 2) / mass
        total[0] += size * (math.log(mass) + top)
        total[1] += sign * mean
        total[2] += variance / size
    return total[0], total[1], total[2]
