"""Steps of a canary as their counters tell them, and how a judge's looks at them end."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
LOOKS, BETWEEN, ALPHA, MARGIN = 100, 200, 0.05, 0.01


@dataclass(frozen=True, slots=True)
class World:
    """Two versions, their traffic and their users."""

    challenger: float
    champion: float
    part: float = 0.1
    users: int = 1
    """Requests of a user; 1: independent ones."""
    correlation: float = 0.0

    @property
    def name(self) -> str:
        """As the table has it."""
        rates = f"{self.challenger:.1%} / {self.champion:.1%}, part {self.part:g}"
        return rates if self.users == 1 else f"{rates}, {self.users} a user, icc {self.correlation:g}"


@dataclass(frozen=True, slots=True)
class Runs:
    """Counts at each look since the step began, shape (runs, looks)."""

    ours: Floats
    ours_of: Floats
    theirs: Floats
    theirs_of: Floats


@dataclass(frozen=True, slots=True)
class Cell:
    """What one judge did in one world."""

    world: str
    judge: str
    runs: int
    rolled_back: int
    promoted: int
    requests: float | None
    """Median number of requests of both versions until the decision; None where most runs had none."""


def play(world: World, runs: int, random: np.random.Generator) -> Runs:
    """Simulate the counters of so many steps."""
    users = BETWEEN // world.users
    ours_users = random.binomial(users, world.part, (runs, LOOKS))
    arms = [(ours_users, world.challenger), (users - ours_users, world.champion)]
    (ours, ours_of), (theirs, theirs_of) = (_arm(world, count, rate, random) for count, rate in arms)
    return Runs(ours, ours_of, theirs, theirs_of)


def _arm(
    world: World, users: npt.NDArray[np.int64], rate: float, random: np.random.Generator
) -> tuple[Floats, Floats]:
    of = users * world.users
    if world.users == 1:
        failed = random.binomial(of, rate)
    else:
        heavy = (1 - world.correlation) / world.correlation
        failed = np.zeros(of.shape, dtype=np.int64)
        for at in range(int(users.max())):
            rates = random.beta(rate * heavy, (1 - rate) * heavy, of.shape)
            failed += np.where(at < users, random.binomial(world.users, rates), 0)
    return failed.cumsum(axis=1).astype(float), of.cumsum(axis=1).astype(float)


def decided(harmed: Bools, passed: Bools, runs: Runs) -> tuple[int, int, float | None]:
    """Return the runs rolled back, those promoted, and the median requests until then."""
    ever = harmed | passed
    first = ever.argmax(axis=1)
    rows = np.arange(len(ever))
    back = int(harmed[rows, first].sum())
    forth = int((passed[rows, first] & ~harmed[rows, first]).sum())
    of = (runs.ours_of + runs.theirs_of)[rows, first]
    requests = np.where(ever.any(axis=1), of, np.inf)
    middle = float(np.median(requests))
    return back, forth, middle if math.isfinite(middle) else None
