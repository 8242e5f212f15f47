from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from monitors.results.records import Measurement, MonitorName, Status, WindowResult
from monitors.triage import Action, Cause, Evidence, Triage, decide
from spec import loads

DAY = timedelta(days=1)
START = datetime(2024, 5, 1, tzinfo=UTC)
SPEC = loads(
    "{model: shop, task: binary, features: {x: numeric, y: numeric}, "
    "monitor: {performance: {over: 4, min_labels: 100}}, "
    "data: {inference_log: a, labels: b, id: id, time: t, target: {name: z, delay: 1d}}}"
)
FINE = Measurement("performance", 0.8, method="roc_auc", limit=0.75)
EXPECTED = Measurement("estimated_performance", 0.8, method="roc_auc", limit=0.75)
WORSE = Measurement("estimated_performance", 0.7, method="roc_auc", low=0.68, high=0.72, limit=0.75, n=500)


def result(monitor: MonitorName, day: int, *numbers: Measurement, status: Status = "ok") -> WindowResult:
    """The result of one day."""
    start = START + day * DAY
    return WindowResult(
        "shop", "1", monitor, start, start + DAY, 500, status, numbers, start + DAY, 0.1, None, "abc"
    )


def drift(day: int, *, moved: bool, status: Status = "ok") -> WindowResult:
    """What drift says of a day's inputs, and whether the predictions have drifted."""
    score = Measurement("prediction_drift_score", 0.34, method="wasserstein", limit=0.1, n=400)
    return result("drift", day, score, Measurement("prediction_drifted", float(moved), n=400), status=status)


def decided(*results: WindowResult) -> Triage:
    """The decision on version 1."""
    triage = decide(SPEC, Evidence.of("1", results))
    assert triage is not None
    return triage


def test_predictions_that_drift_alone_are_watched() -> None:
    """Enough inputs to alarm have not moved; the decision says since when, by how much and of what rows."""
    triage = decided(drift(0, moved=False), drift(1, moved=True), drift(2, moved=True))

    assert (triage.action, triage.cause) == (Action.WATCH, Cause.PENDING)
    assert triage.why.startswith("The predictions have drifted")
    said = "The predictions have drifted since 2024-05-02 00:00 (wasserstein 0.34, limit 0.1, of 400 rows)."
    assert said in triage.evidence


def test_predictions_that_are_back_are_no_decision() -> None:
    """The newest window says whether they have drifted."""
    assert decided(drift(0, moved=True), drift(1, moved=False)).action is Action.NONE


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (result("performance", 5, FINE), "the labels show no harm"),
        (result("estimate", 5, EXPECTED), "the estimate expects no harm"),
    ],
)
def test_drifted_predictions_that_do_no_harm_stay_watched(told: WindowResult, words: str) -> None:
    """By labels of half of the pooled windows since, or by the estimate."""
    triage = decided(*(drift(day, moved=day > 1) for day in range(6)), told)

    assert (triage.action, triage.cause) == (Action.WATCH, Cause.PREDICTIONS)
    assert words in triage.why


def test_overdue_labels_are_asked_for() -> None:
    """With neither labels nor an estimate nobody can say what it costs."""
    triage = decided(*(drift(day, moved=day > 0) for day in range(8)))

    assert (triage.action, triage.cause) == (Action.COLLECT_LABELS, Cause.UNSURE)


def test_inputs_that_drifted_too_are_told_first() -> None:
    """One decision for both, and its evidence names both."""
    days = [drift(day, moved=True, status="alarm") for day in range(6)]

    triage = decided(*days, result("estimate", 5, EXPECTED))

    assert (triage.action, triage.cause) == (Action.WATCH, Cause.BENIGN)
    assert "The inputs have drifted" in triage.why
    assert any("The predictions have drifted" in sentence for sentence in triage.evidence)


def test_an_estimate_is_no_second_witness_of_drifted_predictions() -> None:
    """It is made of them: harm that it expects is retrained away only where the inputs have drifted too."""
    worse = result("estimate", 5, WORSE, status="alarm")

    alone = decided(*(drift(day, moved=True) for day in range(6)), worse)
    with_inputs = decided(*(drift(day, moved=True, status="alarm") for day in range(6)), worse)

    assert (alone.action, alone.cause) == (Action.COLLECT_LABELS, Cause.UNSURE)
    assert (with_inputs.action, with_inputs.cause) == (Action.RETRAIN, Cause.HARMFUL_DRIFT)
