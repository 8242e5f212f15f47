"""The judge and its gates, on evidence made by hand."""

from datetime import UTC, date, datetime, timedelta

import pytest

from rollout.gates.errors import judge_errors
from rollout.gates.latency import judge_latency
from rollout.gates.levels import chances, harm
from rollout.gates.quality import judge_quality, mean_difference
from rollout.judge import judge
from rollout.observations import Arms, Crossing, DayShortfall, Evidence, Share
from rollout.steps import Step
from rollout.verdict import Decision, Outcome, Verdict
from spec import SHADOW, ModelSpec, Refused, SpecError, loads

T0 = datetime(2026, 3, 1, tzinfo=UTC)
SPEC = loads("""
model: flights
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: late}}
features: {x: numeric}
monitor: {latency: {p99: 50ms}}
rollout:
  {gates: {errors: 1%, disagreement: 20%, quality: 0.005}, min_requests: 500, min_days: 7, deadline: 2w}
""")


def arms(ours: int, of: int, theirs: int = 0, among: int | None = None) -> Arms:
    """Hits of the challenger and of the champion."""
    champion = Share(hits=theirs, of=of if among is None else among)
    return Arms(challenger=Share(hits=ours, of=of), champion=champion)


def days(*differences: float, rows: int = 100) -> tuple[DayShortfall, ...]:
    """Days in order, with the given shortfalls."""
    first = date(2026, 3, 1)
    return tuple(
        DayShortfall(day=first + timedelta(days=i), rows=rows, difference=value)
        for i, value in enumerate(differences)
    )


def evidence(**known: object) -> Evidence:
    """A challenger that is good in all that is not named."""
    good: dict[str, object] = {
        "model": "flights",
        "challenger": "2",
        "champion": "1",
        "step": SHADOW,
        "began": T0,
        "at": T0 + timedelta(days=8),
        "errors": arms(0, 2000),
        "latency": arms(2, 2000, 3),
        "disagreement": Share(hits=100, of=2000),
        "crossings": (Crossing(at="0.3", ours=40, theirs=60, of=1500),),
        "days": days(-0.014, -0.013, -0.015, -0.015, -0.014, -0.013, -0.014),
    }
    return Evidence.model_validate(good | known)


def outcomes(verdict: Verdict) -> dict[str, str]:
    """What each gate found."""
    return {gate.gate: gate.outcome.value for gate in verdict.gates}


def test_good_challenger_goes_on() -> None:
    """A challenger that is shown to keep every limit goes to the next step."""
    verdict = judge(evidence(), SPEC, SHADOW)

    assert verdict.decision is Decision.PROMOTE
    assert set(outcomes(verdict).values()) == {"pass"}


@pytest.mark.parametrize("gate", ["errors", "latency", "disagreement", "crossings", "days"])
def test_no_data_never_promotes(gate: str) -> None:
    """What is not known holds, whatever the other gates say."""
    verdict = judge(evidence(**{gate: None}), SPEC, SHADOW)

    assert verdict.decision is Decision.HOLD
    assert outcomes(verdict)[{"days": "quality", "crossings": "drift"}.get(gate, gate)] == "hold"


@pytest.mark.parametrize("gate", ["errors", "latency"])
def test_no_traffic_never_promotes(gate: str) -> None:
    """Zero requests are no evidence of zero failures."""
    verdict = judge(evidence(**{gate: arms(0, 0)}), SPEC, SHADOW)

    assert outcomes(verdict)[gate] == "hold"
    assert judge(evidence(disagreement=Share(hits=0, of=0)), SPEC, SHADOW).decision is Decision.HOLD


def test_deadline_rolls_back_what_is_undecided() -> None:
    """A step that is still undecided at its deadline is rolled back, and not a second before."""
    deadline = T0 + SPEC.rollout.deadline
    before = judge(evidence(days=None, at=deadline - timedelta(seconds=1)), SPEC, SHADOW)
    after = judge(evidence(days=None, at=deadline), SPEC, SHADOW)

    assert (before.decision, after.decision) == (Decision.HOLD, Decision.ROLLBACK)
    assert after.reason == "Not enough evidence within 2w: quality."


def test_deadline_does_not_stop_a_promotion() -> None:
    """Evidence that is complete at the deadline still counts."""
    assert judge(evidence(at=T0 + timedelta(days=60)), SPEC, SHADOW).decision is Decision.PROMOTE


def test_failing_challenger_is_out_in_shadow() -> None:
    """A challenger that fails 20 % is rolled back within a hundred mirrored requests."""
    verdict = judge(evidence(errors=arms(20, 100), latency=None, days=None), SPEC, SHADOW)

    assert verdict.decision is Decision.ROLLBACK
    assert verdict.reason == "Harm is shown: errors."


def test_failures_that_both_have_are_not_harm() -> None:
    """Requests that fail at both versions alike are held against neither."""
    assert judge_errors(evidence(errors=arms(100, 1000, 100)), SPEC).outcome is Outcome.HOLD


def test_failures_are_weighed_by_traffic() -> None:
    """At 5 % of the traffic, equal counts of failures are harm; in shadow they are not."""
    counts = Arms(challenger=Share(hits=10, of=100), champion=Share(hits=10, of=1900))

    assert judge_errors(evidence(errors=counts, step=0.05), SPEC).outcome is Outcome.ROLLBACK
    assert judge_errors(evidence(errors=counts, step=SHADOW), SPEC).outcome is Outcome.HOLD


def test_mirrored_requests_narrow_the_bound_only() -> None:
    """Mirrored requests help to show the limit; the live ones of the step must still be enough."""
    few = Arms(
        challenger=Share(hits=0, of=100), champion=Share(hits=0, of=1900), mirrored=Share(hits=0, of=2000)
    )
    enough = few.model_copy(update={"challenger": Share(hits=0, of=500)})

    assert judge_errors(evidence(errors=few, step=0.05), SPEC).outcome is Outcome.HOLD
    assert judge_errors(evidence(errors=enough, step=0.05), SPEC).outcome is Outcome.PASS


@pytest.mark.parametrize(("requests", "outcome"), [(499, Outcome.HOLD), (500, Outcome.PASS)])
def test_min_requests_is_the_boundary(requests: int, outcome: Outcome) -> None:
    """One request below the minimum holds; the minimum passes."""
    assert judge_errors(evidence(errors=arms(0, requests)), SPEC).outcome is outcome
    assert judge_latency(evidence(latency=arms(0, requests)), SPEC).outcome is outcome


def test_errors_within_the_margin_pass() -> None:
    """A difference that the margin allows passes once it is shown, though it is a difference."""
    assert judge_errors(evidence(errors=arms(200, 100_000, 50)), SPEC).outcome is Outcome.PASS


def test_slow_challenger_is_out() -> None:
    """A challenger above the objective and above the champion is rolled back."""
    assert judge_latency(evidence(latency=arms(40, 1000, 2)), SPEC).outcome is Outcome.ROLLBACK


@pytest.mark.parametrize(
    ("slow", "of", "outcome"),
    [(0, 500, "pass"), (5, 500, "hold"), (2, 1000, "pass"), (10, 2000, "hold"), (30, 10_000, "pass")],
)
def test_few_slow_requests_pass_once_that_is_shown(slow: int, of: int, outcome: str) -> None:
    """A share of slow requests that is within the limit by luck holds until its upper bound is, too."""
    counts = arms(slow, of, 0, 20)  # of the champion too little is known to compare

    assert judge_latency(evidence(latency=counts), SPEC).outcome.value == outcome


def test_mirrored_requests_narrow_the_bound_of_the_slow() -> None:
    """Copies help to show that few are slow, or that many are; the live ones must still be enough."""

    def at(live: int, mirrored: Share | None) -> Outcome:
        counts = Arms(challenger=Share(hits=1, of=live), champion=Share(hits=0, of=20), mirrored=mirrored)
        return judge_latency(evidence(latency=counts, step=0.05), SPEC).outcome

    assert at(500, None) is Outcome.HOLD
    assert at(500, Share(hits=1, of=2000)) is Outcome.PASS
    assert at(499, Share(hits=1, of=2000)) is Outcome.HOLD
    assert at(1000, Share(hits=60, of=2000)) is Outcome.HOLD


def test_slow_machine_is_not_the_challengers_fault() -> None:
    """Where the champion is as slow, the challenger holds, and passes once shown to be no slower."""
    assert judge_latency(evidence(latency=arms(40, 1000, 40)), SPEC).outcome is Outcome.HOLD
    assert judge_latency(evidence(latency=arms(2000, 50_000, 2000)), SPEC).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("hits", "of", "outcome"),
    [
        (100, 499, "hold"),
        (100, 2000, "pass"),
        (500, 2000, "rollback"),
        (390, 2000, "hold"),
        (300, 400, "rollback"),
    ],
)
def test_disagreement(hits: int, of: int, outcome: str) -> None:
    """Disagreement passes well below the limit, rolls back well above it and holds in between."""
    verdict = judge(evidence(disagreement=Share(hits=hits, of=of)), SPEC, SHADOW)

    assert outcomes(verdict)["disagreement"] == outcome


def test_limits_at_their_ends() -> None:
    """A disagreement limit of 100 % always passes; one of 0 % bears no difference."""

    def at(limit: float, hits: int) -> str:
        spec = _with_gates(disagreement=limit)
        return outcomes(judge(evidence(disagreement=Share(hits=hits, of=1000)), spec, SHADOW))["disagreement"]

    assert (at(1.0, 1000), at(0.0, 0), at(0.0, 1)) == ("pass", "pass", "rollback")


def _with_gates(**gates: float) -> ModelSpec:
    changed = SPEC.rollout.gates.model_copy(update=gates)
    return SPEC.model_copy(update={"rollout": SPEC.rollout.model_copy(update={"gates": changed})})


@pytest.mark.parametrize(
    ("correlation", "weeks", "found"), [(0.8, 1, "hold"), (0.8, 3, "rollback"), (0, 1, "rollback")]
)
def test_shuffled_labels_are_out_by_quality(correlation: float, weeks: int, found: str) -> None:
    """A challenger that learned nothing is out in three weeks of labels; in one, if days are independent."""
    worse = days(*[0.08, 0.12, 0.05, 0.1, 0.09, 0.07, 0.11] * weeks)
    told = SPEC.rollout.model_copy(update={"day_correlation": correlation})
    result = judge_quality(evidence(days=worse), SPEC.model_copy(update={"rollout": told}))

    assert result.outcome.value == found


@pytest.mark.parametrize(("count", "outcome"), [(6, Outcome.HOLD), (7, Outcome.PASS)])
def test_min_days_is_the_boundary(count: int, outcome: Outcome) -> None:
    """One day below the minimum holds; the minimum can pass."""
    assert judge_quality(evidence(days=days(*[-0.01, -0.012] * 4)[:count]), SPEC).outcome is outcome


def test_identical_versions_pass_quality() -> None:
    """Two versions with the same scores differ by nothing, which is within any limit."""
    assert judge_quality(evidence(days=days(*[0.0] * 7)), _with_gates(quality=0.0)).outcome is Outcome.PASS


def test_noisy_days_hold() -> None:
    """Days that contradict each other show neither harm nor its absence."""
    assert (
        judge_quality(evidence(days=days(0.3, -0.3, 0.2, -0.2, 0.25, -0.3, 0.1)), SPEC).outcome
        is Outcome.HOLD
    )


def test_mean_difference_weighs_days_by_rows() -> None:
    """The estimate is the mean over rows."""
    one, many = days(1.0, rows=1)[0], days(0.0, rows=99)[0]

    assert mean_difference([one, many, *days(0.0, rows=100)]) == pytest.approx(1 / 200)


def test_alpha_is_shared_out() -> None:
    """The chances for a false rollback over all steps sum to alpha."""
    assert harm(SPEC) * chances(SPEC) == pytest.approx(SPEC.rollout.alpha)


def test_evidence_of_another_step_is_refused() -> None:
    """Evidence judges the step it was collected at and no other."""
    with pytest.raises(Refused, match="flights at shadow; it says nothing of flights at 5%"):
        judge(evidence(), SPEC, 0.05)
    with pytest.raises(SpecError, match="must hold 7%"):
        judge(evidence(step=0.07), SPEC, 0.07)


@pytest.mark.parametrize("step", [step.share for step in SPEC.rollout.steps])
def test_records_round_trip(step: Step) -> None:
    """Evidence and verdict read back from their JSON as they were, at every step."""
    seen = evidence(step=step)
    verdict = judge(seen, SPEC, step)

    assert Evidence.model_validate_json(seen.model_dump_json()) == seen
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict
    assert Verdict.model_validate(verdict.model_dump(mode="json")) == verdict


def test_summary_fits_one_screen() -> None:
    """The summary says decision and reason, and for each gate value, comparison, limit, interval and n."""
    verdict = judge(evidence(errors=arms(20, 100), disagreement=None), SPEC, SHADOW)
    lines = verdict.summary().splitlines()

    assert lines[0] == "flights 2 against 1, step shadow: ROLLBACK. Harm is shown: errors."
    assert lines[1].startswith("errors       rollback 20 % > 1 % [")
    assert lines[1].endswith("], 100 requests: 20 failures against the champion's 0")
    assert (
        lines[3] == "disagreement hold     no data vs 20 %, 0 pairs: no row was scored by both versions yet"
    )
    assert lines[4].startswith("drift        pass     1.33 % ≤ 50 % [")
    assert lines[5].startswith("quality      pass     -0.014 roc_auc ≤ 0.005 roc_auc [")
    assert len(lines) == 6


def test_hold_says_what_is_missing() -> None:
    """A verdict that waits passes on why the evidence is not there."""
    reason = "Prometheus at http://x did not answer: refused"
    verdict = judge(evidence(errors=None, missing=(reason,)), SPEC, SHADOW)

    assert verdict.reason == f"Waiting for errors. {reason}"
