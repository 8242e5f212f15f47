"""How many days an episode must last for its label to be provable at all.

    python bench/quality/oracle.py [--seeds 0 1] [--only KIND ...]

The oracle knows the day of the onset and every label since, and holds the days since against those that the
model was registered with: Student's test on days, at 2.5 % a side. For harm it asks whether the mean loss
lies above what `concept_drift.tolerance` allows; for a prior shift that does none, whether the share of the
positive class has moved. No monitor can be asked for more, so an episode that has to be proved lasts as many
days as the oracle needs to be right nine times in ten (`episodes.LASTS`). It never sees what the triage says.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import t

sys.path.insert(0, str(Path(__file__).parents[2]))  # `bench` is not installed

from bench.quality.episode_replay import SPREAD, halves, rows_of, world_of
from bench.quality.episode_worlds import World
from bench.quality.episodes import HARMFUL, PRIOR, Episode, catalogue

Floats = npt.NDArray[np.float64]
LENGTHS = (16, 28, 42, 56)
_DEALS = 300
_REPEATS = 2000
_LEVEL = 0.025


def power(loss: Floats, known: Floats, days: int, least: float, random: np.random.Generator) -> float:
    """Return how often so many days prove that their mean is beyond `least` times the reference's.

    Parameters
    ----------
    loss, known
        What days of the cause, and of the reference, show; shapes (days,).
    least
        1.1 for a rise of a tenth; 1 for any difference, on either side.
    """
    drawn = loss[random.integers(len(loss), size=(_REPEATS, days))]
    freedom = len(known) + days - 2
    pooled = ((len(known) - 1) * known.var(ddof=1) + (days - 1) * drawn.var(axis=1, ddof=1)) / freedom
    error = np.sqrt(pooled * (1 / days + least**2 / len(known)))
    distance = (drawn.mean(axis=1) - least * known.mean()) / error
    beyond = distance if least > 1 else np.abs(distance)
    return float(np.mean(beyond > t.ppf(1 - _LEVEL, freedom)))


def shown(world: World, episode: Episode, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Return (loss, share of positives) of days of the cause; shape (days, 2) as two arrays."""
    _, live = halves(world)
    found = []
    for _ in range(_DEALS):
        some = random.choice(len(live), size=SPREAD[episode.world[0]], replace=False)
        rows = rows_of(world, pd.concat([live[at] for at in some], ignore_index=True), episode.cause, random)
        found.append(_day(world, rows))
    return _columns(found)


def registered(world: World) -> tuple[Floats, Floats]:
    """Return (loss, share of positives) of the held-out days."""
    return _columns([_day(world, rows) for _, rows in world.held.groupby(world.held["time"].dt.floor("D"))])


def _day(world: World, rows: pd.DataFrame) -> tuple[float, float]:
    labels = rows["label"].to_numpy(float)
    return float(np.mean((world.scores(rows) - labels) ** 2)), float(labels.mean())


def _columns(days: list[tuple[float, float]]) -> tuple[Floats, Floats]:
    losses, shares = np.array(days).T
    return losses, shares


def main() -> None:
    """Print the oracle's power by episode and length."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", nargs=2, type=int, default=(0, 1))
    parser.add_argument("--only", nargs="+", default=[HARMFUL, PRIOR], metavar="KIND")
    arguments = parser.parse_args()
    for episode in catalogue(tuple(arguments.seeds)):
        if episode.kind not in arguments.only:
            continue
        world, random = world_of(episode.world), np.random.default_rng(0)
        tolerated = 1 + world.spec.monitor.concept_drift.tolerance
        (loss, share), (known_loss, known_share) = shown(world, episode, random), registered(world)
        harm = [power(loss, known_loss, days, tolerated, random) for days in LENGTHS]
        moved = [power(share, known_share, days, 1.0, random) for days in LENGTHS]
        told = "  ".join(
            f"{days} d: {a:4.0%} {b:4.0%}" for days, a, b in zip(LENGTHS, harm, moved, strict=True)
        )
        name = " ".join(map(str, episode.world))
        print(f"{episode.kind:<15} {episode.what:<30} {name:<10} (harm, moved share) {told}", flush=True)


if __name__ == "__main__":
    main()
