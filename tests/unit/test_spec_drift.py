from __future__ import annotations

from datetime import timedelta

import pytest

import spec
from spec.drift import DataDrift, DriftMethod
from spec.units import OutOf, Rate

FRAUD = """\
model: fraud
task: binary
data: {inference_log: log, labels: labels, id: payment, time: paid_at, target: {name: fraudulent}}
features: {amount: numeric}
monitor:
  window: 1d
  data_drift: {DRIFT}
"""


def drift(text: str, window: str = "1d") -> DataDrift:
    """The drift settings of a model that writes them so."""
    return spec.loads(FRAUD.replace("{DRIFT}", "{" + text + "}").replace("1d", window)).monitor.data_drift


def problem(text: str) -> str:
    """What is wrong with drift settings; it is one thing."""
    with pytest.raises(spec.SpecError) as caught:
        drift(text)
    (found,) = caught.value.problems
    return str(found)


def test_the_defaults_are_one_false_alarm_a_year_against_the_training_rows() -> None:
    """A model that says nothing is watched for drift that matters and is no accident."""
    found = drift("")

    assert (DriftMethod.WASSERSTEIN, DriftMethod.JENSEN_SHANNON) == (found.method, found.categorical_method)
    assert (0.1, 0.5, 8, Rate(1, "year"), None) == (
        found.effect,
        found.share,
        found.over,
        found.false_alarms,
        found.persistence,
    )
    assert "training" == found.reference.name


def test_everything_is_written_as_people_say_it() -> None:
    """Rates, counts out of the last, and what to compare with are short texts."""
    found = drift(
        "false_alarms: 2 / month, persistence: 2 of 3, reference: {rolling: 28d}, correlation: null"
    )

    assert (Rate(2, "month"), OutOf(2, 3)) == (found.false_alarms, found.persistence)
    assert ("rolling", timedelta(days=28)) == (found.reference.name, found.reference.rolling)
    assert found.correlation is None
    assert "seasonal" == drift("reference: {seasonal: week}").reference.name
    assert "training" == drift("reference: training").reference.name


def test_a_spec_survives_being_written_and_read() -> None:
    """What the model dumps as JSON is what it reads back."""
    found = drift("false_alarms: 0.5/week, persistence: 3 of 5, reference: {seasonal: week}")

    assert found == DataDrift.model_validate_json(found.model_dump_json())
    assert '"0.5/week"' in found.model_dump_json()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("threshold: 0.3", "must be a known key; found 'threshold'. It is called 'effect' now"),
        ("effct: 0.3", "Did you mean 'effect'?"),
        ("effect: 0", "greater than 0"),
        ("categorical_method: wasserstein", "must be one of jensenshannon, psi, kl_div"),
        ("categorical_method: ks", "categories have no order; found 'ks'"),
        ("method: kolmogorov", "must be a known name"),
        ("false_alarms: 1", "must be a rate above 0 such as 1/year"),
        ("false_alarms: 0/year", "must be a rate above 0"),
        ("false_alarms: 1/century", "must be a rate above 0"),
        ("persistence: 3 of 2", "must be so many of at least as many, such as 2 of 3"),
        ("persistence: 0 of 2", "must be so many"),
        ("reference: rolling", "must be training, {rolling: 28d} or {seasonal: week}"),
        ("reference: {rolling: 28d, seasonal: week}", "must be rolling or seasonal, not both"),
        ("reference: {rolling: 2h}", "reference.rolling: must be one window or longer"),
        ("reference: {seasonal: day}", "reference.seasonal: windows must divide the day evenly"),
        ("reference: {seasonal: year}", "must be a known name"),
    ],
)
def test_each_mistake_is_named_by_what_must_hold(text: str, expected: str) -> None:
    """A wrong value is one problem that says what is right, when the file is read and not at run time."""
    assert expected in problem(text)


def test_a_window_fits_its_season() -> None:
    """Hours divide the day and the week; five hours do not."""
    assert drift("reference: {seasonal: day}", "1h").reference.seasonal == "day"
    with pytest.raises(spec.SpecError, match="must divide the week evenly"):
        drift("reference: {seasonal: week}", "5h")


@pytest.mark.parametrize(
    ("text", "per"), [("1/day", 1.0), ("1/week", 7.0), ("1/month", 365.25 / 12), ("1/year", 365.25)]
)
def test_a_rate_has_its_span(text: str, per: float) -> None:
    """A year has 365.25 days, a month a twelfth of them."""
    assert timedelta(days=per) == Rate.parse(text).per
    assert text == str(Rate.parse(text))


def test_the_rows_of_a_window_have_a_say_in_as_many_windows_as_look_at_them() -> None:
    """The longest lookback, half of it until the next look, and what persistence looks back upon."""
    assert 1 == drift("over: 1").reach
    assert 2 == drift("over: 2").reach
    assert 11 == drift("over: 8").reach == drift("over: 9").reach
    assert 13 == drift("over: 8, persistence: 2 of 3").reach


def test_the_schema_for_editors_takes_texts() -> None:
    """Rates and counts are strings in the file, whatever they are in Python."""
    fields = spec.json_schema()["$defs"]["DataDrift"]["properties"]

    assert ("string", "1/year") == (fields["false_alarms"]["type"], fields["false_alarms"]["default"])
    assert "string" in {option["type"] for option in fields["persistence"]["anyOf"]}
