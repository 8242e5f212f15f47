"""The bench's gates on arrays are the judge's gates, and keep their level where they promise to."""

import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from rollout.gates.errors import is_worse
from rollout.gates.latency import judge_latency
from rollout.gates.levels import harm
from rollout.gates.metrics import judge_ratio
from rollout.gates.quality import judge_quality
from rollout.observations import Arms, DayShortfall, Evidence, Share
from rollout.verdict import GateResult, Outcome
from spec import ModelSpec, loads

sys.path.insert(0, str(Path(__file__).parents[2]))  # `bench` is not installed

from bench.quality import rollout_gates as bench
from bench.quality.rollout import ALPHA, Runs

T0 = datetime(2026, 3, 1, tzinfo=UTC)
RATIO = "metrics: [{name: m, kind: ratio, promql: 'b{slot}', of: 's{slot}', better: lower, margin: 2%}]"
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


@pytest.mark.parametrize("mean", [-0.002, 0.003, 0.01])
def test_quality_is_the_gates(mean: float) -> None:
    """Days of all kinds are judged alike, after each of them."""
    days = mean + 0.005 * np.random.default_rng(33).standard_normal((1, 40))
    harmed, passed = bench.quality(days, PASSES.rollout.gates.quality)
    told = [
        DayShortfall(day=date(2026, 3, 1) + timedelta(days=at), rows=9, difference=float(value))
        for at, value in enumerate(days[0])
    ]
    for at in range(40):
        known = seen(days=told[: at + 1])
        assert same(passed[0, at], harmed[0, at], (judge_quality(known, PASSES), judge_quality(known, HARMS)))


@pytest.mark.parametrize(
    "case",
    [case for case in bench.CASES if case.gate in ("latency", "quality") and not case.told],
    ids=lambda case: str(case.name),
)
def test_what_is_no_worse_is_kept_and_what_is_worse_is_not_promoted(case: bench.Case) -> None:
    """With as many looks as there are, each error is made in at most alpha of the runs."""
    found = bench.judged(case, 400)
    worse = case.ours - (case.theirs or 0.0)
    limit = bench.TAIL if case.gate == "latency" else case.limit

    assert worse > 0 or found.rolled_back <= MOST
    assert worse < limit or found.promoted <= MOST


@pytest.mark.parametrize(("sticky", "broken"), [("", True), (", sticky: {header: x-user-id}", False)])
def test_users_who_send_most_requests_are_not_harm(sticky: str, *, broken: bool) -> None:
    """Few users send most requests: the weight is not their part; the level holds where the spec says so."""
    spec = spec_of(ALPHA * 7, "[5%, 100%]", more=sticky)
    random = np.random.default_rng(34)
    assert harm(spec) == pytest.approx(ALPHA)

    def is_rolled_back() -> bool:
        sent = random.zipf(1.6, 200).clip(1, 200)
        part = sent[random.random(200) < 0.05].sum() / sent.sum()
        ours = random.binomial(500, part, 40)
        counts = ours, random.binomial(ours, 0.01), 500 - ours, random.binomial(500 - ours, 0.01)
        looks = zip(*(count.cumsum().tolist() for count in counts), strict=True)
        return any(
            is_worse(Arms(challenger=Share(hits=f, of=n), champion=Share(hits=g, of=m)), spec, 0.05, 0.01)
            for n, f, m, g in looks
        )

    assert (sum(is_rolled_back() for _ in range(200)) > MOST / 2) == broken
