"""How often the interval of a difference of two shares ever misses it, and how wide it is, beside two others.

    python bench/quality/contrast.py [--runs 2000] [--json FILE]

A run is an experiment of 100 looks, 200 requests between two of them, drawn by the split. *Missed* is the
part of the runs in which the true difference lies outside at any look; *shown* that in which 0 does, at any
look. Intervals, all at 95 %:

- `trimtab`: `rollout.contrast`;
- `bounds`: the two shares' own intervals against each other (`rollout.bounds`), as it was before;
- `newcombe`: the hybrid score interval without continuity correction (Newcombe, Statistics in Medicine
  17:873, 1998, method 10), which is meant for one look: at the last one only, and at every one.

With `copies` the first version also gets the second one's requests: the answers to the same request are
independent, fail together as often as they can (`together`), or never both (`apart`). `bounds` counts them
with the first version's own. Newcombe's interval has no place for them. Widths are medians of the last
look over 200 runs. Parts come with exact 95 % intervals (Clopper and Pearson 1934).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, ndtri

sys.path.insert(0, str(Path(__file__).parents[2]))  # `bench` is not installed

from bench.quality.levels import interval as clopper_pearson
from bench.quality.rollout_judges import bound
from rollout import contrast

Floats = npt.NDArray[np.float64]
LOOKS, BETWEEN, ALPHA, WIDTHS = 100, 200, 0.05, 200
Copies = Literal["none", "independent", "together", "apart"]


@dataclass(frozen=True, slots=True)
class World:
    """The two shares, the first version's part of the traffic, and what the copies say."""

    first: float
    second: float
    part: float
    copies: Copies = "none"

    @property
    def name(self) -> str:
        """As the table has it."""
        told = "" if self.copies == "none" else f", copies {self.copies}"
        return f"{self.first:.1%} / {self.second:.1%}, part {self.part:g}{told}"

    @property
    def guess(self) -> float:
        """Near which share the intervals are narrow: what a spec would say of it."""
        return 0.01 if max(self.first, self.second) < 0.05 else 0.5  # errors, or a metric


@dataclass(frozen=True, slots=True)
class Cell:
    """What one interval did in one world."""

    world: str
    judge: str
    runs: int
    missed: int
    shown: int
    width: float


@dataclass(frozen=True, slots=True)
class Run:
    """Counts at each look: hits and requests of the first version, the second one, and the copies."""

    first: Floats
    first_of: Floats
    second: Floats
    second_of: Floats
    copies: Floats
    copies_of: Floats

    def at(self, look: int) -> tuple[contrast.Arm, contrast.Arm, contrast.Arm]:
        """Return the arms of one look."""
        counts = (self.first, self.first_of), (self.second, self.second_of), (self.copies, self.copies_of)
        first, second, copies = (contrast.Arm(float(hits[look]), float(of[look])) for hits, of in counts)
        return first, second, copies


def play(world: World, random: np.random.Generator) -> Run:
    """Simulate the counters of one experiment."""
    first_of = random.binomial(BETWEEN, world.part, LOOKS)
    second_of = BETWEEN - first_of
    first, second = random.binomial(first_of, world.first), random.binomial(second_of, world.second)
    copies = copies_of = np.zeros(LOOKS, dtype=np.int64)
    if world.copies != "none":
        both = {
            "independent": world.first * world.second,
            "together": min(world.first, world.second),
            "apart": max(0.0, world.first + world.second - 1),
        }[world.copies]
        copies = random.binomial(second, both / world.second)
        copies += random.binomial(second_of - second, (world.first - both) / (1 - world.second))
        copies_of = second_of
    counts = (first, first_of, second, second_of, copies, copies_of)
    return Run(*(count.cumsum().astype(float) for count in counts))


def trimtab(world: World, run: Run, look: int) -> tuple[float, float]:
    """The interval of `rollout.contrast`."""
    first, second, copies = run.at(look)
    return contrast.interval(first, second, ALPHA, _part(world), world.guess, copies)


def excluded(world: World, played: list[Run], difference: float) -> int:
    """Count the runs in which `trimtab` leaves out a difference, the truth or 0, at any look.

    A pair of shares that is credible spares the search for the most credible one: the true pair, or the
    likeliest of those that are equal. That is asked of all looks at once.
    """
    return sum(
        any(_evidence(world, run, look).least(difference) >= -math.log(ALPHA) for look in looks)
        for run, looks in zip(played, _doubtful(world, played, difference), strict=True)
    )


def _evidence(world: World, run: Run, look: int) -> contrast.PairEvidence:
    first, second, copies = run.at(look)
    return contrast.PairEvidence(first, second, copies, _part(world), world.guess)


def _doubtful(world: World, played: list[Run], difference: float) -> list[list[int]]:
    """Return the looks of each run at which the first pair that comes to mind is not credible."""
    found = []
    for run in played:
        ours, ours_of = run.first + run.copies, run.first_of + run.copies_of
        if difference == world.first - world.second:
            first, second = np.full(LOOKS, world.first), np.full(LOOKS, world.second)
        else:
            together = (ours + run.second) / (ours_of + run.second_of)
            first = second = np.clip(together, 1e-12, 1 - 1e-12)
        shape = _evidence(world, run, 0)  # the tilts are those of every look
        up, down = np.multiply.outer(first, shape.up), np.multiply.outer(second, shape.down)
        both = np.minimum(run.copies_of, run.second_of)
        means = (ours_of - both)[:, None] * np.log1p(up) + (run.second_of - both)[:, None] * np.log1p(down)
        means += both[:, None] * np.log1p(up + down)
        tilted = np.multiply.outer(ours, np.log1p(shape.up)) + np.multiply.outer(
            run.second, np.log1p(shape.down)
        )
        logs = tilted - means + math.log(contrast.TILTED / means.shape[1])
        arms = (ours, ours_of, first, 1 - _part(world)), (run.second, run.second_of, second, _part(world))
        own = [_own(*arm, world.guess) for arm in arms]
        against = np.logaddexp.reduce(np.column_stack([logs, *own]), axis=1)
        exact = _evidence(world, run, LOOKS - 1).against(float(first[-1]), float(second[-1]))
        np.testing.assert_allclose(against[-1], exact, rtol=1e-6, atol=1e-6)
        found.append([int(look) for look in np.flatnonzero(against >= -math.log(ALPHA) - 1e-6)])
    return found


def _own(hits: Floats, of: Floats, share: Floats, weight: float, guess: float) -> Floats:
    a, b = 0.5, 0.5 * (1 - guess) / guess
    mixture = betaln(a + hits, b + of - hits) - betaln(a, b) + math.log((1 - contrast.TILTED) * weight)
    found: Floats = mixture - hits * np.log(share) - (of - hits) * np.log1p(-share)
    return found


def _part(world: World) -> float:
    return world.part if world.copies == "none" else 1 / (2 - world.part)


def against_each_other(world: World, run: Run) -> tuple[Floats, Floats]:
    """The bounds of both shares against each other, at every look."""
    arms = (run.first + run.copies, run.first_of + run.copies_of), (run.second, run.second_of)
    low, least = (bound(hits, of, ALPHA / 2, world.guess, upper=False) for hits, of in arms)
    high, most = (bound(hits, of, ALPHA / 2, world.guess, upper=True) for hits, of in arms)
    return low - most, high - least


def newcombe(run: Run) -> tuple[Floats, Floats]:
    """Newcombe's interval at every look."""
    z = float(ndtri(1 - ALPHA / 2))

    def wilson(hits: Floats, of: Floats) -> tuple[Floats, Floats, Floats]:
        rate, weight = hits / of, 1 + z * z / of
        middle = (rate + z * z / (2 * of)) / weight
        radius = z / weight * np.sqrt(rate * (1 - rate) / of + (z / (2 * of)) ** 2)
        return rate, middle - radius, middle + radius

    first, low, high = wilson(run.first, np.maximum(run.first_of, 1))
    second, least, most = wilson(run.second, np.maximum(run.second_of, 1))
    down, up = np.hypot(first - low, most - second), np.hypot(high - first, second - least)
    return first - second - down, first - second + up


def judged(world: World, runs: int, random: np.random.Generator) -> list[Cell]:
    """Let the intervals judge so many runs of a world."""
    truth = world.first - world.second
    played = [play(world, random) for _ in range(runs)]
    missed, shown = (excluded(world, played, value) for value in (truth, 0.0))
    ends = [trimtab(world, run, LOOKS - 1) for run in played[:WIDTHS]]
    width = float(np.median([high - low for low, high in ends]))
    cells = [Cell(world.name, "trimtab", runs, missed, shown, width)]
    old = [against_each_other(world, run) for run in played]
    cells.append(_counted(world, "bounds", old, slice(None)))
    if world.copies == "none":
        peers = [newcombe(run) for run in played]
        cells.append(_counted(world, "newcombe, once", peers, slice(-1, None)))
        cells.append(_counted(world, "newcombe, peeking", peers, slice(None)))
    return cells


def _counted(world: World, judge: str, ends: list[tuple[Floats, Floats]], looks: slice) -> Cell:
    """Count the runs whose intervals leave out the truth, and 0, at one of some looks."""
    missed, shown = (
        sum(bool(((low[looks] > value) | (high[looks] < value)).any()) for low, high in ends)
        for value in (world.first - world.second, 0.0)
    )
    width = float(np.median([high[-1] - low[-1] for low, high in ends[:WIDTHS]]))
    return Cell(world.name, judge, len(ends), missed, shown, width)


WORLDS = [
    *(World(rate, rate, part) for rate in (0.001, 0.01, 0.1, 0.5) for part in (0.5, 0.1)),
    World(0.003, 0.001, 0.1),
    World(0.02, 0.01, 0.1),
    World(0.02, 0.01, 0.5),
    World(0.12, 0.1, 0.5),
    *(World(0.01, 0.01, 0.5, copies) for copies in ("independent", "together", "apart")),
    World(0.02, 0.01, 0.1, "apart"),
]


def main() -> None:
    """Print the table, and write it where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    began, cells = time.perf_counter(), []
    print("| first / second | interval | missed | shown | width |\n|---|---|---|---|---|")
    for number, world in enumerate(WORLDS):
        for cell in judged(world, asked.runs, np.random.default_rng([20_260_301, number])):
            cells.append(cell)
            told = (_share(hits, cell.runs) for hits in (cell.missed, cell.shown))
            print(
                f"| {cell.world} | {cell.judge} | {' | '.join(told)} | {100 * cell.width:.3g} pp |",
                flush=True,
            )
    print(f"\n{len(WORLDS)} worlds in {time.perf_counter() - began:.0f} s")
    if asked.json is not None:
        asked.json.write_text(json.dumps([asdict(cell) for cell in cells], indent=1))


def _share(hits: int, runs: int) -> str:
    low, high = clopper_pearson(hits, runs)
    return f"{hits / runs:.1%} [{low:.1%}, {high:.1%}]"


if __name__ == "__main__":
    main()
