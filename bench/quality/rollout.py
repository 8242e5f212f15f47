"""How often a canary is rolled back or promoted wrongly, and how soon it is judged, beside other judges.

    python bench/quality/rollout.py [--runs 2000] [--json FILE]

A run is one step: 100 looks, 200 requests between two of them, of which the challenger gets a tenth (or all
requests are mirrored). Each judge stops a run at its first rollback or its first promotion. Judges:

- `trimtab`: the errors gate at level 5 % alone (`rollout.gates.errors`, vectorised; held to it by a test);
- `z, peeking` and `z, once`: the two-sample z-test at 5 %, at every look and at the last one only;
- `kayenta`: its judge's rule on the looks' error rates: 98 % Mann-Whitney interval of the shift (normal
  approximation, ties corrected), High if its low end is above 0.25 |Hodges-Lehmann shift|
  (NetflixACAJudge.scala, MannWhitneyClassifier.scala of spinnaker/kayenta), asked from 50 points on;
- `threshold`: Flagger's: a look fails where the success rate is below 99 %, five failed looks roll back
  (flagger.app, `threshold: 5`, request-success-rate `min: 99`).

After these, the other gates of Trimtab (`bench/quality/rollout_gates.py`): latency, quality, metrics of the
business, the drift of the scores.

Requests of a user hang together as in a beta-binomial law: each user has a failure rate of its own, with the
given correlation, and sends all its requests between two looks. `trimtab, told` knows how many these are
(`rollout.requests_per_user`). Shares come with exact 95 % intervals (Clopper and Pearson 1934).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import betaincc, betaln, ndtri

sys.path.insert(0, str(Path(__file__).parents[2]))  # `bench` is not installed

from bench.quality.levels import interval as clopper_pearson

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


def log_excess(hits: Floats, misses: Floats, null: float) -> Floats:
    """`rollout.bounds.log_excess` of arrays."""
    with np.errstate(divide="ignore"):
        above = betaincc(hits + 1, misses + 1, null)
        above = np.log(np.where(above < sys.float_info.min, 0.0, above))
    mixture = betaln(hits + 1, misses + 1) + above - math.log1p(-null)
    found: Floats = mixture - hits * math.log(null) - misses * math.log1p(-null)
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
    ours, ours_of, theirs, theirs_of = (
        counts / together for counts in (runs.ours, runs.ours_of, runs.theirs, runs.theirs_of)
    )
    harmed = log_excess(ours, theirs, world.part) >= -math.log(alpha)
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


WORLDS = (
    World(0.01, 0.01),
    World(0.01, 0.01, 0.5),
    World(0.001, 0.001),
    World(0.02, 0.01),
    World(0.02, 0.01, 0.5),
    World(0.05, 0.01),
    World(0.20, 0.01),
    World(0.011, 0.001),
    World(0.01, 0.01, users=5, correlation=0.3),
    World(0.01, 0.01, users=20, correlation=0.3),
    World(0.02, 0.01, users=5, correlation=0.3),
    World(0.05, 0.01, users=5, correlation=0.3),
    World(0.20, 0.01, users=20, correlation=0.3),
)
"""Equal versions; versions at the margin, which may not be promoted; worse ones; and users."""


def cells(world: World, runs: int) -> list[Cell]:
    """Let all judges judge the same runs of a world."""
    played = play(world, runs, np.random.default_rng([*world.name.encode()]))
    return [
        Cell(world.name, name, runs, *decided(*judge(played), played))
        for name, judge in judges(world).items()
    ]


def text(cell: Cell) -> str:
    """Return the line of a cell."""
    shares = []
    for hits in (cell.rolled_back, cell.promoted):
        low, high = clopper_pearson(hits, cell.runs)
        shares.append(f"{100 * hits / cell.runs:5.1f} [{100 * low:.1f}, {100 * high:.1f}]")
    requests = "-" if cell.requests is None else f"{cell.requests:,.0f}"
    return f"{cell.world:<50} {cell.judge:<14} {shares[0]:>20} {shares[1]:>20} {requests:>9}"


def main() -> None:
    """Go through the worlds; print each as soon as it is known."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=2_000)
    parser.add_argument("--json", type=Path)
    from bench.quality.rollout_gates import CASES, judged  # noqa: PLC0415 - it stands on this module

    wanted = parser.parse_args()
    started, found = time.monotonic(), []
    heads = (f"{'rolled back, %':>20}", f"{'promoted, %':>20}", f"{'requests':>9}")
    print(f"{'challenger / champion':<50} {'judge':<14}", *heads)
    for world in WORLDS:
        for cell in cells(world, wanted.runs):
            found.append(cell)
            print(text(cell), flush=True)
    for case in CASES:
        found.append(judged(case, wanted.runs))
        print(text(found[-1]), flush=True)
    print(f"{time.monotonic() - started:.0f} s")
    if wanted.json:
        wanted.json.write_text(json.dumps([asdict(cell) for cell in found], indent=1), "utf-8")


if __name__ == "__main__":
    main()
