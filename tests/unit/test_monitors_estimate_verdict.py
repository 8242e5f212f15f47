from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from monitors import estimate_verdict
from monitors.estimators.bands import Expected, Pair
from monitors.finding import NoData
from monitors.references import Band
from monitors.results.records import Measurement, MonitorName, WindowResult
from monitors.windows import Window
from spec import ModelSpec, PerformanceMetric, loads

DAY = timedelta(days=1)
START = datetime(2024, 5, 1, tzinfo=UTC)
BANDS = {"roc_auc": Band(0.80, 0.79, 0.81)}


def model(metric: str = "roc_auc") -> ModelSpec:
    """Verdicts over three days, a loss of 0.02 matters."""
    return loads(
        "{model: shop, task: binary, features: {x: numeric}, "
        f"monitor: {{performance: {{metric: {metric}, over: 3, drop: 0.02}}}}, "
        "data: {inference_log: a, labels: b, id: id, time: t, target: {name: z, delay: 1d}}}"
    )


def expected(value: float, reach: float = 0.01) -> Expected:
    """An estimate with a band."""
    return Expected(value, value - reach, value + reach, 600, "cbpe")


def result(monitor: MonitorName, day: int, *numbers: Measurement, status: str = "ok") -> WindowResult:
    """The result of one day."""
    start = START + day * DAY
    return WindowResult(
        "shop",
        "1",
        monitor,
        start,
        start + DAY,
        600,
        status,
        numbers,
        start,
        0.1,
        None,
        "abc",  # type: ignore[arg-type]
    )


def past(day: int, raw: float, realised: float) -> list[WindowResult]:
    """A day's estimate before any correction, and what its labels showed."""
    return [
        result(
            "estimate",
            day,
            Measurement(
                estimate_verdict.RAW,
                raw,
                method="roc_auc",
                low=raw - 0.01,
                high=raw + 0.01,
                n=600,
                text="cbpe",
            ),
        ),
        result("performance", day, Measurement("performance", realised, method="roc_auc")),
    ]


@pytest.mark.parametrize(
    ("value", "reach", "status"), [(0.80, 0.01, "ok"), (0.75, 0.01, "alarm"), (0.75, 0.06, "ok")]
)
def test_an_estimate_alarms_when_all_of_its_band_is_beyond_the_limit(
    value: float, reach: float, status: str
) -> None:
    """The limit allows for the drop that matters and for the noise of both; a wide band is no proof."""
    found = estimate_verdict.judge(
        model(), {PerformanceMetric.ROC_AUC: expected(value, reach)}, BANDS, (), 600
    )

    assert found.status == status
    told, raw = found.measurements
    assert (told.name, told.value, raw.name) == ("estimated_performance", value, "estimated_performance_raw")
    assert told.limit is not None
    assert told.limit <= 0.78


def test_an_error_alarms_above_its_limit() -> None:
    """Where lower is better the band's lower end decides."""
    bands = {"log_loss": Band(0.40, 0.39, 0.41)}
    metric = PerformanceMetric.LOG_LOSS

    assert estimate_verdict.judge(model("log_loss"), {metric: expected(0.5)}, bands, (), 9).status == "alarm"
    assert estimate_verdict.judge(model("log_loss"), {metric: expected(0.3)}, bands, (), 9).status == "ok"


def test_without_an_estimate_or_a_band_there_is_no_verdict() -> None:
    """The reason is told; nothing passes for well."""
    missing = {PerformanceMetric.ROC_AUC: NoData("20 rows; 30 are needed")}
    (told,) = estimate_verdict.judge(model(), missing, BANDS, (), 20).measurements

    assert told.text == "20 rows; 30 are needed"
    unbound = estimate_verdict.judge(model(), {PerformanceMetric.ROC_AUC: expected(0.5)}, {}, (), 600)
    assert unbound.status == "no_data"
    assert unbound.measurements[-1].text is not None


def test_past_labels_move_the_estimate() -> None:
    """An estimator that was always 0.1 too high is believed no longer."""
    misses = [Pair(expected(0.80), 0.70)] * 6
    found = estimate_verdict.judge(model(), {PerformanceMetric.ROC_AUC: expected(0.80)}, BANDS, misses, 600)

    assert found.measurements[0].value == pytest.approx(0.70, abs=0.03)
    assert found.measurements[1].value == 0.80


def test_pairs_are_of_spans_that_do_not_overlap() -> None:
    """Of ten days with both numbers, every third is taken, back from the span that is estimated now."""
    results = [one for day in range(10) for one in past(day, 0.8 + day / 1000, 0.7)]
    now = Window(START + 8 * DAY, START + 11 * DAY)

    found = estimate_verdict.pairs(model(), results, now)
    assert [round(1000 * (pair.expected.value - 0.8)) for pair in found] == [1, 4, 7]
    assert {pair.realised for pair in found} == {0.7}
    assert found[0].expected.low == pytest.approx(found[0].expected.value - 0.01)


def test_a_span_without_labels_is_no_pair() -> None:
    """What was not measured corrects nothing."""
    estimate, _ = past(0, 0.8, 0.7)
    unmeasured = result("performance", 0, Measurement("performance", 0.7, method="roc_auc"), status="no_data")

    assert (
        estimate_verdict.pairs(model(), [estimate, unmeasured], Window(START + 5 * DAY, START + 8 * DAY))
        == ()
    )
