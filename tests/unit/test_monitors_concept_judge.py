from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, mean_absolute_error, zero_one_loss

from monitors.concept.blocks import BlockLoss, block_losses, mean_error, whole_days
from monitors.concept.judge import judge
from monitors.concept.losses import errors, losses, scale_of
from monitors.concept.source import Source
from monitors.concept.streams import stream_drifts
from monitors.detectors.streams import drifts
from monitors.finding import Finding, NoData
from monitors.performance import Truth
from monitors.results.records import Measurement
from monitors.windows import EPOCH, Window
from spec import DataError, ModelSpec, Task, loads

DAY = 86_400 * 10**6
HOUR = DAY // 24


def spec(task: str = "binary", window: str = "1d", detector: str = "null", *, classes: str = "") -> ModelSpec:
    """A small model."""
    return loads(
        f"""
model: shop
task: {task}
data: {{inference_log: log, labels: labels, id: id, time: t, target: {{name: y{classes}}}}}
features: {{amount: numeric}}
monitor: {{window: {window}, concept_drift: {{detector: {detector}}}}}
""",
        "shop",
    )


def binary(first: int, days: int, *, flipped: float = 0.0, rows: int = 200, seed: int = 0) -> Truth:
    """Calibrated scores from day `first` on; a share of the truth is turned over."""
    random = np.random.default_rng([seed, first])
    logit = random.normal(0, 1.5, days * rows)
    labels = random.random(days * rows) < 1 / (1 + np.exp(-logit))
    labels ^= random.random(days * rows) < flipped
    times = (first + np.repeat(np.arange(days), rows)) * DAY + random.integers(0, DAY, days * rows)
    return Truth(1 / (1 + np.exp(-logit))[:, None], labels.astype(float), times)


def source(truth: Truth, of: ModelSpec) -> Source:
    """The source, which must exist."""
    found = Source.of(truth, of)
    assert isinstance(found, Source)
    return found


def day(number: int) -> datetime:
    """The start of a day, counted from the epoch."""
    return EPOCH + timedelta(days=number)


def named(finding: Finding, name: str) -> Measurement:
    """The measurement of a name, which must exist."""
    return next(each for each in finding.measurements if each.name == name)


def test_the_binary_loss_is_brier_s() -> None:
    """Its mean is scikit-learn's Brier score, and an error is scikit-learn's 0-1 loss."""
    rows = binary(0, 2)

    assert losses(rows, Task.BINARY).mean() == pytest.approx(brier_score_loss(rows.labels, rows.scores[:, 0]))
    assert errors(rows, Task.BINARY).mean() == pytest.approx(
        zero_one_loss(rows.labels, rows.scores[:, 0] >= 0.5)
    )


def test_the_multiclass_loss_is_brier_s_on_a_scale_to_one() -> None:
    """It is half of scikit-learn's multiclass Brier score, so that a sure error costs 1."""
    random = np.random.default_rng(0)
    scores = random.dirichlet([1, 1, 1], 300)
    rows = Truth(scores, random.integers(0, 3, 300).astype(float), np.zeros(300, dtype=np.int64))
    sure = Truth(np.array([[1.0, 0.0, 0.0]]), np.array([2.0]), np.zeros(1, dtype=np.int64))

    expected = brier_score_loss(rows.labels, scores, scale_by_half=True, labels=[0, 1, 2])

    assert losses(rows, Task.MULTICLASS).mean() == pytest.approx(expected)
    assert losses(sure, Task.MULTICLASS).tolist() == [1.0]
    assert errors(sure, Task.MULTICLASS).tolist() == [1.0]


def test_the_loss_of_a_value_is_its_error_up_to_the_scale() -> None:
    """Below the 99.5 % quantile it is the absolute error in parts of it; one absurd row costs 1."""
    random = np.random.default_rng(0)
    labels = random.normal(0, 1, 10_000)
    rows = Truth((labels + random.uniform(-1, 1, 10_000))[:, None], labels, np.zeros(10_000, dtype=np.int64))
    scale = scale_of(rows, Task.REGRESSION)
    absurd = Truth(np.array([[1e300]]), np.array([0.0]), np.zeros(1, dtype=np.int64))

    assert scale == pytest.approx(0.995, abs=0.005)
    assert losses(rows, Task.REGRESSION, scale).mean() * scale == pytest.approx(
        mean_absolute_error(labels, rows.scores[:, 0]), rel=1e-3
    )
    assert losses(absurd, Task.REGRESSION, scale).tolist() == [1.0]


@pytest.mark.parametrize("task", [Task.BINARY, Task.REGRESSION])
def test_a_score_that_is_not_finite_is_the_worst(task: Task) -> None:
    """NaN and infinity cost 1 and never leave NaN behind."""
    rows = Truth(np.array([[np.nan], [np.inf]]), np.array([0.0, 1.0]), np.zeros(2, dtype=np.int64))

    assert losses(rows, task).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(("scores", "expected"), [([1.0, 2.0], 0.5), ([np.nan, np.nan], 1.0)])
def test_a_perfect_reference_has_a_scale(scores: list[float], expected: float) -> None:
    """Without an ordinary error the scale is the labels' spread; without a number it is 1."""
    rows = Truth(np.array(scores)[:, None], np.array([1.0, 2.0]), np.zeros(2, dtype=np.int64))

    assert scale_of(rows, Task.REGRESSION) == pytest.approx(expected)


def test_blocks_of_hours_add_up_to_those_of_days() -> None:
    """Hours put together are the day's block, whatever the order they come in."""
    rows = binary(0, 3)
    hours, days = block_losses(rows, spec(window="1h")), block_losses(rows, spec())

    together = whole_days(hours[::-1], timedelta(hours=1), day(3))

    assert len(hours) == 72
    for mine, expected in zip(together, days, strict=True):
        assert (mine.start, mine.rows) == (expected.start, expected.rows)
        assert (mine.mean, mine.variance) == pytest.approx((expected.mean, expected.variance))
        assert mine.growth == pytest.approx(expected.growth)


def test_a_day_counts_once_it_is_over() -> None:
    """At 23:00 the day is no block yet; at 24:00 it is."""
    hours = block_losses(binary(0, 2), spec(window="1h"))
    length = timedelta(hours=1)

    assert len(whole_days(hours[:-1], length, day(2) - length)) == 1
    assert len(whole_days(hours, length, day(2))) == 2


def test_weeks_stay_weeks() -> None:
    """Windows longer than a day are blocks of their own."""
    length = timedelta(days=7)
    weeks = block_losses(binary(0, 21), spec(window="7d"))

    assert whole_days(weeks, length, day(21)) == weeks


def test_a_block_survives_json() -> None:
    """What is read back is what was kept."""
    (block,) = block_losses(binary(0, 1), spec())

    assert BlockLoss.from_record(json.loads(json.dumps(block.to_record()))) == block


def test_an_impossible_block_names_all_that_is_wrong() -> None:
    """Every problem of a damaged record is told at once, NaN among them."""
    with pytest.raises(DataError) as caught:
        BlockLoss(datetime(2024, 1, 1), 0, float("nan"), 2.0, ())  # noqa: DTZ001 - the point

    assert [each.where for each in caught.value.problems] == ["start", "rows", "mean", "variance", "growth"]


def test_the_error_of_a_mean_is_that_of_equal_days() -> None:
    """With days of one size it is the standard error of the days' means."""
    days = block_losses(binary(0, 12), spec())
    means = np.array([each.mean for each in days])

    assert mean_error(days) == pytest.approx(means.std(ddof=1) / np.sqrt(12))
    assert mean_error(days[:1]) is None


def test_harm_is_an_alarm_with_its_onset() -> None:
    """A turned-over quarter of the truth is proved, and dated to the day; before it nothing alarms."""
    model = spec()
    known = source(binary(0, 20), model)
    blocks = block_losses(binary(20, 40), model) + block_losses(binary(60, 20, flipped=0.25), model)

    before = judge(model, known, blocks[:40], day(60))
    after = judge(model, known, blocks, day(80))

    rise, e_value, risk = (named(after, name) for name in ("concept_drift", "concept_drift_e_value", "risk"))
    onset = named(after, "onset_timestamp_seconds")
    assert (before.status, after.status) == ("ok", "alarm")
    assert before.rows == 8000
    assert named(before, "concept_drift").value <= 0.1 < rise.value
    assert rise.limit == 0.1
    assert e_value.limit == pytest.approx(np.log10(200))
    assert e_value.value > np.log10(200)
    assert risk.low is not None
    assert risk.high is not None
    assert risk.low < np.mean([each.mean for each in blocks[-7:]]) < risk.high
    assert onset.low is not None
    assert onset.high is not None
    assert abs(onset.value - day(60).timestamp()) <= 2 * 86_400
    assert onset.low <= onset.value <= onset.high


def test_labels_that_come_late_change_the_verdict_as_if_they_had_been_there() -> None:
    """Only the records matter: a day judged again with all its labels is a day that had them at once."""
    model = spec()
    known, rows = source(binary(0, 20), model), binary(20, 10, flipped=0.25)
    known_early = np.random.default_rng(0).random(len(rows)) < 0.1
    early = Truth(rows.scores[known_early], rows.labels[known_early], rows.times[known_early])
    full = block_losses(rows, model)

    first = judge(model, known, block_losses(early, model), day(30))
    again = judge(model, known, full[::-1], day(30))

    assert again == judge(model, known, full, day(30))
    assert (first.rows, again.rows) == (known_early.sum(), len(rows))
    assert named(first, "concept_drift").value < named(again, "concept_drift").value


@pytest.mark.parametrize("has_source", [True, False])
def test_without_evidence_there_is_no_verdict(has_source: bool) -> None:
    """No source, or no labelled day, is no_data with a reason; the risk is told where it is known."""
    model = spec()
    known = source(binary(0, 20), model) if has_source else NoData("the version has no source")
    blocks = [] if has_source else block_losses(binary(20, 1), model)

    finding = judge(model, known, blocks, day(21))

    assert finding.status == "no_data"
    assert named(finding, "no_data").text
    assert any(each.name == "risk" for each in finding.measurements) == (not has_source)


def test_a_detector_of_streams_counts_its_drifts_in_the_window() -> None:
    """ADWIN finds, in rows given in any order, what river finds in the losses in order of time."""
    model = spec(detector="adwin")
    calm, bad = binary(0, 10), binary(10, 4, flipped=0.4)
    rows = Truth(
        *(
            np.concatenate(pair)
            for pair in zip(*((t.scores, t.labels, t.times) for t in (bad, calm)), strict=True)
        )
    )
    order = np.argsort(rows.times)
    expected = [rows.times[order][row] for row in drifts("adwin", losses(rows, Task.BINARY)[order].tolist())]

    found = stream_drifts(model, rows, Window(day(10), day(14)))
    quiet = stream_drifts(model, rows, Window(day(0), day(10)))

    assert found is not None
    assert quiet is not None
    assert found.value == sum(time >= 10 * DAY for time in expected) >= 1
    assert quiet.value == len(expected) - found.value


def test_no_detector_says_nothing() -> None:
    """A spec without a detector has no measurement of one."""
    assert stream_drifts(spec(), binary(0, 1), Window(day(0), day(1))) is None


def test_all_blocks_start_in_utc() -> None:
    """Starts are the windows' own, aligned to the epoch."""
    starts = [each.start for each in block_losses(binary(3, 2), spec(window="12h"))]

    assert starts == [datetime(1970, 1, 4, tzinfo=UTC) + timedelta(hours=12 * at) for at in range(4)]


def test_a_window_without_labels_has_no_block() -> None:
    """Nothing is known of it, and that is no error."""
    nothing = Truth(np.empty((0, 1)), np.empty(0), np.empty(0, dtype=np.int64))

    assert block_losses(nothing, spec()) == ()
