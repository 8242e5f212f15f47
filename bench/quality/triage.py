"""The triage on labelled episodes: what it decides in the end, beside what is to be done.

    python bench/quality/triage.py [--seeds 0 1] [--only KIND ...] [--quick] [--json FILE]

An episode is a model of real rows (`episode_worlds`) whose daemon (`monitors.daemon.model_job`) goes
through a replay: 28 quiet days, up to three more by the seed, and 16 days from the onset of a cause
(`episodes`), or as many as an oracle needs to prove it (`oracle`).
Nothing is retrained or repaired meanwhile. All of the loop is the real one: the log and the labels are
Delta tables, the results are in SQLite, a window is a day. The 28 days are run once a model, and its
episodes go on from a copy, by a new daemon.

What the triage decided in an episode is the action of most windows in the last third of those in which the
cause lasted (the later one, if two are even), whatever the kind; pending or not, `watch` is `watch`. `harm`
is by how much rows of the cause are worse than those without it, by the labels of all days: the watched
metric in units of `performance.drop`, or the mean loss in units of `concept_drift.tolerance`, whichever is
more. A prior shift is to be retrained away where that is above 1.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[2]))  # `bench` is not installed

from bench.quality.episode_replay import (
    SPREAD,
    WARM,
    Replay,
    Warm,
    flipped,
    halves,
    home_of,
    rows_of,
    warm,
    world_of,
)
from bench.quality.episode_worlds import DAY, START, World
from bench.quality.episodes import EXPECTED, PRIOR, Cause, Episode, catalogue, fully
from monitors.metrics import statistic
from monitors.triage import Action


@dataclass(frozen=True)
class Outcome:
    """What became of an episode; `actions` of the days from the onset on."""

    kind: str
    what: str
    world: str
    onset: int
    expected: str
    decided: str
    first_right: int | None
    actions: list[str]
    causes: list[str]
    why: str
    harm: float
    retrained: int
    cpu_s: float

    @property
    def right(self) -> bool:
        """Whether the triage decided what is to be done."""
        return self.decided == self.expected


def run(
    folder: Path, warmed: dict[tuple[str, int], Warm], kept: Path | None, numbered: tuple[int, Episode]
) -> Outcome:
    """Run an episode from a copy of its world's quiet days; keep what the monitors found in `kept`."""
    number, episode = numbered
    key = episode.world
    world, home = world_of(key), folder / f"episode-{number}"
    shutil.copytree(home_of(folder, key), home)
    replay = Replay(world, home, (key[1], 1, number), SPREAD[key[0]])
    replay.owe(warmed[key].owed)
    onset = WARM + int(replay.random.integers(4))
    _, live = halves(world)
    actions = _lived(replay, live, episode, onset)
    harm = _harm(world, live, episode.cause, SPREAD[key[0]])
    history = replay.store.history(world.spec.model, "triage", start=START + onset * DAY)
    causes = [result.reason for result in history]
    replay.close()
    if kept is not None:
        shutil.copy(home / "results.db", kept / f"{number}.db")
    shutil.rmtree(home)
    after = actions[onset - WARM :]
    expected = str(EXPECTED.get(episode.kind) or (Action.RETRAIN if harm > 1 else Action.WATCH))
    lasting = after[: episode.lasts]
    return Outcome(
        episode.kind,
        episode.what,
        f"{key[0]} {key[1]}",
        onset,
        expected,
        settled(lasting),
        next((day for day, action in enumerate(lasting) if action == expected), None),
        after,
        causes,
        next((n.text or "" for n in history[-1].measurements if n.name == "triage"), ""),
        harm,
        after.count(str(Action.RETRAIN)),
        replay.cpu_s,
    )


def _lived(replay: Replay, live: list[pd.DataFrame], episode: Episode, onset: int) -> list[str]:
    """Let the days of an episode go by; return what the triage said at the end of each."""
    actions = []
    for day in range(WARM, onset + episode.days):
        since = day - onset
        there = 0 <= since < episode.lasts
        cause = episode.cause if there else Cause()
        actions.append(str(replay.day(day, live, cause, since if there else None)))
    return actions


def settled(actions: list[str]) -> str:
    """Return what was decided in the end: most of the last third, the later where two are even."""
    last = actions[-max(1, len(actions) // 3) :]
    counts = Counter(last)
    return max(counts, key=lambda action: (counts[action], len(last) - last[::-1].index(action)))


def _harm(world: World, live: list[pd.DataFrame], cause: Cause, spread: int) -> float:
    """Return by how much a cause makes rows worse, in units of what the file allows.

    A gradual or recurring cause is taken at its full strength; fewer rows are not worse ones.
    """
    metric, wanted = world.spec.performance_metric, world.spec.monitor
    values, risks = [], []
    for each in (Cause(), replace(cause, traffic=1.0, strength=fully)):
        random = np.random.default_rng(0)
        answers, truths = [], []
        for at in range(0, len(live) - spread + 1, spread):
            rows = rows_of(world, pd.concat(live[at : at + spread], ignore_index=True), each, random)
            truths.append(flipped(rows, each, 0, random).astype(float))
            answers.append(world.scores(rows if each.edit is None else each.edit(rows, random)))
        scores, truth = np.concatenate(answers), np.concatenate(truths)
        block = np.zeros(len(truth), dtype=np.int64)
        values.append(float(statistic(metric, scores[:, None], truth, block)(np.ones((1, 1)))[0]))
        risks.append(float(np.mean((scores - truth) ** 2)))
    worse = (values[0] - values[1]) if metric.higher_is_better else (values[1] - values[0])
    rise = risks[1] / risks[0] - 1
    return max(worse / wanted.performance.drop, rise / wanted.concept_drift.tolerance)


def show(outcomes: list[Outcome], warmed: dict[tuple[str, int], Warm]) -> None:
    """Print a line an episode, and what they add up to."""
    print(
        f"{'kind':<18} {'what':<30} {'model':<10} {'days':>4} {'expected':<15} {'decided':<15} "
        f"{'harm':>5} {'right since':>11}"
    )
    for one in outcomes:
        first = "-" if one.first_right is None else f"day {one.first_right}"
        sign = "" if one.right else "  WRONG: " + " ".join(_short(a) for a in one.actions)
        print(
            f"{one.kind:<18} {one.what:<30} {one.world:<10} {len(one.actions):>4} {one.expected:<15} "
            f"{one.decided:<15} {one.harm:>5.1f} {first:>11}{sign}"
        )
    _matrix(outcomes)
    right = sum(one.right for one in outcomes)
    low, high = binomtest(right, len(outcomes)).proportion_ci(0.95)
    print(f"\n{right} of {len(outcomes)} right: {right / len(outcomes):.1%} [{low:.1%}, {high:.1%}]")
    faulty = [one for one in outcomes if EXPECTED.get(one.kind) is Action.FIX_DATA]
    others = [one for one in outcomes if one.expected != Action.RETRAIN and one not in faulty]
    asked = [sum(one.retrained for one in some) for some in (faulty, others)]
    print(
        f"Windows that ask for a retrain: {asked[0]} in the {len(faulty)} episodes of wrong data, "
        f"{asked[1]} in {len(others)} others that need none"
    )
    quiet = Counter(action for one in warmed.values() for action in one.actions)
    print(f"{sum(quiet.values())} quiet windows before the episodes: {dict(quiet)}")
    windows = WARM * len(warmed) + sum(len(one.actions) + one.onset - WARM for one in outcomes)
    spent = sum(one.cpu_s for one in warmed.values()) + sum(one.cpu_s for one in outcomes)
    print(f"{spent / windows:.2f} CPU s of the daemon a window, {windows} windows")


def _matrix(outcomes: Iterable[Outcome]) -> None:
    pairs = Counter((one.expected, one.decided) for one in outcomes)
    names = [str(action) for action in Action]
    print(f"\n{'expected, decided':<18}" + "".join(f"{name:>16}" for name in names))
    for expected in names:
        counts = [pairs[expected, decided] for decided in names]
        if any(counts):
            print(f"{expected:<18}" + "".join(f"{count or '.':>16}" for count in counts))


def _short(action: str) -> str:
    return {
        "fix_data": "D",
        "retrain": "R",
        "fix_infra": "I",
        "collect_labels": "L",
        "watch": "w",
        "none": "-",
    }[action]


def chosen(seeds: tuple[int, int], only: list[str] | None, *, quick: bool) -> list[tuple[int, Episode]]:
    """Return the wanted episodes with their numbers; of a quick run one a kind."""
    found = [(at, one) for at, one in enumerate(catalogue(seeds)) if not only or one.kind in only]
    if quick:
        kinds = [one.kind for _, one in found]
        found = [one for at, one in enumerate(found) if kinds.index(one[1].kind) == at]
    return found


def main() -> None:
    """Run the episodes, some at a time."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", nargs=2, type=int, default=(0, 1), help="of the models and the draws")
    parser.add_argument("--only", nargs="+", choices=[*EXPECTED, PRIOR], metavar="KIND")
    parser.add_argument("--quick", action="store_true", help="one episode a kind")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where to leave the results of each")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    wanted = chosen(tuple(arguments.seeds), arguments.only, quick=arguments.quick)
    worlds = sorted({episode.world for _, episode in wanted})
    wanted.sort(key=lambda one: one[1].world)
    started = time.monotonic()
    if arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)
    with threadpool_limits(1):  # the workers fork, with these worlds; OpenMP hangs in a fork of its threads
        for world in worlds:
            world_of(world)
    with tempfile.TemporaryDirectory() as made, ProcessPoolExecutor(arguments.workers) as pool:
        folder = Path(made)
        warmed = dict(zip(worlds, pool.map(partial(warm, folder), worlds), strict=True))
        outcomes = []
        for outcome in pool.map(partial(run, folder, warmed, arguments.keep), wanted):
            outcomes.append(outcome)
            print(outcome.kind, outcome.what, outcome.decided, file=sys.stderr, flush=True)
    kinds = [*EXPECTED, PRIOR]
    outcomes.sort(key=lambda one: kinds.index(one.kind))
    show(outcomes, warmed)
    print(f"{time.monotonic() - started:.0f} s, {sum(os.times()[:4]):.0f} CPU s in all")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(one) for one in outcomes], indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
