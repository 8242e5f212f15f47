from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from monitors.drift.drift import PAIRS, ColumnDrift, Drift
from monitors.drift.drift_verdict import costs, drifted, judge
from monitors.finding import Finding, NoData
from monitors.reference_profile import PREDICTION
from monitors.results.records import Measurement
from spec import ModelSpec, loads

SPEC = """
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y}}
features: {a: numeric, b: numeric, c: numeric, d: numeric}
monitor: {data_drift: {effect: 0.3, share: 0.5}}
"""
SINCE = datetime(2024, 5, 1, 6, tzinfo=UTC)
SURE = ColumnDrift("a", "wasserstein", 0.6, 0.3, 1e-9, 1e-4, 4, SINCE, 90)
NONE = replace(SURE, score=0.1, p_value=0.4)


@pytest.fixture
def spec() -> ModelSpec:
    """The model under watch."""
    return loads(SPEC)


def drift(
    *columns: ColumnDrift, correlation: ColumnDrift | None = None, prediction: ColumnDrift = NONE
) -> Drift:
    """The drift of features a, b, c, … as given."""
    named = tuple(replace(column, column=name) for name, column in zip("abcd", columns, strict=False))
    return Drift(named, replace(prediction, column=PREDICTION), correlation, 100)


def numbers(finding: Finding, name: str) -> dict[str | None, Measurement]:
    """The measurements of a name by feature."""
    return {number.feature: number for number in finding.measurements if number.name == name}


@pytest.mark.parametrize(
    ("columns", "status"),
    [
        ((SURE, SURE, NONE, NONE), "alarm"),
        ((SURE, replace(SURE, score=0.2999), NONE, NONE), "ok"),
        ((SURE, replace(SURE, p_value=1.1e-4), NONE, NONE), "ok"),
        ((replace(SURE, score=9.0), NONE, NONE, NONE), "ok"),
    ],
)
def test_the_alarm_is_a_share_of_the_features(
    spec: ModelSpec, columns: tuple[ColumnDrift, ...], status: str
) -> None:
    """Half of the features drifted is an alarm; one that is too small, too unsure or alone is not."""
    assert status == judge(drift(*columns), spec, importances={}).status


def test_every_number_behind_a_verdict_is_kept(spec: ModelSpec) -> None:
    """Score, p-value with its level, since when, missing share, cost and the share of all."""
    holed = replace(SURE, missing=0.25, missing_before=0.01)

    finding = judge(drift(holed, NONE, NONE, NONE), spec, importances={"a": 0.9, "b": 0.1})

    assert ("ok", 100) == (finding.status, finding.rows)
    score, p_value = (numbers(finding, f"feature_drift_{name}")["a"] for name in ("score", "p_value"))
    assert (0.6, 0.3, 90) == (score.value, score.limit, score.n)
    assert (1e-9, 1e-4, "wasserstein") == (p_value.value, p_value.limit, p_value.method)
    lookback = numbers(finding, "feature_drift_lookback")
    assert {"a": (4, "since 2024-05-01 06:00")} == {name: (n.value, n.text) for name, n in lookback.items()}
    missing = numbers(finding, "feature_missing_ratio")
    assert {"a": (0.25, "1.00% in the reference")} == {name: (n.value, n.text) for name, n in missing.items()}
    assert {"a": 1.0} == {name: n.value for name, n in numbers(finding, "feature_drift_cost").items()}
    assert 0.25 == numbers(finding, "drifted_features_ratio")[None].value
    assert 0.1 == numbers(finding, "prediction_drift_score")[None].value


def test_a_feature_without_a_score_counts_as_not_drifted_and_keeps_its_reason(spec: ModelSpec) -> None:
    """What cannot be compared lowers the share, and the reason is written beside the numbers."""
    finding = judge(drift(SURE, replace(SURE, score=NoData("no values"))), spec, importances={})

    assert 0.5 == numbers(finding, "drifted_features_ratio")[None].value
    assert "no values" == numbers(finding, "no_data")["b"].text


def test_nothing_to_compare_is_no_data(spec: ModelSpec) -> None:
    """A window in which no feature can be compared passes nothing: its status is `no_data`."""
    finding = judge(drift(*[replace(SURE, score=NoData("empty"))] * 4), spec, importances={})

    assert "no_data" == finding.status
    assert not numbers(finding, "drifted_features_ratio")


def test_a_correlation_alarms_by_itself(spec: ModelSpec) -> None:
    """All features hold and one pair does not: an alarm, with the pair in the text."""
    pair = replace(SURE, column=PAIRS, method="correlation", detail="a × b")

    finding = judge(drift(NONE, NONE, correlation=pair), spec, importances={})

    assert "alarm" == finding.status
    number = numbers(finding, "correlation_drift_score")[None]
    assert (0.6, 0.3, "a × b") == (number.value, number.limit, number.text)


def test_cost_is_drift_times_importance_in_shares_of_all() -> None:
    """A small drift of what matters costs more than a large one of what does not; the shares sum to 1."""
    moved = [replace(SURE, column="a", score=3.0), replace(SURE, column="b", score=0.3)]

    found = costs(moved, {"a": 0.05, "b": 0.95})

    assert ["b", "a"] == list(found)
    assert {"a": pytest.approx(0.5 / 1.45), "b": pytest.approx(0.95 / 1.45)} == found


def test_without_importances_all_features_weigh_the_same() -> None:
    """Then the cost is the drift alone; features of no importance cost nothing."""
    moved = [replace(SURE, column="a", score=0.9), replace(SURE, column="b", score=0.3)]

    assert {"a": 0.75, "b": 0.25} == pytest.approx(costs(moved, {}))
    assert {} == costs(moved, {"c": 1.0})
    assert {} == costs([], {})


def test_a_stored_finding_tells_what_had_drifted(spec: ModelSpec) -> None:
    """The verdicts of earlier windows are read from their numbers."""
    pair = replace(SURE, column=PAIRS, method="correlation")
    unsure = replace(SURE, p_value=0.5)

    finding = judge(drift(SURE, unsure, NONE, correlation=pair), spec, importances={})

    assert {"a", PAIRS} == drifted(finding.measurements)


@pytest.mark.parametrize(
    ("before", "now", "status"),
    [
        (((), ()), (SURE, SURE, NONE, NONE), "ok"),
        (("ab", ()), (SURE, SURE, NONE, NONE), "alarm"),
        (("ab", "ab"), (NONE, NONE, NONE, NONE), "ok"),
        (("a", "b"), (SURE, SURE, NONE, NONE), "alarm"),
        (("a", "a"), (SURE, SURE, NONE, NONE), "ok"),
    ],
)
def test_persistence_asks_for_so_many_of_the_last_windows_and_the_latest(
    before: tuple[str, ...], now: tuple[ColumnDrift, ...], status: str
) -> None:
    """`2 of 3`: each feature for itself, so that two windows of different features are no alarm."""
    spec = loads(SPEC.replace("share: 0.5", "share: 0.5, persistence: 2 of 3"))

    finding = judge(drift(*now), spec, importances={}, before=[frozenset(names) for names in before])

    assert status == finding.status


@pytest.mark.parametrize(
    ("prediction", "value"),
    [
        (SURE, 1.0),
        (replace(SURE, score=0.2999), 0.0),
        (replace(SURE, p_value=1.1e-4), 0.0),
    ],
)
def test_predictions_that_drift_are_told_and_alarm_nothing(
    spec: ModelSpec, prediction: ColumnDrift, value: float
) -> None:
    """They must matter and be no accident, as a feature; the verdict is on the inputs alone."""
    finding = judge(drift(NONE, NONE, NONE, NONE, prediction=prediction), spec, importances={})

    assert "ok" == finding.status
    told = numbers(finding, "prediction_drifted")[None]
    assert (value, "since 2024-05-01 06:00" if value else None) == (told.value, told.text)
    score, chance = (numbers(finding, f"prediction_drift_{name}")[None] for name in ("score", "p_value"))
    assert (0.3, 1e-4) == (score.limit, chance.limit)
    assert (PREDICTION in drifted(finding.measurements)) == bool(value)


def test_predictions_must_persist_as_features_do() -> None:
    """`2 of 3`: one window in which they moved is told with its numbers, and is no drift yet."""
    spec = loads(SPEC.replace("share: 0.5", "share: 0.5, persistence: 2 of 3"))
    moved = drift(NONE, NONE, prediction=SURE)

    first = judge(moved, spec, importances={})
    second = judge(moved, spec, importances={}, before=[drifted(first.measurements)])

    assert [0.0, 1.0] == [numbers(each, "prediction_drifted")[None].value for each in (first, second)]


def test_predictions_without_a_distance_are_told_as_such(spec: ModelSpec) -> None:
    """No score is no drift, and no number either."""
    finding = judge(drift(NONE, prediction=replace(NONE, score=NoData("empty"))), spec, importances={})

    assert not numbers(finding, "prediction_drifted")
    assert "empty" == numbers(finding, "no_data")[PREDICTION].text
