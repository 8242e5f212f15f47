from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitors.results.records import Measurement, MonitorName, Status, WindowResult
from monitors.results.store import Store
from monitors.triage import Action, Cause, Evidence, Triage, decide, episodes
from monitors.triage.due import Due, due
from monitors.windows import Window
from spec import ModelSpec, PerformanceMetric, loads

DAY = timedelta(days=1)
START = datetime(2024, 5, 1, tzinfo=UTC)


def model(retrain: str = "{on: [performance, harmful_drift], min_rows: 1000, holdout: 2d}") -> ModelSpec:
    """A model with daily windows, labels after a day, and verdicts over four windows."""
    return loads(
        "{model: shop, task: binary, features: {x: numeric, y: numeric}, "
        f"retrain: {retrain}, monitor: {{performance: {{over: 4, min_labels: 100}}}}, "
        "data: {inference_log: a, labels: b, id: id, time: t, target: {name: z, delay: 1d}}}"
    )


def result(
    monitor: MonitorName,
    day: int,
    status: Status = "ok",
    *numbers: Measurement,
    rows: int = 500,
    version: str = "1",
) -> WindowResult:
    """The result of one day."""
    start = START + day * DAY
    return WindowResult(
        "shop", version, monitor, start, start + DAY, rows, status, numbers, start + 2 * DAY, 0.1, None, "abc"
    )


def sound(day: int) -> list[WindowResult]:
    """A day on which everything is well; labels of the day before are in."""
    return [
        result("quality", day),
        result("drift", day),
        result("latency", day),
        result(
            "estimate", day, "ok", Measurement("estimated_performance", 0.8, method="roc_auc", limit=0.75)
        ),
        result("performance", day - 1, "ok", Measurement("performance", 0.8, method="roc_auc", limit=0.75)),
        result("concept", day - 1, "ok", Measurement("loss", 0.2, n=500)),
    ]


def decided(*results: WindowResult, spec: ModelSpec | None = None, asked: Due | None = None) -> Triage:
    """The decision on version 1, which has been watched for a week, by some results."""
    triage = decide(spec or model(), Evidence.of("1", [result("latency", -7), *results], asked))
    assert triage is not None
    return triage


BROKEN = Measurement("violations", 400, "x", "null_rate", limit=0.1, n=500, text="80% of the rows are null")
SPARSE = Measurement("violations", 90, None, "volume", n=10, text="10 rows; at least 100 are expected")
BAD = Measurement("performance", 0.7, method="roc_auc", low=0.68, high=0.72, limit=0.75, n=2000)
WORSE = Measurement("estimated_performance", 0.7, method="roc_auc", low=0.68, high=0.72, limit=0.75, n=500)
USUAL = Measurement("reference_risk", 0.2, limit=0.22, n=4000)
UNKNOWN = Measurement("no_data", 1, method="roc_auc", text="20 labelled rows; 100 are needed")


def test_nothing_judged_is_no_decision() -> None:
    """Without any result there is nothing to decide."""
    assert decide(model(), Evidence.of("1", [])) is None
    assert decide(model(), Evidence.of("1", [result("drift", 0, version="2")])) is None


def test_a_sound_model_is_left_alone() -> None:
    """Nothing is wrong, and the decision says so."""
    triage = decided(*sound(5))

    assert (triage.action, triage.cause) == (Action.NONE, Cause.NOTHING)
    assert triage.at == START + 6 * DAY


def test_wrong_data_are_never_retrained_away() -> None:
    """A fault blocks a retrain whatever else alarms, and names the column."""
    triage = decided(
        *sound(5),
        result("quality", 6, "alarm", BROKEN),
        result("performance", 6, "alarm", BAD),
        result("drift", 6, "alarm"),
        asked=Due("the schedule was due"),
    )

    assert (triage.action, triage.cause) == (Action.FIX_DATA, Cause.QUALITY)
    assert "(x)" in triage.why
    assert triage.training is None
    assert any("x: 80% of the rows are null" in sentence for sentence in triage.evidence)


def test_shown_harm_is_retrained_without_the_faulty_windows() -> None:
    """Lost performance retrains once the data are sound again, and the bad day is left out."""
    triage = decided(
        *sound(4), result("quality", 5, "alarm", BROKEN), *sound(6), result("performance", 6, "alarm", BAD)
    )

    assert (triage.action, triage.cause) == (Action.RETRAIN, Cause.PERFORMANCE)
    assert "0.7 [0.68, 0.72], limit 0.75" in triage.why
    assert triage.training is not None
    assert triage.training.excluded == (Window(START + 5 * DAY, START + 6 * DAY),)


def test_one_look_at_the_metric_is_not_enough() -> None:
    """A metric below its limit by less than its interval is watched, until that lasts or proof comes.

    Verdicts pool four windows: those that end with day 4 and with day 8 have none in common.
    """
    near = Measurement("performance", 0.74, method="roc_auc", low=0.7, high=0.78, limit=0.75, n=2000)
    days = [result("performance", 3), *(result("performance", day, "alarm", near) for day in range(4, 9))]
    drift = Measurement("onset_timestamp_seconds", START.timestamp())

    early, late = decided(*days[:-1]), decided(*days)
    proved = decided(*days[:2], result("concept", 4, "alarm", drift))

    assert (early.action, early.cause) == (Action.WATCH, Cause.PENDING)
    assert (late.action, late.cause) == (Action.RETRAIN, Cause.PERFORMANCE)
    assert proved.action is Action.RETRAIN


def test_of_a_loss_the_lower_bound_must_be_beyond_the_limit() -> None:
    """Log loss of 0.52 with 0.49 as its lower bound is beyond a limit of 0.48 for sure, and not of 0.5."""
    spec = model()
    wanted = spec.monitor.performance.model_copy(update={"metric": PerformanceMetric.LOG_LOSS})
    spec = spec.model_copy(update={"monitor": spec.monitor.model_copy(update={"performance": wanted})})
    worse = Measurement("performance", 0.52, method="log_loss", low=0.49, high=0.55, limit=0.48, n=2000)

    assert decided(result("performance", 0, "alarm", worse), spec=spec).action is Action.RETRAIN
    unsure = result("performance", 0, "alarm", replace(worse, limit=0.5))
    assert decided(unsure, spec=spec).action is Action.WATCH


@pytest.mark.parametrize(
    ("limit", "rows", "action"),
    [(0.21, 500, Action.RETRAIN), (0.23, 500, Action.NONE), (0.21, 99, Action.NONE)],
)
def test_a_loss_beyond_its_limit_is_harm(limit: float, rows: int, action: Action) -> None:
    """The newest days speak before the test does; not with fewer labels than a verdict needs."""
    sound_week = Measurement("recent_risk", 0.15, method="4d", low=0.1, high=0.2, limit=0.18, n=400)
    drifted = Measurement("recent_risk", 0.22, method="since_drift", low=0.2, high=0.25, limit=limit, n=rows)
    triage = decided(*sound(5), result("concept", 5, "ok", sound_week, drifted))

    said = "The mean loss since the inputs drifted is 0.22 [0.2, 0.25], of 500 rows, limit 0.21."
    assert triage.action is action
    assert (action is Action.RETRAIN) == (said in triage.evidence)


def test_a_rise_of_the_loss_retrains_from_its_onset() -> None:
    """With rows enough since the onset, beside the held-out ones, the old concept is dropped."""
    onset = START + 3 * DAY
    drift = Measurement("onset_timestamp_seconds", onset.timestamp())
    days = [result("concept", day, "ok", Measurement("loss", 0.2, n=500)) for day in range(9)]
    alarm = result("concept", 9, "alarm", Measurement("loss", 0.3, n=500), drift)

    triage = decided(*days, alarm)
    assert triage.action is Action.RETRAIN
    assert triage.training is not None
    assert (triage.onset, triage.training.start, triage.training.old_weight) == (onset, onset, 1.0)


def test_a_young_concept_is_trained_with_the_old_one_weighed_down() -> None:
    """With too few new rows nothing is dropped: 2,000 old rows count as much as the 1,000 new ones."""
    onset = START + 4 * DAY
    drift = Measurement("onset_timestamp_seconds", onset.timestamp())
    days = [result("concept", day, "ok", Measurement("loss", 0.2, n=500)) for day in range(5)]
    alarm = result("concept", 5, "alarm", Measurement("loss", 0.3, n=500), drift)

    triage = decided(*days, alarm)
    assert triage.training is not None
    assert triage.training.start is None
    assert triage.training.old_weight == pytest.approx(0.5)


def test_a_slow_service_is_not_retrained() -> None:
    """Latency alone is for those who run the service; with harm beside it, the harm is retrained."""
    slow = result(
        "latency", 6, "alarm", Measurement("latency_seconds", 0.2, method="p99", low=0.1, limit=0.05)
    )

    alone = decided(*sound(6)[:2], slow)
    assert (alone.action, alone.cause) == (Action.FIX_INFRA, Cause.SERVICE)
    assert any("0.2 s, limit 0.05 s" in sentence for sentence in alone.evidence)
    assert decided(*sound(5), slow, result("performance", 6, "alarm", BAD)).action is Action.RETRAIN


def test_too_little_traffic_is_a_matter_of_the_infrastructure() -> None:
    """A drop in volume is not wrong data: nobody can repair a column."""
    triage = decided(*sound(5), result("quality", 6, "alarm", SPARSE))

    assert (triage.action, triage.cause) == (Action.FIX_INFRA, Cause.TRAFFIC)


def test_expected_harm_of_drifted_inputs_retrains_before_the_labels_come() -> None:
    """Drift with an estimate beyond its limit retrains; without drift it asks for labels."""
    drifted = [*sound(5), result("estimate", 6, "alarm", WORSE), result("drift", 6, "alarm")]

    triage = decided(*drifted)
    assert (triage.action, triage.cause) == (Action.RETRAIN, Cause.HARMFUL_DRIFT)
    assert (decided(*drifted[:-1]).action, decided(*drifted[:-1]).cause) == (
        Action.COLLECT_LABELS,
        Cause.UNSURE,
    )


def test_labels_have_the_last_word_over_the_estimate() -> None:
    """Where labels of half of the pooled windows since the drift show no harm, the estimate is overruled."""
    history = [result("drift", day, "alarm") for day in range(3, 8)]
    estimated = result("estimate", 7, "alarm", WORSE)
    fine = result("performance", 6, "ok", Measurement("performance", 0.8, method="roc_auc", limit=0.75))

    assert decided(*sound(2), *history, estimated, fine).action is Action.WATCH
    early = result("performance", 3, "ok", Measurement("performance", 0.8, method="roc_auc", limit=0.75))
    assert decided(*sound(2), *history, estimated, early).action is Action.RETRAIN


def test_a_benign_shift_is_watched() -> None:
    """Drift whose estimate expects no harm retrains nothing."""
    triage = decided(
        *sound(6), result("drift", 6, "alarm", Measurement("drifted_features_ratio", 0.5, limit=0.2))
    )

    assert (triage.action, triage.cause) == (Action.WATCH, Cause.BENIGN)
    assert any(sentence.startswith("50% of the features have drifted") for sentence in triage.evidence)


def test_drift_without_an_estimate_waits_for_its_labels_and_then_asks_for_them() -> None:
    """Until half of the pooled windows and the delay have passed it is watched; then somebody must label."""
    days = [result("drift", 0), *(result("drift", day, "alarm") for day in range(1, 4))]
    late = [*days, *(result("drift", day, "alarm") for day in range(4, 7))]

    assert (decided(*days[:2]).action, decided(*days[:2]).cause) == (Action.WATCH, Cause.PENDING)
    assert (decided(*late).action, decided(*late).cause) == (Action.COLLECT_LABELS, Cause.UNSURE)


def test_a_silent_label_source_asks_for_labels() -> None:
    """Enough predictions and too few labels after the delay: nobody knows how good the model is."""
    asked = Measurement("labels_available_ratio", 0.04, n=500)
    triage = decided(*sound(5), result("performance", 6, "no_data", UNKNOWN, asked, rows=20))

    assert (triage.action, triage.cause) == (Action.COLLECT_LABELS, Cause.NO_LABELS)
    assert "only 4%" in triage.why
    few = Measurement("labels_available_ratio", 1.0, n=20)
    assert (
        decided(*sound(5), result("performance", 6, "no_data", UNKNOWN, few, rows=20)).action is Action.NONE
    )


def test_unfair_groups_are_watched() -> None:
    """A difference between groups beyond its limit is told, and starts nothing by itself."""
    unfair = Measurement("fairness", 0.4, "x", "equalized_odds", low=0.3, high=0.5, limit=0.1)
    triage = decided(*sound(5), result("slices", 5, "alarm", unfair))

    assert (triage.action, triage.cause) == (Action.WATCH, Cause.GROUPS)
    assert "equalized_odds by x is 0.40, limit 0.10." in triage.evidence


@pytest.mark.parametrize(
    ("asked", "cause"),
    [(Due(schedule="it is Monday"), Cause.SCHEDULE), (Due(new_labels="many"), Cause.NEW_LABELS)],
)
def test_the_calendar_and_new_labels_retrain_a_sound_model(asked: Due, cause: Cause) -> None:
    """They need no harm, and a broken service comes first."""
    assert (decided(*sound(5), asked=asked).action, decided(*sound(5), asked=asked).cause) == (
        Action.RETRAIN,
        cause,
    )
    slow = result("latency", 6, "alarm")
    assert decided(*sound(5), slow, asked=asked).action is Action.FIX_INFRA


def test_the_schedule_is_due_once_a_line() -> None:
    """Monday at three is due until a retrain was started after it."""
    spec = model("{on: [{schedule: 0 3 * * 1}]}")
    monday = datetime(2024, 5, 6, 3, tzinfo=UTC)

    assert due(spec, monday - timedelta(seconds=1), START, None, 0).schedule is None
    assert "2024-05-06 03:00 UTC" in str(due(spec, monday, START, None, 0).schedule)
    assert due(spec, monday + DAY, START, monday, 0).schedule is None
    assert due(spec, monday + 7 * DAY, START, monday, 0).schedule is not None


def test_new_labels_are_due_at_their_number() -> None:
    """49,999 are not 50,000."""
    spec = model("{on: [{new_labels: 50000}]}")

    assert due(spec, START + DAY, START, None, 49_999).new_labels is None
    assert due(spec, START + DAY, START, None, 50_000).new_labels is not None
    assert due(model(), START + DAY, START, None, 50_000).new_labels is None


def test_a_decision_survives_its_payload() -> None:
    """What is stored as JSON comes back equal, times and windows too."""
    triage = decided(
        *sound(4), result("quality", 5, "alarm", BROKEN), *sound(6), result("performance", 6, "alarm", BAD)
    )

    assert Triage.of_payload(triage.payload()) == triage
    assert triage.payload()["outcome"] == "retrain"


def test_an_episode_is_one_event_and_every_window_one_result(tmp_path: Path) -> None:
    """Windows that decide the same add nothing; another action begins another, and its end is told."""
    with Store(f"sqlite:///{tmp_path / 'results.db'}") as store:
        bad = [[*sound(day), result("performance", day, "alarm", BAD)] for day in (5, 6)]
        days = [sound(4), *bad, sound(7), sound(8)]
        began = [episodes.save(store, decided(*day), DAY, START, 0.01) for day in days]

        assert began == [False, True, False, True, False]
        told = [event.payload["outcome"] for event in store.events("shop", kinds=["triage"])]
        assert told == ["retrain", "none"]
        assert [r.status for r in store.history("shop", "triage")] == ["ok", "alarm", "alarm", "ok", "ok"]
        assert episodes.latest(store, "shop") == decided(*days[3])


@pytest.mark.parametrize(
    ("effect", "p", "action"),
    [(-0.3, 0.01, Action.WATCH), (-0.1, 0.01, Action.NONE), (-0.3, 0.1, Action.NONE)],
)
def test_a_harmless_shift_of_the_labels_is_watched(effect: float, p: float, action: Action) -> None:
    """It must be sure and not small; where the loss rises with it, it is the reason of a retrain."""
    shift = Measurement("label_shift", effect, method="positive", limit=0.2, text="12% of the labels")
    sure = Measurement("label_shift_p_value", p, method="positive", limit=0.02)
    moved = result("performance", 5, "ok", shift, sure)
    risk = Measurement("recent_risk", 0.22, method="4d", low=0.2, high=0.25, limit=0.18, n=400)

    triage = decided(*sound(5), moved)
    assert triage.action is action
    assert (triage.cause is Cause.PRIOR_SHIFT) == (action is Action.WATCH)
    harmed = decided(*sound(5), moved, result("concept", 5, "ok", risk))
    assert harmed.action is Action.RETRAIN
    assert any("12% of the labels" in each for each in harmed.evidence) == (action is Action.WATCH)


def quiet(until: int, loss: float = 0.2, metric: float = 0.8) -> Triage:
    """The decision after harm on day 5 and days without an alarm, of which the last eight had a mean loss."""
    risk = Measurement("recent_risk", loss, method="8d", low=loss - 0.1, high=loss + 0.1, limit=0.5, n=800)
    look = Measurement("performance", metric, method="roc_auc", limit=0.7)
    expected = Measurement("expected_performance", 0.8, method="roc_auc", limit=0.77)
    harmed = [*sound(0), *sound(5), result("performance", 5, "alarm", BAD)]
    looks = [result("performance", day, "ok", look, expected) for day in range(6, until + 1)]
    days = [one for day in range(7, until + 2) for one in sound(day) if one.monitor != "performance"]
    results = [*harmed, *looks, *days, result("concept", until, "ok", risk, USUAL)]
    triage = decide(model(), Evidence.of("1", results, None, replace(decided(*harmed), at=START + 6 * DAY)))
    assert triage is not None
    return triage


def test_shown_harm_stands_until_labels_take_it_back() -> None:
    """Four windows are pooled: the eighth window without an alarm clears the model, the seventh does not."""
    assert (quiet(12).action, quiet(12).cause) == (Action.RETRAIN, Cause.PERFORMANCE)
    assert quiet(12).why.startswith("Labels showed harm by 2024-05-07 00:00, and have not taken it back.")
    assert quiet(13).action is Action.NONE


def test_a_quiet_week_that_is_no_better_clears_nothing() -> None:
    """A mean loss of 0.23 where 0.22 is tolerated, or a metric of 0.76 where 0.77 is, keeps the request."""
    assert quiet(13, loss=0.23).action is Action.RETRAIN
    assert quiet(13, loss=0.215).action is Action.NONE
    assert quiet(13, metric=0.76).action is Action.RETRAIN
    assert quiet(13, metric=0.775).action is Action.NONE


def test_harm_of_a_version_does_not_stand_for_the_next() -> None:
    """What was asked of version 1 is nothing to version 2."""
    before = replace(decided(*sound(5), result("performance", 5, "alarm", BAD)), version="0")
    triage = decide(model(), Evidence.of("1", sound(5), None, before))
    assert triage is not None
    assert triage.action is Action.NONE


def test_a_repair_does_not_settle_a_retrain(tmp_path: Path) -> None:
    """The decision that stands is the newest that is no repair of data or of the service."""
    harm = decided(*sound(5), result("performance", 5, "alarm", BAD))
    fault = decided(*sound(6), result("quality", 6, "alarm", BROKEN))
    with Store(f"sqlite:///{tmp_path / 'results.db'}") as store:
        assert episodes.standing(store, "shop") is None
        for at, triage in enumerate((harm, fault)):
            episodes.save(store, triage, DAY, START + at * DAY, 0.0)
        assert episodes.latest(store, "shop") == fault
        assert episodes.standing(store, "shop") == harm


@pytest.mark.parametrize(("days", "action"), [(3, Action.WATCH), (4, Action.RETRAIN)])
def test_an_interval_of_a_versions_first_windows_proves_nothing(days: int, action: Action) -> None:
    """Four windows are pooled: of three nobody knows how much they differ, however far the interval lies."""
    first = [result("performance", 4 - days, "ok"), result("performance", 3, "alarm", BAD)]
    triage = decide(model(), Evidence.of("1", first))
    assert triage is not None
    assert triage.action is action
