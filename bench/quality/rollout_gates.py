"""How often the gates on latency, on metrics of the business and on the drift of the scores err.

Run by `bench/quality/rollout.py`. A run is one step of 100 looks; a gate stands alone at level 5 % and stops
at its first rollback or its first pass. `requests` are those of both versions, values or pairs.

- latency: shares slower than the objective, challenger's / champion's, of 200 requests a look. `bursts`: each
  version has slow spells of its own, a look's share from a beta law with the given correlation;
  `shared bursts`: the machine has them, so that both versions are slow together.
- ratio: shares of chances that went badly.
- bounded metric: `linked` minutes correlate by 0.7 with the next one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bench.quality.rollout_judges import bound, is_worse, log_excess
from bench.quality.rollout_runs import ALPHA, BETWEEN, LOOKS, Bools, Cell, Floats, Runs, decided
from rollout.autocorrelation import log_evidence
from rollout.gates.metrics import CORRELATION, ENOUGH

TAIL, MINIMUM, ICC, LINK = 0.01, 500, 0.02, 0.7


@dataclass(frozen=True, slots=True)
class Case:
    """One gate in one world."""

    gate: str
    ours: float
    """The challenger's rate, or how much worse it is."""
    theirs: float | None = None
    limit: float = TAIL
    part: float = 0.1
    told: str = ""

    @property
    def name(self) -> str:
        """As the table has it."""
        if self.theirs is None:
            name = f"{self.gate}: {self.ours:g} of at most {self.limit:g}"
        else:
            name = f"{self.gate}: {self.ours:.1%} / {self.theirs:.1%}, part {self.part:g}"
        return f"{name}, {self.told}" if self.told else name


def latency(runs: Runs, part: float) -> tuple[Bools, Bools]:
    """The latency gate: slower than the objective *and* than the champion; within 1 % of either passes."""
    proof = -math.log(ALPHA)
    slow = log_excess(runs.ours, runs.ours_of - runs.ours, TAIL) >= proof
    slower = is_worse(runs, part, ALPHA)
    enough = runs.ours_of >= MINIMUM
    passed = bound(runs.ours, runs.ours_of, ALPHA, TAIL, upper=True) <= TAIL
    high = bound(runs.ours, runs.ours_of, ALPHA / 2, TAIL, upper=True)
    passed |= high - bound(runs.theirs, runs.theirs_of, ALPHA / 2, TAIL, upper=False) <= TAIL
    return slow & slower, passed & enough


def ratio(runs: Runs, margin: float) -> tuple[Bools, Bools]:
    """The gate on a ratio: the difference of the two shares by the bounds of each."""
    ends = {
        upper: [
            bound(hits, of, ALPHA / 2, 0.5, upper=upper)
            for hits, of in ((runs.ours, runs.ours_of), (runs.theirs, runs.theirs_of))
        ]
        for upper in (False, True)
    }
    enough = np.minimum(runs.ours_of, runs.theirs_of) >= MINIMUM
    return ends[False][0] - ends[True][1] > 0, (ends[True][0] - ends[False][1] <= margin) & enough


def bounded(values: Floats, limit: float) -> tuple[Bools, Bools]:
    """The gate on a bounded metric, of differences in [-1, 1]: `rollout.betting.log_capital` of arrays.

    What the bets win, an autoregression must show as well.
    """
    found = []
    for null, sign in ((0.0, 1), (limit, -1)):
        won = capital((1 + sign * values) / 2, (1 + sign * null) / 2) >= -math.log(ALPHA)
        beyond = sign * (values - null).cumsum(axis=1) > 0
        shown = log_evidence(values - null, CORRELATION) >= -math.log(2 * ALPHA)
        enough = np.arange(1, values.shape[1] + 1) >= ENOUGH
        found.append((enough & won & beyond & shown)[:, 19::20])
    return found[0], found[1]


def capital(values: Floats, null: float) -> Floats:
    """What bets on a mean above `null` have won after each value of [0, 1], in nats."""
    times = np.arange(1, values.shape[1] + 1)
    means = (0.5 + values.cumsum(axis=1)) / (times + 1)
    spread = (0.25 + ((values - means) ** 2).cumsum(axis=1)) / (times + 1)
    before = np.column_stack([np.full(len(values), 0.25), spread[:, :-1]])
    bets = np.sqrt(2 * math.log(1 / ALPHA) / (before * times * np.log1p(times)))
    found: Floats = np.log1p(np.minimum(bets, 0.9 / null) * (values - null)).cumsum(axis=1)
    return found


def drift(ours: Floats, theirs: Floats, of: Floats, limit: float) -> tuple[Bools, Bools]:
    """The gate on the drift of the scores at one cut: the two ways across it, each by its bounds."""
    ends = {
        upper: [bound(side, of, ALPHA / 2, limit / 2, upper=upper) for side in (ours, theirs)]
        for upper in (False, True)
    }
    least, most = ends[False][0] - ends[True][1], ends[True][0] - ends[False][1]
    return np.maximum(least, -most) > limit, np.maximum(most, -least) <= limit


def _requests(case: Case, runs: int, random: np.random.Generator) -> Runs:
    """Draw the counts of both versions at each look."""
    of = random.binomial(BETWEEN, case.part, (runs, LOOKS))
    ours = _spells(case.ours, case, of.shape, random)
    theirs = ours if case.told == "shared bursts" else _spells(case.theirs or 0.0, case, of.shape, random)
    counts = random.binomial(of, ours), of, random.binomial(BETWEEN - of, theirs), BETWEEN - of
    return Runs(*(count.cumsum(axis=1).astype(float) for count in counts))


def _spells(rate: float, case: Case, shape: tuple[int, ...], random: np.random.Generator) -> Floats:
    """Return the share of slow requests at each look."""
    if not case.told:
        return np.full(shape, rate)
    heavy = (1 - ICC) / ICC
    return random.beta(rate * heavy, (1 - rate) * heavy, shape)


def minutes(case: Case, runs: int, random: np.random.Generator) -> Floats:
    """Draw differences of 0.3 up or down; linked ones keep their side in 85 % of the minutes."""
    sides = random.choice([-1.0, 1.0], (runs, 2_000))
    if case.told == "linked":
        turns = np.where(random.random(sides.shape) < (1 + LINK) / 2, 1.0, -1.0)
        sides = sides[:, :1] * turns.cumprod(axis=1)
    return 0.3 * sides


def _as_long(of: Floats, harmed: Bools) -> Runs:
    """Return runs whose looks come after so many values or pairs."""
    seen = np.broadcast_to(of, harmed.shape)
    return Runs(seen, seen, 0 * seen, 0 * seen)


def _judged(case: Case, runs: int, random: np.random.Generator) -> tuple[Bools, Bools, Runs]:
    """Return where a gate rolls back, where it passes, and after how much."""
    if case.gate in ("latency", "ratio"):
        played = _requests(case, runs, random)
        found = latency(played, case.part) if case.gate == "latency" else ratio(played, case.limit)
        return *found, played
    of = np.arange(20.0, 2001, 20)
    if case.gate == "bounded metric":
        found = bounded(case.ours + minutes(case, runs, random), case.limit)
    else:
        shares = [0.1 + case.ours, 0.1, 0.8 - case.ours]
        crossed = random.multinomial(20, shares, (runs, LOOKS)).cumsum(axis=1).astype(float)
        found = drift(crossed[..., 0], crossed[..., 1], np.broadcast_to(of, crossed.shape[:2]), case.limit)
    return *found, _as_long(of, found[0])


CASES = (
    Case("latency", 0.005, 0.005),
    Case("latency", 0.01, 0.01),
    Case("latency", 0.03, 0.03),
    Case("latency", 0.01, 0.01, told="bursts"),
    Case("latency", 0.01, 0.01, told="shared bursts"),
    Case("latency", 0.02, 0.01, part=0.5),
    Case("latency", 0.05, 0.01),
    Case("ratio", 0.9, 0.9, limit=0.02, part=0.5),
    Case("ratio", 0.92, 0.9, limit=0.02, part=0.5),
    Case("ratio", 0.95, 0.9, limit=0.02),
    Case("bounded metric", 0.0, limit=0.05),
    Case("bounded metric", 0.05, limit=0.05),
    Case("bounded metric", 0.1, limit=0.05),
    Case("bounded metric", 0.0, limit=0.05, told="linked"),
    Case("bounded metric", 0.05, limit=0.05, told="linked"),
    Case("drift of scores", 0.05, limit=0.2),
    Case("drift of scores", 0.2, limit=0.2),
    Case("drift of scores", 0.3, limit=0.2),
)
"""No effect, one at the limit, one beyond. A drift at its limit may neither be passed nor be called harm."""


def judged(case: Case, runs: int) -> Cell:
    """Let the gate judge so many runs."""
    harmed, passed, played = _judged(case, runs, np.random.default_rng([*case.name.encode()]))
    return Cell(case.name, "trimtab", runs, *decided(harmed & ~passed, passed, played))
