"""A plan whose steps differ: what each waits for, what it watches, and that nothing unknown ever passes."""

import json
import math
from datetime import UTC, date, datetime, timedelta

import pytest
from pydantic import BaseModel, ValidationError

from rollout.gates.levels import chances, harm
from rollout.judge import judge
from rollout.observations import Arms, Burn, Business, Crossing, DayShortfall, Evidence, Share, Slower, Usage
from rollout.split import Split, parse
from rollout.steps import Step, at_step
from rollout.verdict import Decision, GateResult, Outcome, Verdict
from spec import SHADOW, ModelSpec, loads
from spec.rollout import Rollout

T0 = datetime(2026, 3, 1, tzinfo=UTC)


def spec_of(rollout: str) -> ModelSpec:
    """A model with a rollout."""
    return loads(f"""
model: flights
task: binary
data: {{inference_log: log, labels: labels, id: id, time: t, target: {{name: late}}}}
features: {{x: numeric}}
rollout: {{{rollout}}}
""")


PLAN = spec_of(
    "steps: [{share: shadow, gates: [errors, latency], deadline: 2d}, "
    "{share: 25%, gates: [errors, latency], limits: {errors: 5%, disagreement: 90%}, min_requests: 1000}, "
    "{share: 50%, min_time: 1h}, 100%]"
)
EVERYTHING = spec_of(
    "gates: {latency_shift: 10%, memory: 1GB, cpu: 5ms, metrics: ["
    "{name: booked, kind: ratio, promql: 'b{slot}', of: 's{slot}', better: higher, margin: 1%},"
    "{name: basket, kind: bounded, promql: 'b{slot}', between: [0, 10], better: higher, margin: 1}]}"
)


def share(hits: int = 0, of: int = 20_000) -> Share:
    """Some of many."""
    return Share(hits=hits, of=of)


def arms(ours: int = 0, theirs: int = 0, of: int = 20_000) -> Arms:
    """Hits of both versions."""
    return Arms(challenger=share(ours, of), champion=share(theirs, of))


def days(difference: float = -0.01) -> tuple[DayShortfall, ...]:
    """Ten days on which the challenger was so much worse."""
    return tuple(
        DayShortfall(day=date(2026, 3, day), rows=100, difference=difference + 0.0001 * (day % 2))
        for day in range(1, 11)
    )


GOOD: dict[str, object] = {
    "errors": arms(),
    "latency": arms(),
    "durations": (Slower(edge=0.05, arms=arms()),),
    "disagreement": share(100),
    "crossings": (Crossing(at="0.5", ours=10, theirs=10, of=20_000),),
    "days": days(),
    "usage": Usage(
        memory=(1e6,) * 20, cpu=tuple(Burn(requests=100, seconds=0.1 + 0.001 * (i % 3)) for i in range(40))
    ),
    "metrics": (
        Business(name="booked", arms=arms(of=100_000)),
        Business(name="basket", worse=(0.0, 0.1, -0.1) * 200, wanted=600),
    ),
}


def evidence(step: Step, after: timedelta = timedelta(hours=2), /, **known: object) -> Evidence:
    """A challenger that is good in all that is not named."""
    told = {"model": "flights", "challenger": "2", "champion": "1", "step": step}
    return Evidence.model_validate(told | {"began": T0, "at": T0 + after} | GOOD | known)


def outcomes(verdict: Verdict) -> dict[str, Outcome]:
    """What each gate found."""
    return {gate.gate: gate.outcome for gate in verdict.gates}


def test_a_good_challenger_passes_every_gate_there_is() -> None:
    """The evidence that the other tests take pieces from is enough for each gate."""
    verdict = judge(evidence(0.5), EVERYTHING, 0.5)

    assert set(outcomes(verdict)) == set(EVERYTHING.rollout.at(0.5).awaited)
    assert set(outcomes(verdict).values()) == {Outcome.PASS}, verdict.summary()


NOTHING = share(0, 0)
UNKNOWN: list[tuple[str, str, object]] = [
    ("errors", "errors", None),
    ("errors", "errors", arms(of=0)),
    ("errors", "errors", Arms(challenger=NOTHING, champion=share())),
    ("latency", "latency", None),
    ("latency", "latency", arms(of=0)),
    ("latency", "latency", Arms(challenger=NOTHING, champion=share())),
    ("latency_shift", "durations", None),
    ("latency_shift", "durations", ()),
    ("latency_shift", "durations", (Slower(edge=0.05, arms=arms(of=0)),)),
    (
        "latency_shift",
        "durations",
        (Slower(edge=0.05, arms=Arms(challenger=share(), champion=NOTHING)),),
    ),
    ("disagreement", "disagreement", None),
    ("disagreement", "disagreement", NOTHING),
    ("drift", "crossings", None),
    ("drift", "crossings", ()),
    ("quality", "days", None),
    ("quality", "days", ()),
    ("quality", "days", days()[:6]),
    ("memory", "usage", None),
    ("memory", "usage", Usage()),
    ("cpu", "usage", None),
    ("cpu", "usage", Usage()),
    ("booked", "metrics", ()),
    ("booked", "metrics", (Business(name="booked"),)),
    ("booked", "metrics", (Business(name="booked", arms=arms(of=0)),)),
    ("booked", "metrics", (Business(name="booked", arms=Arms(challenger=share(), champion=NOTHING)),)),
    ("basket", "metrics", ()),
    ("basket", "metrics", (Business(name="basket", wanted=600),)),
    ("basket", "metrics", (Business(name="basket", worse=(0.0,) * 200, wanted=600),)),
]
"""Gate, what it is judged by, and that as nobody can judge: absent, empty, without requests, with gaps."""


@pytest.mark.parametrize(("gate", "known", "value"), UNKNOWN)
def test_what_is_not_known_holds(gate: str, known: str, value: object) -> None:
    """No gate passes of nothing, and no step ends well while a gate that it waits for holds."""
    verdict = judge(evidence(0.5, **{known: value}), EVERYTHING, 0.5)

    assert outcomes(verdict)[gate] is Outcome.HOLD
    assert verdict.decision is Decision.HOLD
    assert gate in verdict.reason


def test_the_table_of_the_unknown_has_every_gate() -> None:
    """A gate that is added must be in the table above."""
    assert {gate for gate, _, _ in UNKNOWN} == set(EVERYTHING.rollout.at(0.5).awaited)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("record", "fields", "field"),
    [
        (Usage, {}, "memory"),
        (Burn, {"requests": 1}, "seconds"),
        (Business, {"name": "basket"}, "worse"),
        (DayShortfall, {"day": T0.date(), "rows": 1}, "difference"),
        (GateResult, {"gate": "errors", "outcome": "pass", "limit": 0.1}, "value"),
        (Slower, {"arms": arms()}, "edge"),
    ],
)
def test_no_number_that_is_none_is_evidence(
    record: type[BaseModel], fields: dict[str, object], field: str, value: float
) -> None:
    """Neither evidence nor a verdict can hold what is not a finite number, so no gate ever compares one."""
    told = [value] if field in ("memory", "worse") else value

    with pytest.raises(ValidationError, match=r"finite|greater than"):
        record.model_validate(fields | {field: told})


def test_a_step_waits_for_its_gates_only() -> None:
    """What the step does not ask for may be unknown; it is told as watched."""
    unknown = {"days": None, "disagreement": None, "crossings": None}
    verdict = judge(evidence(SHADOW, **unknown), PLAN, SHADOW)
    lines = verdict.summary().splitlines()

    assert (verdict.decision, verdict.reason) == (Decision.PROMOTE, "All gates that the step waits for pass.")
    assert [gate.gate for gate in verdict.gates if gate.awaited] == ["errors", "latency"]
    assert [line.endswith("(watched)") for line in lines[1:]] == [False, False, True, True, True]
    assert judge(evidence(0.5, **unknown), PLAN, 0.5).decision is Decision.HOLD


@pytest.mark.parametrize("step", [SHADOW, 0.25])
def test_harm_that_is_only_watched_rolls_back(step: Step) -> None:
    """A step that does not wait for the quality does not bear a worse one either."""
    verdict = judge(evidence(step, days=days(0.1)), PLAN, step)

    assert (verdict.decision, verdict.reason) == (Decision.ROLLBACK, "Harm is shown: quality.")


def test_a_step_has_its_own_limits_and_minimum() -> None:
    """Five per cent of errors and a thousand requests at one step, the rollout's values at the next."""
    worse, few = arms(600), arms(of=900)

    assert outcomes(judge(evidence(0.25, errors=worse), PLAN, 0.25))["errors"] is Outcome.PASS
    assert outcomes(judge(evidence(0.5, errors=worse), PLAN, 0.5))["errors"] is Outcome.ROLLBACK
    assert outcomes(judge(evidence(0.25, errors=few), PLAN, 0.25))["errors"] is Outcome.HOLD
    assert outcomes(judge(evidence(0.5, errors=few), PLAN, 0.5))["errors"] is Outcome.PASS
    assert outcomes(judge(evidence(0.25, disagreement=share(15_000)), PLAN, 0.25))["disagreement"] is (
        Outcome.PASS
    )


@pytest.mark.parametrize(("minutes", "decision"), [(59, Decision.HOLD), (60, Decision.PROMOTE)])
def test_a_step_lasts_its_time(minutes: int, decision: Decision) -> None:
    """However good the evidence is, a step does not end before its least time, and says so."""
    verdict = judge(evidence(0.5, timedelta(minutes=minutes)), PLAN, 0.5)

    assert verdict.decision is decision
    assert verdict.reason in ("All gates pass; the step lasts 1h at least.", "All gates pass.")


def test_harm_does_not_wait_for_the_least_time() -> None:
    """A harmful challenger is out at once."""
    assert judge(evidence(0.5, timedelta(0), errors=arms(900)), PLAN, 0.5).decision is Decision.ROLLBACK


@pytest.mark.parametrize(("step", "after"), [(SHADOW, timedelta(days=2)), (0.5, timedelta(days=30))])
def test_a_step_has_its_own_deadline(step: Step, after: timedelta) -> None:
    """What is undecided at the step's deadline is rolled back, and not a second before."""
    nearly = judge(evidence(step, after - timedelta(seconds=1), errors=None), PLAN, step)
    late = judge(evidence(step, after, errors=None), PLAN, step)

    assert (nearly.decision, late.decision) == (Decision.HOLD, Decision.ROLLBACK)
    assert late.reason.endswith("errors.")


def test_alpha_is_shared_by_every_test_that_can_roll_back() -> None:
    """Watched gates take their part, and so do another limit of a gate on pairs and one step's budget."""
    plain, watched = spec_of("alpha: 0.05"), spec_of("steps: [{share: 5%, gates: [errors]}, 100%]")
    short = spec_of("steps: [5%, 100%]")
    limited = spec_of("steps: [{share: 5%, limits: {disagreement: 90%, cpu: 5ms, memory: 1GB}}, 100%]")

    assert chances(plain) == 2 * 5 + 3
    assert chances(watched) == chances(short) == 2 * 2 + 3
    assert chances(limited) == chances(short) + 2
    assert harm(limited) * chances(limited) == pytest.approx(0.05)


def test_a_verdict_of_before_is_still_read() -> None:
    """What an older version recorded, every gate awaited, reads as it did."""
    gate = '{"gate": "errors", "outcome": "pass", "value": 0.0, "low": null, "high": null, "limit": 0.01, '
    gate += '"unit": "share", "n": 9, "counted": "requests", "why": ""}'
    told = '{"schema_version": 1, "model": "flights", "challenger": "2", "champion": "1", "step": 0.05, '
    told += '"at": "2026-03-01T00:00:00Z", "decision": "hold", "reason": "r", "gates": [' + gate + "]}"
    verdict = Verdict.model_validate_json(told)

    assert [gate.awaited for gate in verdict.gates] == [True]
    assert verdict.summary().splitlines()[1] == "errors       pass     0 % ≤ 1 %, 9 requests"


def test_a_split_of_before_is_still_read() -> None:
    """A route file without users and testers is the split that it was, equal to one that is made today."""
    old = {"schema_version": 1, "champion": "green", "weights": {"blue": 0, "green": 100}, "mirror": None}

    assert parse(json.dumps(old | {"lease_until": None}), "x") == Split(champion="green")


def test_a_split_has_users_and_testers_until_it_is_settled() -> None:
    """The steps' splits carry them, another key is another route, and the way back forgets them."""
    rollout = Rollout.model_validate({"sticky": {"header": "a"}, "testers": {"cookie": "b"}})
    split, plain = at_step("blue", 0.5, T0, rollout), at_step("blue", 0.5, T0)

    assert (split.sticky, split.testers) == (rollout.sticky, rollout.testers)
    assert parse(split.model_dump_json(), "x") == split
    assert not split.same_routes(plain)
    assert split.same_routes(at_step("blue", 0.5, T0 + timedelta(hours=1), rollout))
    assert split.returned() == Split()
