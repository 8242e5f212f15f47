"""What an interval must rest on before its alarm counts as harm: full windows, and days with labels."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from monitors.performance import FEWEST_DAYS, Estimate, Truth, estimate
from monitors.results.records import Measurement, WindowResult
from monitors.triage import Action, Cause, Evidence, decide
from spec import ModelSpec, PerformanceMetric, loads

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
START = datetime(2024, 5, 1, tzinfo=UTC)
BAD = Measurement("performance", 0.7, method="roc_auc", low=0.68, high=0.72, limit=0.75, n=2000)


def model(window: str = "1d", over: int = 7) -> ModelSpec:
    """A model whose verdicts pool a week of days, or as told."""
    return loads(
        "{model: shop, task: binary, features: {x: numeric}, "
        f"monitor: {{window: {window}, performance: {{over: {over}, min_labels: 100}}}}, "
        "data: {inference_log: a, labels: b, id: id, time: t, target: {name: z, delay: 1d}}}"
    )


def decided(spec: ModelSpec, served: int, labelled: Collection[int]) -> tuple[Action, Cause]:
    """The decision on a version that served so many windows; the newest of the labelled ones alarms.

    Windows without labels were asked for theirs in vain, as far as the newest that has some.
    """
    length, newest = spec.monitor.window, max(labelled)
    results = [_result("quality", at, length) for at in range(served)]
    for at in range(newest + 1):
        own = (Measurement("window_labels", 0.3, method="positive", n=300),) if at in labelled else ()
        told = (BAD, *own) if at == newest else own
        results.append(_result("performance", at, length, *told, alarm=at == newest))
    triage = decide(spec, Evidence.of("1", results))
    assert triage is not None
    return triage.action, triage.cause


def _result(
    monitor: str, at: int, length: timedelta, *numbers: Measurement, alarm: bool = False
) -> WindowResult:
    start = START + at * length
    return WindowResult(
        "shop", "1", monitor, start, start + length, 300, "alarm" if alarm else "ok", numbers,  # type: ignore[arg-type]
        computed_at=start, duration_s=0.0, reference=None, code_revision="x",
    )  # fmt: skip


def test_a_first_week_accuses_nobody_even_when_its_labels_come_weeks_later() -> None:
    """It is by their own time that windows are a version's first ones, not by that of their labels."""
    for served in (6, 30):
        assert decided(model(), served, range(6)) == (Action.WATCH, Cause.PENDING)
    assert decided(model(), 30, range(7)) == (Action.RETRAIN, Cause.PERFORMANCE)


@pytest.mark.parametrize(
    ("labelled", "action"),
    [
        ((14, 16, 18, 20), Action.WATCH),
        ((14, 15, 16, 18, 20), Action.RETRAIN),
        ((9, 10, 11, 12, 13, 18, 19, 20), Action.WATCH),  # many, of which three days are pooled
    ],
)
def test_an_interval_of_few_labelled_days_is_watched(labelled: tuple[int, ...], action: Action) -> None:
    """Labels that are late or missing in between leave a week of four days: they say little of a week."""
    assert decided(model(), 21, labelled)[0] is action


def test_where_few_days_are_pooled_they_are_enough() -> None:
    """A day of hourly windows never has five days; who asks for that is answered."""
    assert decided(model("1h", 24), 48, range(48))[0] is Action.RETRAIN


def test_few_days_accuse_a_sound_model_oftener() -> None:
    """Days differ: where rows stand in for four of them the interval misses the truth much oftener."""
    random, day = np.random.default_rng(0), 86_400 * 10**6
    missed = dict.fromkeys((FEWEST_DAYS - 1, FEWEST_DAYS), 0)
    for days in missed:
        for _ in range(150):
            rates = np.clip(random.normal(0.7, 0.1, days), 0, 1)
            right = random.random((days, 200)) < rates[:, None]
            times = np.repeat(np.arange(days) * day, 200).astype(np.int64)
            truth = Truth(np.ones((days * 200, 1)), right.astype(float).ravel(), times)
            found = estimate(truth, PerformanceMetric.ACCURACY, resamples=100)
            assert isinstance(found, Estimate)
            missed[days] += found.high < 0.7

    assert missed[FEWEST_DAYS - 1] > 2 * missed[FEWEST_DAYS]
