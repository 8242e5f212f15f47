"""Days and minutes that hang together: laws of the evidence, levels of the gates, the bench beside them."""

import math
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from rollout.autocorrelation import log_evidence, mean_bounds
from rollout.gates.cpu import judge_cpu
from rollout.gates.quality import judge_quality
from rollout.observations import Burn, DayShortfall, Evidence, Usage
from rollout.verdict import Outcome
from spec import ModelSpec, loads

sys.path.insert(0, str(Path(__file__).parents[2]))  # `bench` is not installed

from bench.quality import rollout_days as bench
from bench.quality.rollout_runs import ALPHA

T0 = datetime(2026, 3, 1, tzinfo=UTC)
MOST = 36
"""Of 400 runs at 5 %: more has a probability of 0.04 % by the binomial law."""
CASES = {case.name: case for case in bench.CASES}


def spec_of(alpha: float, tests: int) -> ModelSpec:
    """A model of one step, a CPU budget of a second and a quality of 1, at a level for each of its tests."""
    return loads(f"""
model: flights
task: binary
data: {{inference_log: log, labels: labels, id: id, time: t, target: {{name: late}}}}
features: {{x: numeric}}
rollout: {{alpha: {alpha * tests}, steps: [100%], gates: {{quality: 1, cpu: 1s}}}}
""")


def outcomes(gate: str, values: list[float], weights: list[float]) -> tuple[Outcome, Outcome]:
    """What the real gate finds at the level at which it passes, and at the one of its harm."""
    told = {"model": "flights", "challenger": "2", "champion": "1", "step": 1.0, "began": T0, "at": T0}
    pairs = list(zip(values, weights, strict=True))
    days = [
        DayShortfall(day=date(2026, 3, 1) + timedelta(days=at), rows=int(rows), difference=value)
        for at, (value, rows) in enumerate(pairs)
    ]
    burns = [Burn(requests=int(rows), seconds=abs(value) * rows) for value, rows in pairs]
    seen = Evidence.model_validate(
        told | ({"days": days} if gate == "quality" else {"usage": Usage(cpu=burns)})
    )
    judge = judge_quality if gate == "quality" else judge_cpu
    results = judge(seen, spec_of(ALPHA, 1)), judge(seen, spec_of(ALPHA, 6))
    assert results[0] is not None
    assert results[1] is not None
    return results[0].outcome, results[1].outcome


@pytest.mark.parametrize(
    "name",
    [
        "quality: 0 of at most 1, r 0.5",
        "quality: 0 of at most 1, users who return",
        "quality: 2 of at most 1",
        "cpu: 0.8 of at most 1, r 0.5",
        "cpu: 1.3 of at most 1, r 0.5",
    ],
)
def test_the_bench_judges_as_the_gate_does(name: str) -> None:
    """After days and minutes of all kinds the arrays of the bench say what the gate says."""
    case = CASES[name]
    values, weights = bench.played(case, 2, np.random.default_rng(35))
    harmed, passed = bench.gate(case, values, weights, case.most)
    looks = [6, 16, 27, 59] if case.gate == "quality" else [28, 29, 60, 239]
    for run in range(2):
        for at in looks:
            by_pass, by_harm = outcomes(
                case.gate, values[run, : at + 1].tolist(), weights[run, : at + 1].tolist()
            )
            hidden = by_harm is Outcome.PASS  # a laxer level passes first
            assert bool(passed[run, at]) == (by_pass is Outcome.PASS)
            assert hidden or bool(harmed[run, at]) == (by_harm is Outcome.ROLLBACK)


@pytest.mark.parametrize(("judge", "held"), [("trimtab", True), ("independent", False)])
@pytest.mark.parametrize(
    "name",
    [
        "quality: 0 of at most 1, r 0.5",
        "quality: 0 of at most 1, r 0.7, spread 5",
        "quality: 1 of at most 1, r 0.7",
        "quality: 0 of at most 1, users who return",
        "cpu: 1 of at most 1, r 0.5",
        "cpu: 1 of at most 1, r 0.8",
    ],
)
def test_levels_hold_where_neighbours_hang_together(name: str, judge: str, *, held: bool) -> None:
    """False rollbacks and false promotions stay within alpha; taken as independent they would not."""
    case = CASES[name]
    (found,) = (cell for cell in bench.judged(case, 400) if cell.judge == judge)
    wrong = [
        found.rolled_back if case.gate == "cpu" or case.mean <= 0 else 0,
        found.promoted if case.mean >= 1 else 0,
    ]

    assert (max(wrong) <= MOST) == held


@pytest.mark.parametrize(
    ("name", "least", "days"),
    [
        ("quality: 0 of at most 1", 390, 30),
        ("quality: 2 of at most 1", 396, 16),
        ("cpu: 1.3 of at most 1", 396, 35),
    ],
)
def test_independent_ones_are_still_judged_soon(name: str, least: int, days: int) -> None:
    """What the doubt costs is bounded: independent days and minutes are judged within so many."""
    found, _ = bench.judged(CASES[name], 400)

    assert (found.promoted if name.startswith("quality: 0") else found.rolled_back) >= least
    assert found.requests is not None
    assert found.requests <= days


def test_evidence_is_the_ratio_of_two_likelihoods() -> None:
    """It is the normal likelihood of shifted values over that of centred ones, without scale, by scipy."""
    values = np.random.default_rng(36).normal(size=4) + 1
    apart = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    scales = np.exp(np.linspace(-5, 5, 201))  # at equal steps of the logarithm: weighted by 1 / scale

    def likelihood(effect: float, correlation: float) -> float:
        spread = correlation**apart + effect**2
        return float(sum(multivariate_normal.pdf(values, cov=scale**2 * spread) for scale in scales))

    correlations = np.linspace(0, 0.6, 9).tolist()
    centred = sum(likelihood(0, r) for r in correlations)
    shifted = sum(likelihood(effect, r) for r in correlations for effect in (0.5, 3.0)) / 2

    assert float(log_evidence(values, 0.6)[-1]) == pytest.approx(math.log(shifted / centred), abs=1e-3)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=40), st.floats(0.01, 100), st.floats(-10, 10))
def test_bounds_are_around_the_mean_and_move_with_it(values: list[float], scale: float, shift: float) -> None:
    """In another unit and from another zero the bounds are the same ones."""
    seen, rows = np.round(values, 3), np.ones(len(values))
    low, high = mean_bounds(seen, rows, 0.1, 0.8)
    least, most = mean_bounds(scale * seen + shift, rows, 0.1, 0.8)

    assert low <= seen.mean() + 1e-9
    assert high >= seen.mean() - 1e-9
    assert [least, most] == pytest.approx(
        [scale * low + shift, scale * high + shift], rel=1e-3, abs=1e-3 * scale
    )


def test_spells_widen_the_bounds() -> None:
    """The same values in order are fewer events than mixed, and the bounds say so."""
    values = np.random.default_rng(37).normal(size=40)
    mixed, spells = (mean_bounds(one, np.ones(40), 0.1, 0.8) for one in (values, np.sort(values)))

    assert spells[1] - spells[0] > 1.2 * (mixed[1] - mixed[0])


def test_values_that_are_alike_bound_themselves() -> None:
    """Days that never differ are their own mean, once there are enough of them; a few show nothing."""
    assert mean_bounds(np.full(9, 0.1), np.arange(1.0, 10), 0.1, 0.8) == (0.1, 0.1)
    assert mean_bounds(np.full(2, 0.1), np.ones(2), 0.1, 0.8) == (-math.inf, math.inf)


@pytest.mark.parametrize("most", [0.0, 0.3, 0.999999])
def test_values_that_only_rounding_tells_apart_have_bounds(most: float) -> None:
    """The last digits of a float are no spread that could leave less than nothing; one day outweighs all."""
    values = 1 + np.random.default_rng(0).normal(size=(50, 7)) * 1e-15
    for one in values:
        low, high = mean_bounds(one, np.array([1e9, 1, 1, 1, 1, 1, 1]), 0.1, most)
        assert low < 1 + 1e-12
        assert high > 1 - 1e-12
