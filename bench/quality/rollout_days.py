"""How often the gates on days and on minutes err, where these hang together: quality and CPU time.

Run by `bench/quality/rollout.py`. A gate stands alone at level 5 % and stops at its first rollback or its
first pass; each day or minute is a look. `trimtab` is the gate; `independent` is the same where days or
minutes are taken as independent, as `rollout.day_correlation: 0` says. `requests` are days or minutes.

- quality: 60 days, shortfalls in limits, as much worse as it says, with a standard deviation of one limit
  unless it says otherwise. `r 0.5`: normal, and each day correlates so with the next one. `heavy`: Student's
  t with three degrees of freedom. `weekends`: half of the variance is the weekend. `users`: 40 users a day
  of 1, 2, 3 ... rows each (geometric), all rows of a user alike; `users who return`: 70 % of them are there
  on the next day, too.
- cpu: 240 minutes, CPU time a request in budgets, as much as it says, 600 requests a minute that come in
  waves, 30 % standard deviation. `skewed`: log-normal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bench.quality.rollout_runs import ALPHA, Bools, Cell, Floats, Runs, decided
from rollout.autocorrelation import log_evidence
from rollout.gates.cpu import CORRELATION, ENOUGH
from spec.rollout import Rollout

DAYS, MINUTES, BY_LABELS, USERS = 60, 240, 0.9, 40
_QUALITY, _CPU = "quality", "cpu"


@dataclass(frozen=True, slots=True)
class Case:
    """One gate in one world."""

    gate: str
    mean: float
    """Shortfall in limits, or CPU time a request in budgets."""
    link: float = 0.0
    """Correlation of neighbours."""
    told: str = ""
    spread: float = 1.0
    """Standard deviation of a day, in limits."""

    @property
    def name(self) -> str:
        """As the table has it."""
        link = f", r {self.link:g}" if self.link else ""
        told = f", {self.told}" if self.told else ""
        wide = f", spread {self.spread:g}" if self.spread != 1 else ""
        return f"{self.gate}: {self.mean:g} of at most 1{link}{wide}{told}"

    @property
    def most(self) -> float:
        """The correlation that the gate thinks of."""
        return Rollout().day_correlation if self.gate == _QUALITY else CORRELATION


def gate(case: Case, values: Floats, weights: Floats, most: float) -> tuple[Bools, Bools]:
    """Return where the gate rolls back and where it passes: by the evidence that its bounds come from.

    Quality is harm above 0 and passes within 1, CPU time is either at 1.
    """
    count = np.arange(1, values.shape[1] + 1)
    enough = count >= (Rollout().min_days if case.gate == _QUALITY else ENOUGH)
    harmless, part = (0.0, BY_LABELS) if case.gate == _QUALITY else (1.0, 1.0)
    found = []
    for null, level, sign in ((harmless, ALPHA, 1), (1.0, part * ALPHA, -1)):
        off = weights * (values - null)
        beyond = sign * off.cumsum(axis=1) > 0
        found.append(enough & beyond & (log_evidence(off, most) >= -math.log(2 * level)))
    return found[0], found[1]


def played(case: Case, runs: int, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw values and weights, oldest first."""
    if case.told.startswith("users"):
        values, weights = _of_users(runs, random, 0.7 if "return" in case.told else 0.0)
        return case.mean + case.spread * values, weights
    noise = _linked(case, (runs, DAYS if case.gate == _QUALITY else MINUTES), random)
    if case.gate == _QUALITY:
        return case.mean + case.spread * noise, np.ones(noise.shape)
    waves = 600 * (1 + 0.5 * np.sin(np.arange(MINUTES) / 60))
    share = np.exp(0.3 * noise - 0.045) if case.told == "skewed" else 1 + 0.3 * noise
    return case.mean * share, random.poisson(waves, noise.shape).astype(float)


def _linked(case: Case, shape: tuple[int, int], random: np.random.Generator) -> Floats:
    """Draw an autoregression of unit variance."""
    drawn = random.standard_t(3, shape) / math.sqrt(3) if case.told == "heavy" else random.normal(size=shape)
    for at in range(1, shape[1]):
        drawn[:, at] = case.link * drawn[:, at - 1] + math.sqrt(1 - case.link**2) * drawn[:, at]
    if case.told == "weekends":
        weekend = (np.arange(shape[1]) + random.integers(0, 7, (shape[0], 1))) % 7 < 2
        drawn = (drawn + (weekend - 2 / 7) / math.sqrt(10 / 49)) / math.sqrt(2)
    return drawn


def _of_users(runs: int, random: np.random.Generator, stay: float) -> tuple[Floats, Floats]:
    """Draw the days' means and rows of users, of whom some return; a day's mean has about unit variance."""
    effects, rows = random.normal(size=(runs, USERS)), random.geometric(0.3, (runs, USERS))
    means, counts = np.empty((runs, DAYS)), np.empty((runs, DAYS))
    for day in range(DAYS):
        fresh = random.random((runs, USERS)) >= stay
        effects = np.where(fresh, random.normal(size=effects.shape), effects)
        rows = np.where(fresh, random.geometric(0.3, rows.shape), rows)
        counts[:, day] = rows.sum(axis=1)
        means[:, day] = (rows * effects).sum(axis=1) / counts[:, day] * math.sqrt(USERS / 1.7)
    return means, counts


def judged(case: Case, runs: int) -> Iterator[Cell]:
    """Let the gate judge so many runs, as it is and as if its days or minutes were independent."""
    values, weights = played(case, runs, np.random.default_rng([*case.name.encode()]))
    seen = np.broadcast_to(np.arange(1.0, values.shape[1] + 1), values.shape)
    for name, most in (("trimtab", case.most), ("independent", 0.0)):
        harmed, passed = gate(case, values, weights, most)
        yield Cell(
            case.name, name, runs, *decided(harmed & ~passed, passed, Runs(seen, seen, 0 * seen, 0 * seen))
        )


CASES = (
    *(Case(_QUALITY, mean, link) for mean in (0.0, 1.0) for link in (0.0, 0.3, 0.5, 0.7, 0.8)),
    *(Case(_QUALITY, 0.0, link, spread=5) for link in (0.0, 0.7)),
    *(
        Case(_QUALITY, mean, told=told)
        for mean in (0.0, 1.0)
        for told in ("heavy", "users", "users who return")
    ),
    *(Case(_QUALITY, mean, told="weekends") for mean in (0.0, 1.0)),
    Case(_QUALITY, 0.0, 0.5, told="heavy"),
    Case(_QUALITY, -1.0),
    Case(_QUALITY, 2.0),
    *(Case(_CPU, mean, link) for mean in (0.8, 1.0, 1.3) for link in (0.0, 0.5, 0.8, 0.9)),
    *(Case(_CPU, 1.0, link, told="skewed") for link in (0.0, 0.8)),
    Case(_CPU, 1.3, 0.8, told="skewed"),
)
"""No worse, worse by the limit, and beyond. CPU time at its budget may neither pass nor be called harm."""
