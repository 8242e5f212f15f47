"""What a spec may say of a rollout's gates, and the one error for each thing that it may not."""

import pytest

from spec import SpecError, loads

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


def test_a_metric_needs_a_step_to_be_judged_at() -> None:
    """Live requests of both versions must exist at some step, or the metric must count mirrored ones."""
    assert "m can only be judged at a share between shadow and 100%" in told(GOOD, "[shadow, 100%]")
    assert told(f"{GOOD}, mirrored: true", "[shadow, 100%]") == ""
