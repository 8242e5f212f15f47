"""Earlier windows are remembered by what they measured, and a fault is no example."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from monitors.finding import Finding
from monitors.profiles.plan import Plan
from monitors.profiles.profile import empty
from monitors.quality import Past, Traffic, check, judge, lookback, observed
from monitors.reference_profile import ReferenceProfile
from monitors.references import Reference
from monitors.results.records import WindowResult
from monitors.windows import Window
from spec import ModelSpec, loads

DAY = timedelta(days=1)
START = datetime(2024, 1, 1, tzinfo=UTC)
SPEC = loads("""
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y}}
features: {amount: numeric, country: categorical, member: boolean}
""")


def rows(day: int, count: int = 200, *, month: bool = False) -> pd.DataFrame:
    """The rows of a day; as `month`, the country is another each day and the same within."""
    rng = np.random.default_rng(day)
    return pd.DataFrame(
        {
            "amount": 10 + rng.gamma(4, size=count),
            "country": pd.Series(
                [str(day)] * count if month else rng.choice(["de", "fr"], count), dtype="str"
            ),
            "member": pd.Series(rng.random(count) < 0.3, dtype="boolean"),
        }
    )


def reference() -> Reference:
    """Twenty days before the first one."""
    frame = pd.concat([rows(-day % 1000) for day in range(1, 21)], ignore_index=True)
    frame["country"] = pd.Series(np.arange(len(frame)) % 40, dtype="str").where(frame["amount"] > 14, "de")
    return Reference(
        model="shop",
        version="1",
        created_at=START,
        window=(START, START),
        population=len(frame),
        frame=frame,
        counts=ReferenceProfile(empty(Plan({}))),
        importances={},
        performance={},
        ranges={},
        categories={},
        null_rates={},
    )


def judged(frame: pd.DataFrame, past: Past, spec: ModelSpec = SPEC) -> Finding:
    """What quality finds in a day, and what it leaves for the days after."""
    ids = pd.Series([str(at) for at in range(len(frame))])
    found = check(frame, ids, reference(), spec, rows=len(frame), past=past)
    return judge(found, len(frame), observed(frame, spec))


def result(finding: Finding, day: int, version: str = "1") -> WindowResult:
    """A finding as the results store gives it back."""
    start = START + day * DAY
    return WindowResult(
        "shop", version, "quality", start, start + DAY, finding.rows, finding.status, finding.measurements,
        computed_at=start, duration_s=0.0, reference=None, code_revision="x",
    )  # fmt: skip


def lived(days: list[pd.DataFrame]) -> list[tuple[int, str | None, str | None]]:
    """The violations of days judged one after the other: day, check, feature."""
    results: list[WindowResult] = []
    found = []
    for day, frame in enumerate(days):
        finding = judged(frame, Past.of(results, "1"))
        results.append(result(finding, day))
        found += [
            (day, m.method, m.feature) for m in finding.measurements if m.name == "violations" and m.value
        ]
    return found


def test_a_changed_unit_stays_a_fault_for_as_long_as_it_lasts() -> None:
    """Each day in the wrong unit is a violation, for none becomes an example of what is usual."""
    days = [rows(day) for day in range(20)]
    wrong = [
        frame.assign(amount=frame["amount"] * 100) if day >= 10 else frame for day, frame in enumerate(days)
    ]

    assert lived(wrong) == [(day, "unit_change", "amount") for day in range(10, 20)]


def test_a_version_is_not_held_against_the_units_of_another() -> None:
    """The quartiles are those of the version's own windows; the rows are those of all."""
    first, second = judged(rows(0), Past()), judged(rows(1), Past())
    past = Past.of([result(first, 0, "1"), result(second, 0, "2")], "2")

    assert [each.quartiles.n for each in past.quartiles["amount"]] == [200]
    assert past.quartiles["amount"][0].quartiles.middle == pytest.approx(float(np.median(rows(1)["amount"])))
    assert past.rows == {START: 400}


def test_a_feature_that_stands_still_is_a_fault_while_it_does() -> None:
    """A column that varied for ten days and has one value now is constant, day after day."""
    days = [rows(day) for day in range(14)]
    stuck = [frame.assign(amount=11.5) if day >= 10 else frame for day, frame in enumerate(days)]

    assert lived(stuck) == [(day, "constant", "amount") for day in range(10, 14)]


def test_a_feature_that_is_the_same_all_day_may_be() -> None:
    """What is one value in every window, as the month is, is no constant."""
    assert lived([rows(day, month=True) for day in range(14)]) == []


def test_a_constant_needs_a_past_and_rows() -> None:
    """In the first week, in a few rows or a fraction of a day's, a column may be one value."""
    week = [rows(day) for day in range(6)]
    assert lived([*week, rows(6).assign(amount=11.5)]) == []

    days = [rows(day) for day in range(10)]
    assert lived([*days, rows(10, 99).assign(amount=11.5)]) == []
    assert lived([*days, rows(10, 29).assign(amount=11.5)]) == []


def test_a_rare_value_may_be_missing() -> None:
    """A boolean that is true once in a hundred rows may be false all day."""
    days = [
        rows(day).assign(member=pd.Series([day % 2 == 0] + [False] * 199, dtype="boolean"))
        for day in range(12)
    ]

    assert lived(days) == []


def test_checks_can_be_switched_off() -> None:
    """`unit_change: null` and `constant: false` look at neither."""
    spec = SPEC.model_copy(
        update={
            "monitor": SPEC.monitor.model_copy(
                update={
                    "quality": SPEC.monitor.quality.model_copy(
                        update={"unit_change": None, "constant": False}
                    )
                }
            )
        }
    )
    past = Past.of([result(judged(rows(day), Past()), day) for day in range(10)], "1")

    assert judged(rows(10).assign(amount=rows(10)["amount"] * 100), past).status == "alarm"
    assert judged(rows(10).assign(amount=rows(10)["amount"] * 100), past, spec).status == "ok"
    assert judged(rows(10).assign(amount=11.5), past, spec).status == "ok"


def test_the_lookback_holds_eight_weeks() -> None:
    """The results of eight weeks are asked for, and of longer windows eight of them."""
    assert lookback(Window(START, START + DAY)) == (START - 56 * DAY - DAY / 2, START)
    assert lookback(Window(START, START + 28 * DAY)) == (START - 224 * DAY, START)


def test_the_usual_volume_is_that_of_the_past() -> None:
    """A day of a tenth of the usual rows is a violation of volume once four weeks are known."""
    past = Past.of([result(Finding("ok", (), 1000), day) for day in range(35)], "1")
    window = Window(START + 35 * DAY, START + 36 * DAY)
    few = Traffic(100, window, window.end)

    violations = check(rows(1), pd.Series(["a"]), None, SPEC, rows=few, past=past)

    assert [v.check.value for v in violations] == ["volume"]
