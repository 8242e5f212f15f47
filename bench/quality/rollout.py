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

After these, the other gates of Trimtab: latency, metrics of the business, the drift of the scores
(`bench/quality/rollout_gates.py`), quality and CPU time (`bench/quality/rollout_days.py`).

Requests of a user hang together as in a beta-binomial law: each user has a failure rate of its own, with the
given correlation, and sends all its requests between two looks. `trimtab, told` knows how many these are
(`rollout.requests_per_user`). Shares come with exact 95 % intervals (Clopper and Pearson 1934).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from itertools import chain
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))  # `bench` is not installed

from bench.quality import rollout_days, rollout_gates
from bench.quality.levels import interval as clopper_pearson
from bench.quality.rollout_judges import judges
from bench.quality.rollout_runs import Cell, World, decided, play

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
    wanted = parser.parse_args()
    started, found = time.monotonic(), []
    heads = (f"{'rolled back, %':>20}", f"{'promoted, %':>20}", f"{'requests':>9}")
    print(f"{'challenger / champion':<50} {'judge':<14}", *heads)
    played = chain.from_iterable(cells(world, wanted.runs) for world in WORLDS)
    others = (rollout_gates.judged(case, wanted.runs) for case in rollout_gates.CASES)
    linked = chain.from_iterable(rollout_days.judged(case, wanted.runs) for case in rollout_days.CASES)
    for cell in chain(played, others, linked):
        found.append(cell)
        print(text(cell), flush=True)
    print(f"{time.monotonic() - started:.0f} s")
    if wanted.json:
        wanted.json.write_text(json.dumps([asdict(cell) for cell in found], indent=1), "utf-8")


if __name__ == "__main__":
    main()
