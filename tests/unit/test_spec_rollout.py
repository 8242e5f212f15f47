"""What a spec may say of a rollout's gates, and the one error for each thing that it may not."""

from datetime import timedelta

import pytest

from spec import SpecError, loads, routing
from spec.rollout import Rollout

HEAD = """
model: flights
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: late}}
features: {x: numeric}
"""
GOOD = "name: m, kind: ratio, promql: 'a{slot}', of: 'b{slot}', better: lower, margin: 1%"
BOUNDED = "name: m, kind: bounded, promql: 'a{slot}', between: [0, 9], better: lower, margin: 1"


def told(metric: str, steps: str = "[shadow, 5%, 100%]") -> str:
    """The error of a business metric; nothing where it is read."""
    try:
        loads(f"{HEAD}rollout: {{steps: {steps}, gates: {{metrics: [{{{metric}}}]}}}}")
    except SpecError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("metric", [GOOD, BOUNDED, GOOD.replace("{slot}", "{version}")])
def test_metrics_are_read(metric: str) -> None:
    """Both kinds are read, with a slot or a version in their queries."""
    assert told(metric) == ""


@pytest.mark.parametrize(
    ("metric", "error"),
    [
        (GOOD.replace("a{slot}", "a"), "must hold {slot} or {version}"),
        (GOOD.replace("name: m", "name: errors"), "must not be the name of a built-in gate"),
        (GOOD.replace(", of: 'b{slot}'", ""), "a ratio needs the counter that it is a part of"),
        (BOUNDED.replace(", between: [0, 9]", ""), "a bounded metric needs its two bounds"),
        (BOUNDED.replace("[0, 9]", "[9, 0]"), "two finite numbers, the lower one first"),
        (BOUNDED.replace("[0, 9]", "[0, .inf]"), "two finite numbers, the lower one first"),
        (BOUNDED.replace("margin: 1", "margin: 9"), "margin: must be below 9"),
        (f"{GOOD}}}, {{{GOOD}", "must have different names"),
    ],
)
def test_one_clear_error(metric: str, error: str) -> None:
    """Each mistake is one problem that says what must hold."""
    found = told(metric)

    assert error in found
    assert len(found.strip().splitlines()) <= 2, found


@pytest.mark.parametrize(("text", "read"), [("30%", 0.3), ("0", 0.0)])
def test_days_may_be_alike_but_not_the_same(text: str, read: float) -> None:
    """A correlation of days is a share below one: days that are all one day never show anything."""
    assert loads(f"{HEAD}rollout: {{day_correlation: {text}}}").rollout.day_correlation == read
    with pytest.raises(SpecError, match="day_correlation"):
        loads(f"{HEAD}rollout: {{day_correlation: 100%}}")


def test_a_metric_needs_a_step_to_be_judged_at() -> None:
    """Live requests of both versions must exist at some step, or the metric must count mirrored ones."""
    assert "m can only be judged at a share between shadow and 100%" in told(GOOD, "[shadow, 100%]")
    assert told(f"{GOOD}, mirrored: true", "[shadow, 100%]") == ""


def read(rollout: str) -> Rollout:
    """The rollout of a YAML."""
    return loads(f"{HEAD}rollout: {{{rollout}}}").rollout


def test_a_step_is_a_share_or_a_record() -> None:
    """A bare share takes everything from the rollout, a record overrides what it names."""
    rollout = read(
        "min_requests: 300, min_time: 10m, deadline: 3d, gates: {errors: 2%, memory: 1GB}, steps: [shadow, "
        "{share: 25%, gates: [errors, cpu], limits: {errors: 0.5%, cpu: 5ms}, min_requests: 2000, "
        "min_time: 1h, deadline: 2d}, 100%]"
    )
    bare, own = rollout.at("shadow"), rollout.at(0.25)

    assert (bare.gates, bare.min_requests, bare.min_time, bare.deadline) == (
        rollout.gates,
        300,
        timedelta(minutes=10),
        timedelta(days=3),
    )
    assert bare.awaited == ("errors", "latency", "disagreement", "drift", "quality", "memory")
    assert own.awaited == ("errors", "cpu")
    assert own.gates == rollout.gates.model_copy(update={"errors": 0.005, "cpu": timedelta(milliseconds=5)})
    assert (own.min_requests, own.min_time, own.deadline) == (2000, timedelta(hours=1), timedelta(days=2))
    assert rollout.at(1.0).gates.cpu is None


def test_a_rollout_reads_back_as_it_was_written() -> None:
    """A step that is only a share is written as one; others keep what they say."""
    rollout = read("steps: [shadow, {share: 5%, min_time: 1h}, 100%], approval: {before: 100%}")
    written = rollout.model_dump(mode="json", exclude_unset=True)

    assert [written["steps"][0], written["steps"][2]] == ["shadow", 1.0]
    assert Rollout.model_validate(written) == rollout
    assert Rollout.model_validate_json(rollout.model_dump_json()) == rollout


@pytest.mark.parametrize(
    ("rollout", "error"),
    [
        ("steps: [{share: 5%, gates: [latency]}, 100%]", "must name errors"),
        (
            "steps: [{share: 5%, gates: [errors, lattency]}, 100%]",
            "5%: gates must be some of errors, latency",
        ),
        ("steps: [{share: 5%, gates: [errors, memory]}, 100%]", "not memory"),
        ("steps: [shadow, {share: 100%, gates: [errors, booked]}]", "not booked"),
        (
            "steps: [{share: 100%, gates: [errors, latency]}]",
            "disagreement, drift, quality must be in the gates",
        ),
        (
            "steps: [{share: 5%, gates: [errors], limits: {cpu: 5ms}}, 100%]",
            "cpu must be in the gates of a step",
        ),
        (
            "steps: [{share: 5%, min_time: 2d, deadline: 1d}, 100%]",
            "min_time 2d must be below the deadline 1d",
        ),
        ("min_time: 40d", "min_time 40d must be below the deadline 30d"),
        ("steps: [{share: 200%}, 100%]", "less than or equal to 1"),
        ("steps: [{share: 5%, limits: {latency_p99: 5ms}}, 100%]", "latency_p99"),
        ("steps: [{min_time: 1h}, 100%]", "share"),
        ("steps: [{share: 5%, gate: [errors]}, 100%]", "Did you mean 'gates'"),
        ("approval: {before: 7%}", "before must name steps (shadow, 5%, 25%, 50%, 100%), not 7%"),
        ("approval: {before: []}", "at least 1"),
        ("approval: sometimes", "never"),
        ("sticky: {}", "must be one header or one cookie"),
        ("sticky: {header: a, cookie: b}", "must be one header or one cookie"),
        ("sticky: {header: 'x y'}", "should match pattern"),
        ("sticky: {header: Host}", "a header of the caller's own"),
        ("testers: {}", "must be a header, a cookie or both"),
        (f"testers: {{cookie: {'c' * 51}}}", "at most 50"),
        ("testers: {header: X-Trimtab-Tester}", "a header of the caller's own"),
        ("sticky: {header: x-user}, testers: {header: X-User}", "names the user already"),
    ],
)
def test_one_clear_error_of_a_plan(rollout: str, error: str) -> None:
    """Each impossible plan is refused with what must hold."""
    with pytest.raises(SpecError) as caught:
        read(rollout)

    assert error in str(caught.value)


def test_a_step_that_there_is_not() -> None:
    """Asking for another share names those that there are."""
    with pytest.raises(SpecError, match="must hold 7%; found shadow, 5%, 25%, 50%, 100%"):
        read("alpha: 0.05").at(0.07)


def test_who_is_asked_before_a_step() -> None:
    """Nobody by default; one step or many where the spec says so."""
    never, one, many = (
        read("alpha: 0.05"),
        read("approval: {before: 50%}"),
        read("approval: {before: [shadow, 1.0]}"),
    )

    assert [
        [rollout.approved_first(step.share) for step in rollout.steps] for rollout in (never, one, many)
    ] == [
        [False] * 5,
        [False, False, False, True, False],
        [True, False, False, False, True],
    ]


def test_names_of_headers_have_no_case() -> None:
    """A header is read in lower case, as gateways know it; a cookie as it is."""
    rollout = read("sticky: {cookie: User}, testers: {header: X-Version}")

    assert (rollout.sticky, rollout.testers) == (
        routing.Sticky(cookie="User"),
        routing.Testers(header="x-version"),
    )
