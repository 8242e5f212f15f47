"""The gates that came later: whole latencies, drift of the scores, budgets, metrics of the business."""

from datetime import UTC, datetime

import numpy as np
import pytest

from rollout.gates.cpu import judge_cpu
from rollout.gates.drift import judge_drift
from rollout.gates.errors import judge_errors
from rollout.gates.latency import judge_latency
from rollout.gates.latency_shift import judge_latency_shift
from rollout.gates.levels import chances, harm
from rollout.gates.memory import judge_memory
from rollout.gates.metrics import judge_metrics
from rollout.gates.quality import judge_quality
from rollout.judge import judge
from rollout.observations import Arms, Burn, Business, Crossing, DayShortfall, Evidence, Share, Slower, Usage
from rollout.steps import Step
from rollout.verdict import Decision, GateResult, Outcome
from spec import SHADOW, ModelSpec, loads

T0 = datetime(2026, 3, 1, tzinfo=UTC)


def spec_of(gates: str = "", more: str = "") -> ModelSpec:
    """A model whose rollout has the given gates."""
    return loads(f"""
model: flights
task: binary
data: {{inference_log: log, labels: labels, id: id, time: t, target: {{name: late}}}}
features: {{x: numeric}}
rollout: {{gates: {{{gates}}}, min_requests: 500{more}}}
""")


RATIO = "metrics: [{name: booked, kind: ratio, promql: 'b{slot}', of: 's{slot}', better: higher, margin: 1%}]"
BOUNDED = (
    "metrics: [{name: basket, kind: bounded, promql: 'b{slot}', between: [0, 10], better: higher, margin: 1}]"
)


def evidence(step: Step = 0.5, **known: object) -> Evidence:
    """Evidence that holds nothing but what is named."""
    told = {"model": "flights", "challenger": "2", "champion": "1", "step": step, "began": T0, "at": T0}
    return Evidence.model_validate(told | known)


def arms(ours: int, of: int, theirs: int, among: int) -> Arms:
    """Hits of the challenger and of the champion."""
    return Arms(challenger=Share(hits=ours, of=of), champion=Share(hits=theirs, of=among))


def slower(*counts: tuple[int, int], of: int = 5000) -> tuple[Slower, ...]:
    """Slow requests of both versions at 10, 20, ... ms, of as many."""
    return tuple(
        Slower(edge=(at + 1) / 100, arms=arms(ours, of, theirs, of))
        for at, (ours, theirs) in enumerate(counts)
    )


def outcome(result: GateResult | None) -> str:
    """What a gate found; 'absent' where there is none."""
    return "absent" if result is None else result.outcome.value


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        (((2500, 2500), (50, 50)), "pass"),
        (((4000, 2500), (50, 50)), "rollback"),
        (((2900, 2500), (50, 50)), "hold"),
    ],
)
def test_a_slower_body_is_seen_though_the_tail_is_fine(
    counts: tuple[tuple[int, int], ...], found: str
) -> None:
    """Where half of the requests moved and no tail did, the distribution's gate says so."""
    seen, spec = evidence(durations=slower(*counts)), spec_of("latency_shift: 10%")

    assert outcome(judge_latency_shift(seen, spec)) == found


def test_unasked_gates_are_not_there() -> None:
    """A spec without limits for them has no gates of budgets, whole latencies or the business."""
    spec = spec_of()
    names = {gate.gate for gate in judge(evidence(), spec, 0.5).gates}

    assert names == {"errors", "latency", "disagreement", "drift", "quality"}


@pytest.mark.parametrize(
    ("gates", "missing"),
    [
        ("latency_shift: 10%", "latency_shift"),
        ("memory: 1GB", "memory"),
        ("cpu: 5ms", "cpu"),
        (RATIO, "booked"),
        (BOUNDED, "basket"),
    ],
)
def test_a_gate_without_data_holds(gates: str, missing: str) -> None:
    """Of nothing each gate that was asked for holds, and so the verdict does."""
    verdict = judge(evidence(), spec_of(gates), 0.5)
    found = {gate.gate: gate.outcome for gate in verdict.gates}

    assert found[missing] is Outcome.HOLD
    assert verdict.decision is Decision.HOLD


def test_each_asked_gate_takes_its_part_of_alpha() -> None:
    """The level of a single gate falls with each test that is asked for, and sums to alpha."""
    plain, asked = spec_of(), spec_of("latency_shift: 10%, cpu: 5ms, memory: 1GB, " + RATIO)

    assert chances(asked) - chances(plain) == 2 * 5 + 3
    assert harm(asked) * chances(asked) == pytest.approx(0.05)


def test_latency_tells_where_the_percentile_lies() -> None:
    """The verdict's latency line holds the bucket edges that the 99th percentile lies between."""
    timed = slower((4000, 4000), (400, 400), (5, 5), (0, 0))
    result = judge_latency(evidence(latency=timed[2].arms, durations=timed), spec_of())

    assert result.outcome is Outcome.PASS
    assert result.why == "p99 from 20 to 30 ms"


@pytest.mark.parametrize(
    ("ours", "theirs", "of", "found"),
    [
        (900, 100, 1000, "rollback"),
        (0, 900, 1000, "rollback"),
        (30, 10, 1000, "pass"),
        (300, 300, 1000, "pass"),
        (550, 0, 1000, "hold"),
    ],
)
def test_drift_of_scores(ours: int, theirs: int, of: int, found: str) -> None:
    """Scores that moved far are harm whichever way; rows that swap places are no drift."""
    seen = evidence(crossings=(Crossing(at="0.5", ours=ours, theirs=theirs, of=of),))

    assert judge_drift(seen, spec_of("drift: 50%")).outcome.value == found


def test_drift_at_its_ends() -> None:
    """100 % switches the gate off; 0 % is kept by versions that score alike."""
    same = evidence(crossings=(Crossing(at="0.5", ours=0, theirs=0, of=10),))

    assert judge_drift(evidence(), spec_of("drift: 100%")).outcome is Outcome.PASS
    assert judge_drift(same, spec_of("drift: 0%")).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("memory", "found"),
    [
        ([900.0] * 9, "hold"),
        ([900.0] * 10, "pass"),
        ([900.0] * 9 + [1100.0], "hold"),
        ([1100.0] * 3, "rollback"),
        ([900.0] * 20 + [1100.0] * 3, "rollback"),
    ],
)
def test_memory(memory: list[float], found: str) -> None:
    """Three scrapes in a row above the budget are harm; one is a peak that never passes."""
    assert outcome(judge_memory(evidence(usage=Usage(memory=memory)), spec_of("memory: 1kB"))) == found


@pytest.mark.parametrize(("milliseconds", "found"), [(2.0, "pass"), (9.0, "rollback"), (5.0, "hold")])
def test_cpu(milliseconds: float, found: str) -> None:
    """CPU time a request passes below its budget, is harm above it, and holds where it cannot tell."""
    random = np.random.default_rng(3)
    burns = [Burn(requests=100, seconds=0.1 * milliseconds * random.uniform(0.9, 1.1)) for _ in range(30)]
    spec = spec_of("cpu: 5ms")

    assert outcome(judge_cpu(evidence(usage=Usage(cpu=burns)), spec)) == found
    assert outcome(judge_cpu(evidence(usage=Usage(cpu=burns[:9])), spec)) == "hold"


@pytest.mark.parametrize(
    ("bad", "of", "found"),
    [
        ((9000, 9000), 10_000, "hold"),
        ((90_000, 90_000), 100_000, "pass"),
        ((9600, 9000), 10_000, "rollback"),
        ((499, 499), 499, "hold"),
    ],
)
def test_ratio(bad: tuple[int, int], of: int, found: str) -> None:
    """A ratio of counters passes once its margin is shown to be kept, and is harm once shown to be worse."""
    seen = Business(name="booked", arms=arms(bad[0], of, bad[1], of))
    (result,) = judge_metrics(evidence(metrics=[seen]), spec_of(RATIO))

    assert result.outcome.value == found


@pytest.mark.parametrize(("worse", "found"), [(0.0, "pass"), (3.0, "rollback"), (0.9, "rollback")])
def test_bounded(worse: float, found: str) -> None:
    """A bounded metric is judged by the mean difference at equal times, with its interval around it."""
    values = np.random.default_rng(4).uniform(-1, 1, 200) + worse
    seen = Business(name="basket", worse=tuple(values), wanted=200)
    (result,) = judge_metrics(evidence(metrics=[seen]), spec_of(BOUNDED))

    assert result.outcome.value == found
    assert result.low is not None
    assert result.high is not None
    assert result.low < result.value < result.high  # type: ignore[operator]


@pytest.mark.parametrize(("values", "found"), [(29, "hold"), (30, "pass")])
def test_a_bounded_metric_is_judged_from_half_an_hour_on(values: int, found: str) -> None:
    """So few minutes may all be one event, however clear they look."""
    seen = Business(name="basket", worse=(-8.0, -9.0) * 15, wanted=30)
    few = seen.model_copy(update={"worse": seen.worse[:values]})
    (result,) = judge_metrics(evidence(metrics=[few]), spec_of(BOUNDED))

    assert result.outcome.value == found


def test_gaps_hold() -> None:
    """A query that answered for less than half of the time never passes."""
    seen = Business(name="basket", worse=(0.0,) * 200, wanted=401)
    few = seen.model_copy(update={"worse": (0.0,) * 9, "wanted": 9})
    (result,) = judge_metrics(evidence(metrics=[seen]), spec_of(BOUNDED))

    assert result.outcome is Outcome.HOLD
    assert [gate.outcome for gate in judge_metrics(evidence(metrics=[few]), spec_of(BOUNDED))] == [
        Outcome.HOLD
    ]
    assert result.why == "201 values are needed, 401 times have passed"


@pytest.mark.parametrize(("step", "gates"), [(SHADOW, 0), (1.0, 0), (0.05, 1)])
def test_business_is_judged_where_users_meet_both(step: Step, gates: int) -> None:
    """Where all users meet one version, only metrics that mirrored requests move are judged."""
    both = RATIO.replace("margin: 1%", "margin: 1%, mirrored: true")

    assert len(list(judge_metrics(evidence(step), spec_of(RATIO)))) == gates
    assert len(list(judge_metrics(evidence(step), spec_of(both)))) == 1


def test_quality_passes_without_labels_where_none_could_matter() -> None:
    """Decisions that hardly differ bound the accuracy, and only for a pass: no label is no harm."""
    spec = spec_of("quality: 0.01")
    near = [DayShortfall(day=T0.date(), rows=100, difference=0.001 * (1 + at % 2)) for at in range(7)]
    far = [DayShortfall(day=T0.date(), rows=100, difference=0.5) for _ in range(7)]

    passed = judge_quality(evidence(worst=near), spec)
    assert passed.outcome is Outcome.PASS
    assert "whatever the labels, by 7 days of pairs" in passed.why
    assert judge_quality(evidence(worst=near[:6]), spec).outcome is Outcome.HOLD
    assert judge_quality(evidence(worst=far), spec).outcome is Outcome.HOLD


def test_requests_of_one_user_weigh_less() -> None:
    """What is proof from independent requests is none where five of each user go together."""
    seen = evidence(errors=arms(30, 500, 8, 500))

    assert judge_errors(seen, spec_of()).outcome is Outcome.ROLLBACK
    assert judge_errors(seen, spec_of(more=", requests_per_user: 5")).outcome is Outcome.HOLD


@pytest.mark.parametrize(("step", "found"), [(SHADOW, "rollback"), (0.05, "hold"), (1.0, "rollback")])
def test_the_weight_is_not_the_part_of_who_got_more(step: Step, found: str) -> None:
    """Half of the failures at 5 % are no harm where half of the requests were, by users or by a failover."""
    seen = arms(30, 500, 30, 500) if step == 0.05 else arms(60, 500, 10, 500)
    sticky = spec_of(more=", sticky: {header: x-user-id}")

    assert judge_errors(evidence(step, errors=seen), sticky).outcome.value == found
    assert judge_errors(evidence(step, errors=seen), spec_of()).outcome.value == found


def test_no_request_of_the_champion_shows_no_harm() -> None:
    """A challenger that answers for a champion that is down is compared with nothing."""
    assert judge_errors(evidence(0.05, errors=arms(60, 500, 0, 0)), spec_of()).outcome is Outcome.HOLD


def test_harm_to_sticky_users_is_shown_by_the_rates() -> None:
    """Failures, slow requests and a slower body are harm once the two rates lie apart."""
    sticky = spec_of("latency_shift: 10%", ", sticky: {cookie: user}")
    seen = evidence(0.05, errors=arms(100, 500, 95, 9500), latency=arms(100, 500, 95, 9500))
    timed = evidence(0.05, durations=slower((4000, 2500)))

    assert judge_errors(seen, sticky).outcome is Outcome.ROLLBACK
    assert judge_latency(seen, sticky).outcome is Outcome.ROLLBACK
    assert outcome(judge_latency_shift(timed, sticky)) == "rollback"
