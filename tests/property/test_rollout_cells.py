"""The bench's gates on arrays are the judge's gates, and keep their level where they promise to."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from rollout.gates.errors import is_worse
from rollout.gates.latency import judge_latency
from rollout.gates.levels import harm, shown
from rollout.gates.metrics import judge_bounded, judge_ratio
from rollout.observations import Arms, Business, Evidence, Share
from rollout.verdict import GateResult, Outcome
from spec import ModelSpec, loads

sys.path.insert(0, str(Path(__file__).parents[2]))  # `bench` is not installed

from bench.quality import rollout_gates as bench
from bench.quality.rollout_runs import ALPHA, Runs

T0 = datetime(2026, 3, 1, tzinfo=UTC)
RATIO = "metrics: [{name: m, kind: ratio, promql: 'b{slot}', of: 's{slot}', better: lower, margin: 2%}]"
BOUNDED = (
    "metrics: [{name: m, kind: bounded, promql: 'b{slot}', between: [0, 1], better: lower, margin: 0.05}]"
)
MOST = 36
"""Of 400 runs at 5 %: more has a probability of 0.04 % by the binomial law."""


def spec_of(alpha: float, steps: str = "[100%]", gates: str = "", more: str = "") -> ModelSpec:
    """A model whose rollout has one level."""
    return loads(f"""
model: flights
task: binary
data: {{inference_log: log, labels: labels, id: id, time: t, target: {{name: late}}}}
features: {{x: numeric}}
rollout: {{alpha: {alpha}, steps: {steps}, gates: {{{gates}}}{more}}}
""")


PASSES, HARMS = spec_of(ALPHA), spec_of(ALPHA * 5)
"""The level at which a gate passes, and the one at which each of the five tests of one step is at 5 %."""


def seen(**known: object) -> Evidence:
    """Evidence of the one step."""
    told = {"model": "flights", "challenger": "2", "champion": "1", "step": 1.0, "began": T0, "at": T0}
    return Evidence.model_validate(told | known)


def same(passed: np.bool_, harmed: np.bool_, results: tuple[GateResult, GateResult]) -> bool:
    """Whether the judge finds the same: passes at the first level, harm at the second."""
    by_pass, by_harm = (result.outcome for result in results)
    hidden = by_harm is Outcome.PASS  # a laxer level passes first
    return bool(passed) == (by_pass is Outcome.PASS) and (
        hidden or bool(harmed) == (by_harm is Outcome.ROLLBACK)
    )


def _drawn(seed: int, most: float) -> tuple[Runs, list[Arms]]:
    """Counts of many looks, as the bench has them and as the judge has them."""
    random = np.random.default_rng(seed)
    of = random.integers(300, 30_000, (2, 200))
    hits = random.binomial(of, random.uniform(0, most, (2, 200)))
    arms = [
        Arms(
            challenger=Share(hits=int(hits[0, at]), of=int(of[0, at])),
            champion=Share(hits=int(hits[1, at]), of=int(of[1, at])),
        )
        for at in range(200)
    ]
    return Runs(*(row[None, :].astype(float) for row in (hits[0], of[0], hits[1], of[1]))), arms


def test_latency_is_the_gates() -> None:
    """Counts of all kinds are judged alike."""
    runs, arms = _drawn(31, 0.03)
    harmed, passed = bench.latency(runs, 0.5)
    results = [
        (judge_latency(seen(latency=one), PASSES), judge_latency(seen(latency=one), HARMS)) for one in arms
    ]

    assert all(same(passed[0, at], harmed[0, at], results[at]) for at in range(200))
    assert {result.outcome for pair in results for result in pair} == set(Outcome)


def test_ratio_is_the_gates() -> None:
    """Chances of all kinds are judged alike."""
    runs, arms = _drawn(32, 0.3)
    lenient = spec_of(ALPHA, "[50%, 100%]", RATIO)
    strict = spec_of(ALPHA * 8, "[50%, 100%]", RATIO)
    metric = lenient.rollout.gates.metrics[0]
    harmed, passed = bench.ratio(runs, metric.margin)
    results = [
        (judge_ratio(metric, one, lenient, 500), judge_ratio(metric, one, strict, 500)) for one in arms
    ]

    assert all(same(passed[0, at], harmed[0, at], results[at]) for at in range(200))
    assert {result.outcome for pair in results for result in pair} == set(Outcome)


@pytest.mark.parametrize(
    "case",
    [case for case in bench.CASES if case.gate == "latency" and not case.told],
    ids=lambda case: case.name,
)
def test_what_is_no_worse_is_kept_and_what_is_worse_is_not_promoted(case: bench.Case) -> None:
    """With as many looks as there are, each error is made in at most alpha of the runs."""
    found = bench.judged(case, 400)
    worse = case.ours - (case.theirs or 0.0)

    assert worse > 0 or found.rolled_back <= MOST
    assert worse < bench.TAIL or found.promoted <= MOST


@pytest.mark.parametrize("mean", [0.0, 0.05])
def test_linked_minutes_of_a_bounded_metric_keep_the_level(mean: float) -> None:
    """Where one minute is like the next, bets alone would win too often; an autoregression keeps them."""
    (case,) = (one for one in bench.CASES if one.told == "linked" and one.ours == mean)
    found = bench.judged(case, 200)

    assert (found.promoted if mean else found.rolled_back) <= MOST / 2


@pytest.mark.parametrize("told", ["", "linked"])
def test_bounded_is_the_gates(told: str) -> None:
    """Minutes of all kinds are judged alike, at every look."""
    lenient, strict = (spec_of(alpha, "[50%, 100%]", BOUNDED) for alpha in (ALPHA, ALPHA * 8))
    metric, outcomes = lenient.rollout.gates.metrics[0], set()
    for mean in (-0.05, 0.03, 0.12):
        case = bench.Case("bounded metric", mean, limit=0.05, told=told)
        values = mean + bench.minutes(case, 1, np.random.default_rng(38))
        harmed, passed = bench.bounded(values, 0.05)
        for at in (0, 3, 9, 30):
            worse = tuple(values[0, : 20 * (at + 1)].tolist())
            known = Business(name="m", worse=worse, wanted=len(worse))
            results = judge_bounded(metric, known, lenient), judge_bounded(metric, known, strict)
            outcomes |= {result.outcome for result in results}
            assert same(passed[0, at], harmed[0, at], results)

    assert {Outcome.PASS, Outcome.ROLLBACK} <= outcomes


@pytest.mark.parametrize("sticky", ["", ", sticky: {header: x-user-id}"])
def test_who_gets_more_than_the_weight_is_not_harm(sticky: str) -> None:
    """Few users send most requests, or a dead champion's go to the other slot: the level holds all the same.

    By the weight alone it would not.
    """
    spec = spec_of(ALPHA * 7, "[5%, 100%]", more=sticky)
    random = np.random.default_rng(34)
    assert harm(spec) == pytest.approx(ALPHA)
    by_weight = by_gate = 0
    for run in range(100):
        sent = random.zipf(1.6, 200).clip(1, 200)
        of_users = sent[random.random(200) < 0.05].sum() / sent.sum()
        part = of_users if run % 2 else np.where(random.random(40) < 0.05, 1, 0.05)
        ours = random.binomial(500, part, 40)
        counts = ours, random.binomial(ours, 0.01), 500 - ours, random.binomial(500 - ours, 0.01)
        looks = list(zip(*(count.cumsum().tolist() for count in counts), strict=True))
        arms = [Arms(challenger=Share(hits=f, of=n), champion=Share(hits=g, of=m)) for n, f, m, g in looks]
        by_weight += any(shown(spec, one.challenger.hits, one.champion.hits, 0.05) for one in arms)
        by_gate += any(is_worse(one, spec, 0.05, 0.01) for one in arms)

    assert by_weight > 12 >= by_gate  # of 100 at 5 %: more has a probability of 0.15 %
