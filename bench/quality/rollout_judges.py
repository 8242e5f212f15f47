"""The judges of a canary's errors, each for all runs at once: ours, two z-tests, Kayenta's and Flagger's."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import numpy as np
from scipy.special import betaincc, betaln, ndtri

from bench.quality.rollout_runs import ALPHA, LOOKS, MARGIN, Bools, Floats, Runs, World


def is_worse(runs: Runs, part: float, alpha: float, together: int = 1) -> Bools:
    """`rollout.gates.errors.is_worse` of drawn requests: too many for the weight and for what was got."""
    got = np.clip(runs.ours_of / np.maximum(1, runs.ours_of + runs.theirs_of), part, 1 - 1e-9)
    counts = runs.ours / together, runs.theirs / together
    excess = np.minimum(log_excess(*counts, np.full_like(got, part)), log_excess(*counts, got))
    return np.asarray(excess >= -math.log(alpha))


def log_excess(hits: Floats, misses: Floats, null: Floats | float) -> Floats:
    """`rollout.bounds.log_excess` of arrays."""
    with np.errstate(divide="ignore"):
        above = betaincc(hits + 1, misses + 1, null)
        above = np.log(np.where(above < sys.float_info.min, 0.0, above))
    mixture = betaln(hits + 1, misses + 1) + above - np.log1p(-null)
    found: Floats = mixture - hits * np.log(null) - misses * np.log1p(-null)
    return found


def bound(hits: Floats, of: Floats, alpha: float, guess: float, *, upper: bool) -> Floats:
    """One end of `rollout.bounds.interval` of arrays, by bisection."""
    misses, a, b = of - hits, 0.5, 0.5 * (1 - guess) / guess
    mixture = betaln(a + hits, b + misses) - betaln(a, b)
    rate = np.clip(hits / np.maximum(of, 1), 1e-12, 1 - 1e-12)
    inside, outside = rate, np.full_like(rate, 1 - 1e-12 if upper else 1e-12)
    for _ in range(40):
        middle = (inside + outside) / 2
        kept = hits * np.log(middle) + misses * np.log1p(-middle) - mixture - math.log(alpha) >= 0
        inside, outside = np.where(kept, middle, inside), np.where(kept, outside, middle)
    return inside


def trimtab(runs: Runs, world: World, together: int = 1, minimum: int = 500) -> tuple[Bools, Bools]:
    """The errors gate: where it would roll back, and where it would pass."""
    alpha, half = ALPHA / together, ALPHA / together / 2
    counts = runs.ours, runs.ours_of, runs.theirs, runs.theirs_of
    ours, ours_of, theirs, theirs_of = (count / together for count in counts)
    harmed = is_worse(runs, world.part, alpha, together)
    high = bound(ours, ours_of, half, MARGIN, upper=True)
    passed = (high - bound(theirs, theirs_of, half, MARGIN, upper=False) <= MARGIN) & (
        runs.ours_of >= minimum
    )
    return harmed & ~passed, passed


def z_test(runs: Runs, *, once: bool) -> tuple[Bools, Bools]:
    """Roll back where the rates differ at 5 %, one-sided; promote at the end."""
    pooled = (runs.ours + runs.theirs) / (runs.ours_of + runs.theirs_of)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(pooled * (1 - pooled) * (1 / runs.ours_of + 1 / runs.theirs_of))
        z = (runs.ours / runs.ours_of - runs.theirs / runs.theirs_of) / error
    harmed = np.nan_to_num(z, nan=0.0) > ndtri(1 - ALPHA)
    if once:
        harmed[:, :-1] = False
    return harmed, _at_the_end(harmed)


def threshold(runs: Runs) -> tuple[Bools, Bools]:
    """Flagger: five looks with less than 99 % success roll back; an empty look fails as well."""
    failed, of = _by_look(runs.ours), _by_look(runs.ours_of)
    bad = (failed > 0.01 * of) | (of == 0)
    harmed = bad.cumsum(axis=1) >= 5
    return harmed, _at_the_end(harmed)


def kayenta(runs: Runs) -> tuple[Bools, Bools]:
    """Kayenta's classifier of the looks' error rates, at every tenth look from the 50th on."""
    with np.errstate(invalid="ignore"):
        ours = _by_look(runs.ours) / _by_look(runs.ours_of)
        theirs = _by_look(runs.theirs) / _by_look(runs.theirs_of)
    harmed = np.zeros(ours.shape, dtype=bool)
    for at in range(49, LOOKS, 10):
        for run in range(len(ours)):
            harmed[run, at] = _is_high(ours[run, : at + 1], theirs[run, : at + 1])
    return harmed, _at_the_end(harmed)


def _is_high(ours: Floats, theirs: Floats) -> bool:
    ours, theirs = ours[np.isfinite(ours)], theirs[np.isfinite(theirs)]
    gaps = np.sort((ours[:, None] - theirs[None, :]).ravel())
    n, m = len(ours), len(theirs)
    _, ties = np.unique(np.concatenate([ours, theirs]), return_counts=True)
    spread = n * m / 12 * (n + m + 1 - (ties**3 - ties).sum() / ((n + m) * (n + m - 1)))
    reach = int(max(0, math.floor(n * m / 2 - ndtri(0.99) * math.sqrt(max(spread, 0.0)))))
    low, shift = gaps[min(reach, len(gaps) - 1)], np.median(gaps)
    return bool(low > 0.25 * abs(shift) and low > 0)


def _by_look(counts: Floats) -> Floats:
    return np.diff(counts, axis=1, prepend=0)


def _at_the_end(harmed: Bools) -> Bools:
    passed = np.zeros(harmed.shape, dtype=bool)
    passed[:, -1] = ~harmed[:, -1]
    return passed


def judges(world: World) -> dict[str, Callable[[Runs], tuple[Bools, Bools]]]:
    """Return the judges of a world; where requests go together, Trimtab's with and without being told."""
    found: dict[str, Callable[[Runs], tuple[Bools, Bools]]] = {
        "trimtab": lambda runs: trimtab(runs, world),
        "z, peeking": lambda runs: z_test(runs, once=False),
        "z, once": lambda runs: z_test(runs, once=True),
        "kayenta": kayenta,
        "threshold": threshold,
    }
    if world.users > 1:
        found["trimtab, told"] = lambda runs: trimtab(runs, world, world.users)
    return found
