from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from monitors import frames, reference_profile
from monitors.drift import lookback
from monitors.drift.drift import PAIRS, ColumnDrift, compare
from monitors.drift.lookback import Look, Side
from monitors.finding import NoData
from monitors.profiles.tally import count
from monitors.reference_profile import ReferenceProfile
from monitors.windows import Window
from spec import ModelSpec, loads

SPEC = """
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y}}
features: {amount: numeric, age: numeric, country: categorical, member: boolean}
monitor: {data_drift: {effect: 0.3, share: 0.5, over: 2}}
"""
START = datetime(2024, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def spec() -> ModelSpec:
    """The model under watch."""
    return loads(SPEC)


def frame(rows: int, seed: int, *, shift: float = 0.0) -> pd.DataFrame:
    """Rows of one version."""
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "amount": random.normal(100 + 20 * shift, 20, rows),
            "age": random.integers(18, 90, rows).astype(float),
            "country": pd.Series(random.choice(["de", "fr", "it"], rows), dtype="str"),
            "member": pd.Series(random.random(rows) < 0.3, dtype="boolean"),
            "prediction": random.random(rows),
        }
    )


def reference(spec: ModelSpec, rows: pd.DataFrame, times: np.ndarray | None = None) -> ReferenceProfile:
    """The counts of a reference."""
    return reference_profile.made(spec, frames.arrow(spec, rows), times)


def looks(spec: ModelSpec, counts: ReferenceProfile, *currents: pd.DataFrame) -> tuple[Look, ...]:
    """A look at each frame, as the lookbacks of a spec."""
    found = []
    for scale, rows in zip(lookback.scales(spec), currents, strict=False):
        table = frames.arrow(spec, rows)
        profile = count(counts.profile.plan, table.schema, table.to_batches())
        span = Window(START, START + scale.length * DAY)
        found.append(
            Look(
                scale,
                span,
                Side(counts.profile, counts.dependence.block_rows),
                Side(profile, len(rows) / scale.length),
            )
        )
    return tuple(found)


def by_name(spec: ModelSpec, *currents: pd.DataFrame, before: pd.DataFrame) -> dict[str, ColumnDrift]:
    """What is said of each column of windows that look back further and further."""
    counts = reference(spec, before)
    found = compare(spec, looks(spec, counts, *currents), counts)
    return {column.column: column for column in (*found.features, found.prediction)}


def test_wasserstein_is_scipys_in_deviations_of_the_reference(spec: ModelSpec) -> None:
    """The default distance of a numeric column is the earth mover's, over the reference's deviation."""
    before, now = frame(3000, 1), frame(400, 2, shift=0.5)
    exact = stats.wasserstein_distance(before["amount"], now["amount"]) / before["amount"].std(ddof=0)

    assert by_name(spec, now, before=before)["amount"].score == pytest.approx(exact, rel=0.02)


def test_every_feature_is_compared_in_the_models_order_and_the_predictions(spec: ModelSpec) -> None:
    """A comparison has one entry a feature, by its type's method, and one for the predictions."""
    found = by_name(spec, frame(300, 2), before=frame(2000, 1))

    assert ["amount", "age", "country", "member", "prediction"] == list(found)
    assert ["wasserstein", "wasserstein", "jensenshannon", "jensenshannon", "wasserstein"] == [
        column.method for column in found.values()
    ]
    assert not any(column.drifted for column in found.values())


def test_drift_must_matter_and_be_no_accident(spec: ModelSpec) -> None:
    """A sure but small shift is none, nor is a large one of a few rows; a large and sure one is."""
    before = frame(5000, 1)
    small = by_name(spec, frame(5000, 2, shift=0.15), before=before)["amount"]
    unsure = by_name(spec, frame(4, 5, shift=0.8), before=before)["amount"]
    both = by_name(spec, frame(400, 2, shift=0.5), before=before)["amount"]

    assert (True, False) == (small.p_value <= small.level, small.drifted or small.score >= small.limit)
    assert isinstance(unsure.score, float)
    assert (True, False) == (unsure.score >= unsure.limit, unsure.drifted)
    assert both.drifted


def test_a_column_is_told_by_the_lookback_that_is_surest(spec: ModelSpec) -> None:
    """Many windows see what one cannot be sure of; where nothing has drifted the longest speaks."""
    before = frame(5000, 1)
    found = by_name(spec, frame(6, 5, shift=0.5), frame(500, 6, shift=0.5), before=before)

    assert (2, START, True) == (found["amount"].lookback, found["amount"].since, found["amount"].drifted)
    assert (2, 500) == (found["age"].lookback, found["age"].rows)


def test_missing_values_are_counted_beside_the_distance(spec: ModelSpec) -> None:
    """Nulls and infinities change no distance; their share is told."""
    before, now = frame(3000, 1), frame(400, 2)
    holed = pd.concat([now, now.assign(amount=np.nan)], ignore_index=True)

    whole, half = (by_name(spec, rows, before=before)["amount"] for rows in (now, holed))

    assert whole.score == half.score
    assert (0.0, 0.5, 0.0) == (whole.missing, half.missing, half.missing_before)


@pytest.mark.parametrize(
    ("before", "now", "reason"),
    [
        (frame(100, 1).assign(amount=np.nan), frame(100, 2), "the reference has no values"),
        (frame(100, 1), frame(100, 2).assign(amount=np.nan), "the current side has no values"),
        (frame(100, 1), frame(100, 2).drop(columns="amount"), "the window does not have the column"),
    ],
)
def test_a_distance_that_does_not_exist_says_why(
    spec: ModelSpec, before: pd.DataFrame, now: pd.DataFrame, reason: str
) -> None:
    """A missing, empty or all-null column is `NoData` with a reason, never NaN, and has not drifted."""
    found = by_name(spec, now, before=before)["amount"]

    assert isinstance(found.score, NoData)
    assert reason in found.score.reason
    assert not found.drifted


def test_a_constant_that_begins_to_vary_has_drifted(spec: ModelSpec) -> None:
    """It has no deviation to measure in, so the share of rows that left it is taken."""
    found = by_name(spec, frame(300, 2), before=frame(2000, 1).assign(amount=7.0))["amount"]

    assert ("total_variation", 1.0, True) == (found.method, found.score, found.drifted)


def test_without_a_look_there_is_no_data(spec: ModelSpec) -> None:
    """A span without rows has no distance of anything."""
    found = by_name(spec, before=frame(100, 1))

    assert all(isinstance(column.score, NoData) for column in found.values())


def test_predicted_classes_are_compared_as_categories() -> None:
    """The prediction of a multiclass model is a class, and a class has no order."""
    text = SPEC.replace("binary", "multiclass").replace("{name: y}", "{name: y, classes: [a, b, c]}")

    found = by_name(loads(text), frame(500, 2).round(), before=frame(500, 1).round())["prediction"]

    assert ("jensenshannon", False) == (found.method, found.drifted)


def test_rows_that_hang_together_are_worth_fewer(spec: ModelSpec) -> None:
    """A value that each day has for itself is no drift because one day differs; independent rows would be."""
    days, rows = 60, 50
    random = np.random.default_rng(0)
    before = frame(days * rows, 1).assign(amount=np.repeat(random.normal(100, 20, days), rows))
    now = frame(rows, 2).assign(amount=115.0)
    times = np.repeat(np.arange(days), rows) * (DAY // timedelta(microseconds=1))

    blind, aware = reference(spec, before), reference(spec, before, times)
    found = [compare(spec, looks(spec, counts, now), counts).features[0] for counts in (blind, aware)]

    assert [True, False] == [column.drifted for column in found]
    assert aware.dependence.columns["amount"].ordered[0] > rows / 2
    assert 1.5 > aware.dependence.columns["age"].ordered[0]


def pairs(rows: int, seed: int, rho: float) -> pd.DataFrame:
    """Rows in which amount and age go together so much, with the same distribution each."""
    first, second = np.random.default_rng(seed).multivariate_normal([0, 0], [[1, rho], [rho, 1]], rows).T
    return frame(rows, seed).assign(amount=first, age=second)


def test_a_correlation_that_breaks_is_seen_though_no_column_moves(spec: ModelSpec) -> None:
    """The pair is named; no feature has drifted."""
    counts = reference(spec, pairs(3000, 1, 0.8))
    found = compare(spec, looks(spec, counts, pairs(500, 2, 0.0)), counts)

    assert found.correlation is not None
    assert (PAIRS, "amount × age", True) == (
        found.correlation.column,
        found.correlation.detail,
        found.correlation.drifted,
    )
    assert not any(feature.drifted for feature in found.features)


def test_a_correlation_that_holds_is_zero(spec: ModelSpec) -> None:
    """What is no accident alone counts; noise is no score."""
    counts = reference(spec, pairs(3000, 1, 0.8))
    found = compare(spec, looks(spec, counts, pairs(500, 2, 0.8)), counts)

    assert found.correlation is not None
    assert 0.0 == found.correlation.score


def test_a_drifted_column_takes_its_correlations_along(spec: ModelSpec) -> None:
    """What its own distance shows is not told a second time."""
    counts = reference(spec, pairs(3000, 1, 0.8))
    found = compare(spec, looks(spec, counts, pairs(500, 2, 0.0).eval("amount = amount + 3")), counts)

    assert found.features[0].drifted
    assert found.correlation is None or not found.correlation.drifted


def test_correlations_can_be_left_alone() -> None:
    """`correlation: null` looks at columns only."""
    spec = loads(SPEC.replace("over: 2", "over: 2, correlation: null"))
    counts = reference(spec, pairs(3000, 1, 0.8))

    assert compare(spec, looks(spec, counts, pairs(500, 2, 0.0)), counts).correlation is None


def test_a_moment_is_compared_with_nothing() -> None:
    """Time goes on: what has parts of the calendar has no counts, no drift and no share of the budget."""
    moment = SPEC.replace("age: numeric", "at: {type: numeric, unit: h, calendar: [hour]}, age: numeric")
    timed, plain = loads(moment), loads(SPEC)
    rows = frame(500, 0).assign(at=np.arange(500.0))
    counts = reference(timed, rows)

    assert "at" not in counts.profile.plan.columns
    assert lookback.scales(timed) == lookback.scales(plain)
    found = compare(timed, looks(timed, counts, frame(500, 1).assign(at=np.arange(9e5, 9e5 + 500))), counts)
    assert [feature.column for feature in found.features] == ["amount", "age", "country", "member"]
