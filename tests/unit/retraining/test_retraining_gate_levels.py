"""How often the gates are wrong, by simulation; each bound is passed by chance 1 time in 1,000."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import binom

from retraining.gates import calibration, fairness, robustness, slices
from retraining.gates.exam import Exam
from spec import ModelSpec, loads

DAYS, ROWS = 12, 1200
WORLDS = 100
SOME = 20


@dataclass(frozen=True)
class World:
    """Rows of 12 days with weather of their own, and two calibrated models that each see another part."""

    truth: np.ndarray
    champion: np.ndarray
    candidate: np.ndarray
    country: np.ndarray


def worlds(count: int, seed: int = 0) -> Iterator[World]:
    """Make worlds: of three causes the champion sees the first two, the candidate the last two."""
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        first, shared, last = (rng.normal(0, spread, ROWS) for spread in (0.5, 1.0, 0.5))
        weather = np.repeat(rng.normal(0, 0.2, DAYS), ROWS // DAYS)
        unseen = np.sqrt(1 + 0.2**2 + 0.5**2)
        truth = (rng.random(ROWS) < ndtr(first + shared + last + weather)).astype(int)
        seen = ((first + shared) / unseen, (shared + last) / unseen)
        yield World(truth, ndtr(seen[0]), ndtr(seen[1]), rng.choice(list("abcdefgh"), ROWS))


def exam(spec: ModelSpec, world: World, ours: np.ndarray, theirs: np.ndarray) -> Exam:
    """Return the exam of two sides that answer what is given, whatever they are asked."""
    times = pd.date_range("2024-03-01", periods=ROWS, freq="864s", tz="UTC")
    target = world.truth.astype(bool) if spec.task == "binary" else world.truth
    given = {"amount": 1.0, "weight": 1.0, "country": world.country, "member": True}
    frame = pd.DataFrame({"ordered_at": times, "returned": target} | given)
    return Exam.of(spec, frame, lambda _: ours, lambda _: theirs, "4")


def most(of: int, share: float) -> int:
    """Return the count that so many trials of a probability exceed 1 time in 1,000."""
    return int(binom.ppf(0.999, of, share))


def overstated(error: float) -> float:
    """Return by what a candidate's probits are to be multiplied for a calibration error."""
    seen = np.random.default_rng(1).normal(0, np.sqrt(1.25 / (1 + 0.2**2 + 0.25)), 200_000)
    honest, inner = ndtr(seen), np.linspace(0, 1, 11)[1:-1]

    def measured(factor: float) -> float:
        stated = ndtr(factor * seen)
        gaps = np.bincount(np.searchsorted(inner, stated), stated - honest, 10)
        return float(np.abs(gaps).sum()) / len(seen)

    factors = np.linspace(1, 4, 61)
    return float(np.interp(error, [measured(factor) for factor in factors], factors))


@pytest.fixture(scope="module")
def guarded(shop_yaml: Callable[..., str]) -> ModelSpec:
    """A shop with eight countries, which are slices and protected."""
    spec = loads(shop_yaml() + "monitor: {slices: {by: [country], min_rows: 50}}\n")
    country = spec.features["country"].model_copy(update={"protected": True})
    return spec.model_copy(update={"features": spec.features | {"country": country}})


@pytest.mark.parametrize("gate", [calibration, robustness, slices, fairness])
def test_the_champion_itself_passes(gate: object, guarded: ModelSpec) -> None:
    """An identical candidate is never refused, by no gate over eight groups: what differs is nothing."""
    found = [gate.judge(exam(guarded, one, one.champion, one.champion)) for one in worlds(SOME)]  # type: ignore[attr-defined]

    assert [] == [verdict.reason for verdict in found if not verdict.passed]


@pytest.mark.parametrize("gate", [calibration, slices])
def test_another_candidate_that_is_as_good_passes(gate: object, guarded: ModelSpec) -> None:
    """As good, but other answers: refused 5 times in 100 at most, all slices together."""
    refused = sum(
        not gate.judge(exam(guarded, one, one.candidate, one.champion)).passed  # type: ignore[attr-defined]
        for one in worlds(WORLDS)
    )

    assert refused <= most(WORLDS, 0.05)


def test_a_candidate_that_states_too_much_is_refused(guarded: ModelSpec) -> None:
    """Its error is 0.06 above the champion's where 0.02 is tolerated: on 1,200 rows 1 in 5 may pass."""
    factor = overstated(0.06)

    passed = sum(
        calibration.judge(exam(guarded, one, ndtr(factor * ndtri(one.candidate)), one.champion)).passed
        for one in worlds(WORLDS)
    )

    assert passed <= most(WORLDS, 0.2)


def spoilt(spec: ModelSpec, ratio: float, count: int) -> Iterator[Exam]:
    """Make exams of values whose mean squared error is `ratio` times the champion's; days differ."""
    for number in range(count):
        rng = np.random.default_rng(number)
        day = np.repeat(np.exp(rng.normal(0, 0.3, DAYS)), ROWS // DAYS)
        truth = rng.normal(size=ROWS)
        world = World(truth, truth, truth, rng.choice(list("ab"), ROWS))
        ours, theirs = (truth + rng.normal(size=ROWS) * day * size for size in (ratio**0.5, 1.0))
        yield exam(spec, world, ours, theirs)


def test_a_fragile_candidate_passes_as_seldom_as_is_stated(shop: Callable[..., ModelSpec]) -> None:
    """At the very limit, a quarter above the champion's loss, it passes 5 times in 100 at most."""
    passed = sum(robustness.judge(one).passed for one in spoilt(shop("regression"), 1.25, WORLDS))

    assert passed <= most(WORLDS, 0.05)


def test_a_candidate_as_sturdy_as_the_champion_passes(shop: Callable[..., ModelSpec]) -> None:
    """With errors of its own, as large as the champion's on average, it is refused 5 times in 100 at most."""
    refused = sum(not robustness.judge(one).passed for one in spoilt(shop("regression"), 1.0, WORLDS))

    assert refused <= most(WORLDS, 0.05)
