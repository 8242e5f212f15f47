"""A short version of the bench in worlds that are not as the tests assume, through the gates themselves."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # `bench` is not installed

from bench.quality import rollout_worlds as bench

RUNS, MOST = 25, 5
"""Of 25 runs at 5 %: more than 5 has a probability of 0.1 % by the binomial law."""


@pytest.mark.parametrize("told", ["day", "shared bursts", "failover", "lapses", "clean restarts", "scrapes"])
def test_equal_versions_are_kept(told: str) -> None:
    """What hits both versions, and what only the traffic or the scrapes do, is nobody's harm."""
    back, _ = bench.judged(bench.World("errors", told), RUNS)

    assert back <= MOST


@pytest.mark.parametrize("told", ["day", "failover", "lapses", "scrapes"])
def test_worse_versions_are_not_promoted(told: str) -> None:
    """A version that is worse by the margin does not pass because the world is rough."""
    back, passed = bench.judged(bench.World("errors", told, bench.MARGIN), RUNS)

    assert passed <= MOST
    assert back > 1


def test_every_world_can_be_played() -> None:
    """Each line of the bench is there and ends in at most as many verdicts as runs."""
    for world in bench.WORLDS:
        assert sum(bench.judged(world, 1)) <= 1, world.name
