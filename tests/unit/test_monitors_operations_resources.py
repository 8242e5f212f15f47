"""What a version takes in its slot, held against its own past: memory, and CPU time a row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pytest

from monitors import latency
from monitors.operations.history import CPU, MEMORY, of_results
from monitors.operations.load import Load
from monitors.results.records import Measurement, WindowResult
from monitors.triage import Action, Cause, Evidence, decide
from monitors.windows import Window
from spec import loads

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SPEC = loads(
    "{model: shop, task: binary, features: {x: numeric}, "
    "data: {inference_log: a, labels: b, id: id, time: t, target: {name: y}}}"
)
LATENCIES = np.full(100, 10.0)
Floats = npt.NDArray[np.float64]
Change = Callable[[Floats, Floats, Floats], None]


def taken(rows: float, cpu: float, memory: float) -> tuple[Measurement, ...]:
    """What a meter tells of a day."""
    return (
        Measurement(MEMORY, memory, method="blue", n=90),
        Measurement(CPU, cpu, method="blue", n=int(rows)),
    )


def service(days: int, seed: int, growth: float = 0.0) -> tuple[Floats, Floats, Floats]:
    """Rows, CPU seconds (most of them overhead) and bytes of days; the process restarts now and then."""
    random, at = np.random.default_rng(seed), np.arange(days)
    week = np.where(at % 7 >= 5, 0.5, 1.0) * np.exp(growth * at / 7)
    rows = 20_000 * week * np.exp(random.normal(0, 0.2, days))
    cpu = (600 + 0.01 * rows) * np.exp(random.normal(0, 0.1, days))
    warm = 1 - 0.3 * np.exp(-(at % 17 + 0.5) / 2)
    return rows, cpu, 300e6 * warm * np.exp(random.normal(0, 0.05, days))


def judged(days: tuple[Floats, Floats, Floats], first: int) -> list[tuple[int, WindowResult]]:
    """The latency monitor's results of the days from `first` on, each judged by those before it."""
    results: list[WindowResult] = []
    for day, (rows, cpu, memory) in enumerate(zip(*days, strict=True)):
        window = Window(START + day * DAY, START + (day + 1) * DAY)
        numbers = taken(rows, cpu, memory)
        if day >= first:
            past = of_results(results[-63:], "1", window)
            numbers = latency.judge(LATENCIES, DAY, SPEC, past, None, numbers).measurements
        results.append(
            WindowResult(
                "shop", "1", "latency", window.start, window.end, 9, "ok", numbers, START, 0.1, None, "abc"
            )
        )
    return list(enumerate(results))[first:]


def told(results: list[tuple[int, WindowResult]]) -> set[tuple[str | None, str | None]]:
    """Figures and kinds of all anomalies."""
    found = (number for _, result in results for number in result.measurements)
    return {(number.feature, number.method) for number in found if number.name == "anomaly"}


@pytest.mark.parametrize("growth", [0.0, 0.1, -0.1])
def test_chance_restarts_and_traffic_are_no_anomaly(growth: float) -> None:
    """Weekends at half the traffic, weeks that grow or shrink by a tenth, a process that warms up anew."""
    for seed in range(2):
        assert told(judged(service(100, seed, growth), 10)) == set()


def _memory_doubles(_rows: Floats, _cpu: Floats, memory: Floats) -> None:
    memory[60:] *= 2


def _memory_leaks(_rows: Floats, _cpu: Floats, memory: Floats) -> None:
    memory *= 1.09 ** (np.arange(len(memory)) / 7)


def _rows_cost_more(_rows: Floats, cpu: Floats, _memory: Floats) -> None:
    cpu[60:] *= 2


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (_memory_doubles, ("memory_blue", "jump")),
        (_memory_leaks, ("memory_blue", "creep")),
        (_rows_cost_more, ("cpu_blue", "jump")),
    ],
)
def test_a_step_and_a_leak_are_found_and_named(change: Change, found: tuple[str, str]) -> None:
    """Memory that doubles, or grows by 9 % a week; CPU time that doubles under the same traffic."""
    for seed in range(2):
        days = service(68, seed)
        change(*days)

        assert told(judged(days, 57)) == {found}


def test_the_decision_names_the_slot_and_what_it_takes() -> None:
    """An alarm of the latency monitor, which the triage hands to people with the figure in its words."""
    rows, cpu, memory = service(40, 0)
    memory[:] = 250e6
    memory[-1] = 612e6
    *_, (_, newest) = judged((rows, cpu, memory), 39)
    window = Window(newest.start, newest.end)
    past = of_results([result for _, result in judged((rows, cpu, memory), 0)[:-1]], "1", window)
    finding = latency.judge(LATENCIES, DAY, SPEC, past, None, taken(rows[-1], cpu[-1], 612e6))
    alarm = WindowResult(
        "shop", "1", "latency", window.start, window.end, 9, finding.status, finding.measurements, START, 0.1,
        None, "abc",
    )  # fmt: skip

    triage = decide(SPEC, Evidence.of("1", [alarm]))

    assert finding.status == "alarm"
    assert triage is not None
    assert (triage.action, triage.cause) == (Action.FIX_INFRA, Cause.SERVICE)
    assert triage.why.endswith("The memory of slot blue is 612 MB, usually 250 MB.")
    assert "The memory of slot blue is 612 MB, usually 250 MB." in triage.evidence


def test_overhead_is_taken_out_of_the_time_of_a_row() -> None:
    """Where rows cost nothing the power is 0, where they cost all it is 1; quiet days cost no more a row."""
    counts = [100, 200, 400, 800]

    idle = Load.of([(60.0, rows) for rows in counts])
    busy = Load.of([(0.5 * rows, rows) for rows in counts])

    assert (idle.power, busy.power) == pytest.approx((0.0, 1.0))
    assert idle.of_a_row(60.0, 10) == pytest.approx(idle.of_a_row(60.0, 1000))
    assert busy.of_a_row(5.0, 10) == pytest.approx(0.5)


@pytest.mark.parametrize("windows", [[], [(3.0, 10)], [(3.0, 10), (4.0, 10), (5.0, 10)]])
def test_without_different_windows_time_goes_by_rows(windows: list[tuple[float, int]]) -> None:
    """Nothing tells of an overhead."""
    assert Load.of(windows).of_a_row(5.0, 10) == pytest.approx(0.5)
