from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline

from retraining import learners, native
from retraining.dataset.labelled import Rows
from retraining.graphs import parity
from retraining.graphs.calendar_parts import SIZES, CalendarParts
from retraining.graphs.export import to_onnx
from spec import ModelSpec, SpecError, loads
from spec.retrain import Learner

PARTS = ("hour", "day_of_week", "day_of_year")
LEARNERS = [
    Learner.LIGHTGBM,
    Learner.HIST_GRADIENT_BOOSTING,
    Learner.RANDOM_FOREST,
    Learner.LINEAR,
    Learner.MLP,
]
SMALL = {"n_estimators": 30, "max_iter": 30, "epochs": 8}


def answered_by_graph(parts: CalendarParts, values: np.ndarray) -> np.ndarray:
    """Return what ONNX Runtime makes of moments [n]."""
    import onnxruntime as ort
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    from retraining.graphs import converters

    converters.register()
    given = values.astype("float32").reshape(-1, 1)
    pipeline = make_pipeline(parts).fit(pd.DataFrame(given))
    graph = convert_sklearn(
        pipeline, "parts", [("at", FloatTensorType([None, 1]))], target_opset={"": 18, "ai.onnx.ml": 3}
    )
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"at": given})
    return np.asarray(found)


def by_pandas(times: pd.DatetimeIndex) -> np.ndarray:
    """Return hour, day of the week and day of the year [n, 3], each from 0 on."""
    return np.column_stack([times.hour, times.dayofweek, times.dayofyear - 1]).astype("float32")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("unit", "seconds", "step"), [("h", 3600, "1h"), ("d", 86400, "1D"), ("min", 60, "37h"), ("s", 1, "53h")]
)
def test_the_graph_has_the_parts_that_pandas_has(unit: str, seconds: int, step: str) -> None:
    """Over three centuries: of whole hours and days the very parts, else those of what float32 holds."""
    times = pd.date_range("1900-01-01", "2199-12-31 23:00", freq=step, tz="UTC", unit="s")
    if unit == "h":
        times = times[::29].union(pd.date_range("2023-12-30", "2029-01-02", freq="1h", tz="UTC", unit="s"))
    values = (times.astype("int64") // seconds).to_numpy()
    held = np.clip(values.astype("float32").astype("float64") * seconds, -2_208_988_800, 7_258_118_399)
    expected = by_pandas(pd.to_datetime(held.astype("int64"), unit="s", utc=True))

    parts = CalendarParts(PARTS, unit, cyclic=False)

    assert np.array_equal(expected, answered_by_graph(parts, values))
    assert np.array_equal(expected, parts.fit(pd.DataFrame(values)).transform(pd.DataFrame(values)))
    if unit in {"h", "d"}:
        assert np.array_equal(expected, by_pandas(times))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("at", "day", "weekday"),
    [
        ("2024-02-28T23:00", 58, 2),
        ("2024-02-29T00:00", 59, 3),
        ("2024-03-01T00:00", 60, 4),
        ("2023-02-28T23:00", 58, 1),
        ("2023-03-01T00:00", 59, 2),
        ("2000-12-31T23:00", 365, 6),
        ("2100-03-01T00:00", 59, 0),
        ("1969-12-31T23:00", 364, 2),
    ],
)
def test_midnight_and_leap_days_fall_where_they_do(at: str, day: int, weekday: int) -> None:
    """29 February is there in 2024, not in 2023 and 2100; the hour before midnight is of the old day."""
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    parts = CalendarParts(PARTS, "h", cyclic=False)

    (found,) = answered_by_graph(parts, np.array([moment.timestamp() / 3600]))

    assert [moment.hour, weekday, day] == found.tolist()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_seconds_are_known_to_64_of_them() -> None:
    """An hour is the right one beyond 64 s from its edges, and one of the two beside it within."""
    rng = np.random.default_rng(0)
    seconds = rng.integers(1_600_000_000, 2_000_000_000, 20_000)
    parts = CalendarParts(("hour",), "s", cyclic=False)

    found = answered_by_graph(parts, seconds)[:, 0]

    inside = np.minimum(seconds % 3600, 3600 - seconds % 3600) > 64
    hours = seconds // 3600 % 24
    assert inside.mean() > 0.95
    assert np.array_equal(hours[inside], found[inside])
    assert set((found - hours)[~inside] % 24) <= {0, 1, 23}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_cycle_closes() -> None:
    """As sine and cosine, midnight is as near to 23 o'clock as to 1, and each part is on the circle."""
    hours = np.array([22.0, 23.0, 24.0, 25.0, np.nan, 3e38, -3e38])

    found = answered_by_graph(CalendarParts(PARTS, "h", cyclic=True), hours)

    assert np.array_equal(
        found, CalendarParts(PARTS, "h", cyclic=True).transform(pd.DataFrame(hours)), equal_nan=True
    )
    assert np.isnan(found[4]).all()
    circle = found[[0, 1, 2, 3, 5, 6]].reshape(6, len(SIZES), 2)
    assert np.allclose(1, np.square(circle).sum(axis=2), atol=1e-6)
    steps = np.linalg.norm(np.diff(found[:4, :2], axis=0), axis=1)
    assert np.allclose(steps, steps[0], atol=1e-6)


def model(calendar: str, task: str = "binary", unit: str = "h") -> ModelSpec:
    """Return a shop's spec with a moment."""
    return loads(
        f"model: shop\ntask: {task}\n"
        "data: {inference_log: a, labels: b, id: order_id, time: ordered_at, target: {name: returned}}\n"
        f"features: {{amount: numeric, at: {{type: numeric, unit: {unit}, calendar: {calendar}}}}}\n"
    )


@pytest.mark.parametrize("task", ["binary", "regression"])
@pytest.mark.parametrize("learner", LEARNERS)
def test_every_learner_learns_the_calendar_and_is_served_exactly(
    learner: Learner, task: str, orders: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    """Returned at night: every learner finds out, its graph answers so, and its native form as well."""
    spec = model("[hour, day_of_week, day_of_year]", task)
    frame = orders(n=1200, days=500)
    hours = np.random.default_rng(1).integers(470_000, 482_000, 1200).astype("float64")
    night = (hours % 24 < 5) | (hours % 24 > 21)
    frame["at"] = np.where(np.arange(1200) % 50 == 0, np.nan, hours)
    frame["returned"] = night if task == "binary" else night.astype("float64")
    rows = Rows.of(spec, frame)
    params = learners.defaults(learner)
    params |= {key: SMALL[key] for key in params.keys() & SMALL.keys()}

    pipeline = learners.fit(spec, learner, params, rows)

    graph = to_onnx(spec, pipeline).SerializeToString()
    assert parity.check(spec, pipeline, graph, rows.inputs).difference < 1e-5
    native.save(pipeline, tmp_path)
    scores = learners.scores(spec, pipeline, rows.inputs)
    assert np.array_equal(scores, learners.scores(spec, native.load(tmp_path / native.FILE), rows.inputs))
    known = frame["at"].notna().to_numpy()
    assert roc_auc_score(night[known], scores[known]) > 0.95


def test_a_moment_that_is_always_null_is_no_obstacle(orders: Callable[..., pd.DataFrame]) -> None:
    """As any other feature it is then in no model, and in every graph."""
    spec, frame = model("[hour]"), orders(n=400)
    rows = Rows.of(spec, frame.assign(at=np.nan))
    for learner in LEARNERS:
        params = learners.defaults(learner)
        params |= {key: SMALL[key] for key in params.keys() & SMALL.keys()}
        pipeline = learners.fit(spec, learner, params, rows)
        graph = to_onnx(spec, pipeline).SerializeToString()
        assert parity.check(spec, pipeline, graph, rows.inputs).difference < 1e-5


@pytest.mark.parametrize(
    ("feature", "told"),
    [
        ("{type: categorical, unit: s, calendar: [hour]}", "only a numeric feature"),
        (
            "{type: numeric, calendar: [hour]}",
            "unit: must be s, min, h, d where calendar is stated; found none",
        ),
        ("{type: numeric, unit: ms, calendar: [hour]}", "unit: must be s, min, h, d .* found ms"),
        ("{type: numeric, unit: d, calendar: [hour]}", "whole days have no hour"),
        ("{type: numeric, unit: h, calendar: [hour, hour]}", "must name each part once"),
        ("{type: numeric, unit: h, calendar: [week]}", "calendar"),
    ],
)
def test_a_calendar_that_means_nothing_is_refused(feature: str, told: str) -> None:
    """At the key that a person changes."""
    text = (
        "model: shop\ntask: binary\n"
        "data: {inference_log: a, labels: b, id: order_id, time: ordered_at, target: {name: returned}}\n"
        f"features: {{at: {feature}}}\n"
    )

    with pytest.raises(SpecError, match=told):
        loads(text)
