from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from monitors.operations.anomalies import Figure, anomalies
from monitors.operations.history import Timeline, lookback, of_results
from monitors.operations.jump import jump, medians_of_others
from monitors.results.records import Measurement, WindowResult
from monitors.windows import Window
from spec.latency import Latency

START = datetime(2026, 1, 1, tzinfo=UTC)  # a Thursday
DAY, HOUR, WEEK = timedelta(days=1), timedelta(hours=1), timedelta(weeks=1)
RULE = Latency()
P95 = "latency_p95"


def judge(values: np.ndarray, length: timedelta = DAY, rule: Latency = RULE) -> tuple[Measurement, ...]:
    """Judge the last of some windows that follow one another, by those before it."""
    starts = [START + index * length for index in range(len(values))]
    window = Window(starts[-1], starts[-1] + length)
    past = Timeline.of(window, dict(zip(starts[:-1], values[:-1].tolist(), strict=True)))
    last = float(values[-1])
    return anomalies({P95: Figure(last, last)}, {P95: past}, rule)


def noise(windows: int, deviation: float = 0.1, seed: int = 0) -> np.ndarray:
    """Seconds of windows that are alike but for chance."""
    return 0.015 * np.exp(np.random.default_rng(seed).normal(0, deviation, windows))


def test_a_jump_is_told_in_one_sentence() -> None:
    """The newest figure, and where nine of ten windows were."""
    values = np.append(0.015 * np.exp(0.1 * np.linspace(-1, 1, 21)), 0.041)

    (found,) = judge(values)

    assert (found.name, found.feature, found.method, found.n) == ("anomaly", P95, "jump", 21)
    assert found.text == "The latency's p95 is 41 ms, usually 13.5 to 16.6 ms"
    assert found.value == pytest.approx(0.041 / 0.015)
    assert found.low is not None
    assert found.high is not None
    assert found.limit is not None
    assert found.low < 1 < found.high < found.limit < found.value


def test_what_is_smaller_than_matters_is_no_anomaly() -> None:
    """However sure, a rise below the spec's factor is none; just above it is one; null looks for none."""
    steady = noise(40, deviation=0.005)

    assert judge(np.append(steady, 0.015 * 1.47)) == ()
    assert len(judge(np.append(steady, 0.015 * 1.53))) == 1
    assert judge(np.append(steady, 1.5), rule=Latency(anomaly=None)) == ()


def test_what_chance_brings_is_no_anomaly() -> None:
    """Twice the usual is an anomaly of a steady service, and none of one that always varied so much."""
    assert len(judge(np.append(noise(50, deviation=0.1), 0.03))) == 1
    assert judge(np.append(noise(50, deviation=0.4), 0.03)) == ()


def test_the_second_window_in_a_row_needs_less() -> None:
    """Three quarters more than usual may be chance once, for a service that varies so; not twice."""
    usual = noise(50, deviation=0.1)

    assert judge(np.append(usual, 0.0263)) == ()
    assert len(judge(np.append(usual, [0.0263, 0.0263]))) == 1
    assert judge(np.append(usual, [0.0263, 0.015, 0.0263])) == ()


def test_a_figure_must_be_surely_high() -> None:
    """Of few rows a percentile says little: its lower bound is what counts."""
    starts = [START + index * DAY for index in range(30)]
    past = Timeline.of(Window(START + 30 * DAY, START + 31 * DAY), dict.fromkeys(starts, 0.01))

    assert anomalies({P95: Figure(0.1, 0.012)}, {P95: past}, RULE) == ()
    assert len(anomalies({P95: Figure(0.1, 0.016)}, {P95: past}, RULE)) == 1


def test_a_fall_is_no_anomaly() -> None:
    """A service that became ten times faster harms nobody."""
    assert judge(np.append(noise(50), 0.0015)) == ()


@pytest.mark.parametrize(("windows", "length"), [(7, DAY), (100, HOUR)])
def test_nothing_is_said_before_a_week_and_eight_windows_are_known(windows: int, length: timedelta) -> None:
    """A version that nobody knows yet is judged by its objective alone."""
    assert judge(np.append(noise(windows), 1.0), length) == ()
    assert len(judge(np.append(noise(200), 1.0), length)) == 1


def test_mondays_are_compared_with_mondays() -> None:
    """Three times slower each Monday is usual from the fifth week on; on a Tuesday it is not."""
    rhythm = np.where(np.arange(56) % 7 == 4, 3.0, 1.0)  # Mondays, for the first day is a Thursday
    values = noise(56) * rhythm

    assert judge(values[:54]) == ()
    assert [found.method for found in judge(np.append(values[:54], 0.045))] == ["jump"]


def test_hours_are_compared_with_the_same_hours() -> None:
    """A busy noon is usual from the second week on; the same figure at midnight is an anomaly."""
    rhythm = np.where(np.arange(24 * 15) % 24 == 12, 3.0, 1.0)
    values = noise(24 * 15, deviation=0.05) * rhythm

    assert judge(values[: 24 * 14 + 13], HOUR) == ()
    assert len(judge(np.append(values[: 24 * 14], 0.045), HOUR)) == 1


def test_a_creep_is_seen_though_no_window_jumps() -> None:
    """9 % a week: what is usual moves along, the weeks' medians tell."""
    values = noise(64, deviation=0.1) * 1.09 ** (np.arange(64) / 7)

    (found,) = judge(values)

    assert (found.method, found.n) == ("creep", 9)
    assert found.text is not None
    assert found.text.startswith("The latency's p95 has risen from 1")
    assert found.text.endswith("ms over 9 weeks")
    assert found.value == pytest.approx(1.09**8, rel=0.1)


def test_a_rise_within_few_weeks_or_of_little_size_is_no_creep() -> None:
    """Five weeks are too few to tell a trend; 3 % a week is less than matters."""
    assert judge(noise(35, deviation=0.02) * 1.08 ** (np.arange(35) / 7)) == ()
    assert judge(noise(64, deviation=0.02) * 1.03 ** (np.arange(64) / 7)) == ()


@pytest.mark.parametrize("law", ["normal", "laplace"])
def test_chance_keeps_its_budget(law: str) -> None:
    """A jump of any size, at a chance of 1 %, is found in at most 1 % of windows (+ 3 deviations)."""
    random, looks = np.random.default_rng(1), 1500
    starts = [START + index * DAY for index in range(21)]
    window = Window(starts[-1], starts[-1] + DAY)
    found = 0
    for _ in range(looks):
        logs = getattr(random, law)(0, 0.2, 21)
        past = Timeline.of(window, dict(zip(starts[:-1], np.exp(logs[:-1]).tolist(), strict=True)))
        found += jump(past, float(logs[-1]), 0.0, 0.01) is not None

    assert found / looks <= 0.01 + 3 * np.sqrt(0.01 * 0.99 / looks)


@pytest.mark.parametrize("size", [2, 3, 4, 7, 8])
def test_the_median_of_the_others_is_numpys(size: int) -> None:
    """Leaving each value out in turn."""
    ordered = np.sort(np.random.default_rng(size).normal(size=size))
    expected = [np.median(np.delete(ordered, index)) for index in range(size)]

    assert medians_of_others(ordered) == pytest.approx(expected)


def result(start: datetime, version: str, numbers: Mapping[str, float], rate: float) -> WindowResult:
    """What the latency monitor stored of a version and day."""
    measured = [Measurement("latency_seconds", value, method=name) for name, value in numbers.items()]
    measured.append(Measurement("throughput_rows_per_second", rate))
    return WindowResult(
        "shop", version, "latency", start, start + DAY, 9, "ok", tuple(measured), start, 0.1, None, "abc"
    )


def test_the_past_is_read_from_stored_results() -> None:
    """Latencies are the version's own, the traffic is that of all; what is too old or too new is left out."""
    window = Window(START + 70 * DAY, START + 71 * DAY)
    begin, end = lookback(window)
    results = [
        result(begin - DAY, "1", {"p95": 9.0}, 9.0),
        result(end - DAY, "2", {"p95": 0.5}, 1.0),
        result(end - DAY, "1", {"p50": 0.1, "p95": 0.2}, 2.0),
        result(end, "1", {"p95": 9.0}, 9.0),
    ]

    history = of_results(results, "1", window)

    assert {name: np.exp(line.logs).round(9).tolist() for name, line in history.items()} == {
        "latency_p50": [0.1],
        "latency_p95": [0.2],
        "latency_p99": [],
        "throughput": [3.0],
    }
    assert end - begin == 9 * WEEK
