from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retraining import learners, native
from retraining.dataset.labelled import Rows
from retraining.graphs import parity
from retraining.graphs.export import to_onnx
from retraining.optimize import optimize
from retraining.prepare import prepare
from retraining.records import Search
from retraining.train import train
from retraining.tune import tune
from retraining.workspace import Workspace
from spec import DataError, ModelSpec, Refused, loads
from spec.retrain import Learner

END = datetime(2024, 3, 10, tzinfo=UTC)
LEARNERS = [
    ("binary", Learner.LIGHTGBM),
    ("regression", Learner.LIGHTGBM),
    ("binary", Learner.HIST_GRADIENT_BOOSTING),
    ("regression", Learner.RANDOM_FOREST),
    ("binary", Learner.LINEAR),
    ("regression", Learner.MLP),
]
SMALL = {"n_estimators": 12, "max_iter": 12, "epochs": 3}
ODD = ["", " ", "ä" * 5, "x" * 5000, "'\"\\", "日本", "a\nb", "NaN", "None", "0", "\x00z", "e\u0301", "é"]
SERVED: dict[str, tuple[dict[str, str], Callable[[pd.DataFrame], Any]]] = {
    "a numeric column of nulls": ({"amount": "numeric", "x": "numeric"}, lambda frame: [np.nan] * len(frame)),
    "a boolean column of nulls": ({"amount": "numeric", "x": "boolean"}, lambda frame: [None] * len(frame)),
    "a column of null categories": (
        {"amount": "numeric", "x": "categorical"},
        lambda frame: [None] * len(frame),
    ),
    "one numeric feature": ({"amount": "numeric"}, len),
    "one categorical feature": ({"country": "categorical"}, len),
    "one boolean feature": ({"x": "boolean"}, lambda frame: frame["amount"] > 50),
    "only categorical features": (
        {"country": "categorical", "x": "categorical"},
        lambda frame: np.where(frame["amount"] > 50, "much", "little"),
    ),
    "only numeric features": ({"amount": "numeric", "x": "numeric"}, lambda frame: frame["amount"].round()),
    "a constant": ({"amount": "numeric", "x": "numeric"}, lambda _: 3.3),
    "numbers that differ from the 25th bit on": (
        {"amount": "numeric", "x": "numeric"},
        lambda frame: 2.0**24 + (np.arange(len(frame)) * 7919) % 2**20,
    ),
    "seconds since 1970": (
        {"amount": "numeric", "x": "numeric"},
        lambda frame: frame["ordered_at"].dt.as_unit("s").astype("int64"),
    ),
    "odd categories": (
        {"amount": "numeric", "x": "categorical"},
        lambda frame: [ODD[index % len(ODD)] for index in range(len(frame))],
    ),
}


def model(task: str, features: dict[str, str], learner: str = "lightgbm") -> ModelSpec:
    """Return the spec of a shop with other features."""
    listed = "".join(f"  {name}: {kind}\n" for name, kind in features.items())
    classes = ", classes: [none, some, all]" if task == "multiclass" else ""
    return loads(
        f"model: shop\ntask: {task}\n"
        "data: {inference_log: log, labels: labels, history: shop/history.parquet, id: order_id, "
        f"time: ordered_at, target: {{name: returned, delay: 1d{classes}}}}}\n"
        f"features:\n{listed}"
        f"retrain: {{holdout: 10d, min_rows: 300, learners: [{learner}], search: {{trials: 1, max_rows: 1000,"
        " warm_start: false, fine_tune: false}}\n"
        "optimize: {passes: [prune_trees, quantize], served: 0}\n"
    )


def with_column(frame: pd.DataFrame, features: dict[str, str], values: Any) -> pd.DataFrame:
    """Return the rows with the column ``x``, of the type that the features say."""
    frame = frame.assign(amount=frame["amount"].fillna(0.0))
    if "x" not in features:
        return frame
    kind = {"numeric": "float64", "boolean": "boolean", "categorical": "str"}[features["x"]]
    made = values if np.isscalar(values) else np.asarray(values, dtype=object)
    return frame.assign(x=pd.Series(made, index=frame.index).astype(kind))


@pytest.fixture
def put(make_world: Callable[..., Any], put_history: Callable[..., None]) -> Callable[..., Any]:
    """Make a world of a model and its history."""

    def make(spec: ModelSpec, frame: pd.DataFrame) -> Any:
        world = make_world()
        world.spec = spec
        world.set_time(END + timedelta(days=1))
        put_history(world, frame)
        return world

    return make


@pytest.mark.parametrize(("task", "learner"), LEARNERS)
@pytest.mark.parametrize("case", SERVED)
def test_an_odd_table_is_learnt_and_served_exactly(
    case: str, task: str, learner: Learner, orders: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    """Every learner fits it, its graph answers as the pipeline does, and its native form as both."""
    features, make = SERVED[case]
    spec, frame = model(task, features), orders(task, n=400)
    rows = Rows.of(spec, with_column(frame, features, make(frame)))
    params = learners.defaults(learner)
    params |= {key: SMALL[key] for key in params.keys() & SMALL.keys()}

    pipeline = learners.fit(spec, learner, params, rows)

    graph = to_onnx(spec, pipeline).SerializeToString()
    assert parity.check(spec, pipeline, graph, rows.inputs).difference < 1e-4
    assert native.save(pipeline, tmp_path)
    loaded = native.load(tmp_path / native.FILE)
    assert np.array_equal(*(learners.scores(spec, one, rows.inputs) for one in (pipeline, loaded)))


@pytest.mark.parametrize(
    ("case", "learner"),
    [
        ("a numeric column of nulls", "hist_gradient_boosting"),
        ("one categorical feature", "lightgbm"),
        ("odd categories", "linear"),
        ("a column of null categories", "mlp"),
    ],
)
def test_an_odd_table_goes_through_all_stages(
    case: str, learner: str, orders: Callable[..., pd.DataFrame], put: Callable[..., Any]
) -> None:
    """From the file to the choice among the variants, nothing is refused and nothing fails."""
    features, make = SERVED[case]
    frame = orders(n=700)
    world = put(model("binary", features, learner), with_column(frame, features, make(frame)))

    for stage in (prepare, tune, train, optimize):
        stage(world.spec, world.settings, "r")

    found = Workspace(world.settings, "r").load(Search)
    assert [learner] == [candidate.learner.value for candidate in found.candidates]
    assert not found.refused


def test_a_feature_that_came_late_is_learnt_by_histogram_boosting(
    orders: Callable[..., pd.DataFrame], put: Callable[..., Any]
) -> None:
    """Null in all rows that a trial fits on, there in those of the last days: the model uses it."""
    features = {"amount": "numeric", "x": "numeric"}
    frame = orders(n=900).dropna(subset="amount")
    late = frame["ordered_at"] > END - timedelta(days=22)
    spec = model("binary", features, "hist_gradient_boosting")
    world = put(spec, with_column(frame, features, np.where(late, frame["amount"], np.nan)))

    for stage in (prepare, tune, train):
        stage(world.spec, world.settings, "r")

    work = Workspace(world.settings, "r")
    (candidate,) = work.load(Search).candidates
    used = native.load(work.path(str(candidate.native)) / native.FILE)[0].transformers_[0][2]
    assert ["amount", "x"] == list(used)


REFUSED: dict[str, tuple[str, dict[str, str], Callable[[pd.DataFrame], dict[str, Any]], list[str]]] = {
    "a constant value": (
        "regression",
        {"amount": "numeric"},
        lambda _: {"returned": 2.5},
        ["training rows: must hold more than one value of 'returned'; found 2.5 in all"],
    ),
    "a class in one fold": (
        "multiclass",
        {"amount": "numeric"},
        lambda frame: {
            "returned": frame["returned"].where(frame["ordered_at"] < END - timedelta(days=15), "none")
        },
        ["holdout rows: must hold every class of 'returned'; found no some, no all"],
    ),
    "nothing but nulls": (
        "binary",
        {"amount": "numeric", "country": "categorical"},
        lambda frame: {"amount": np.nan, "country": pd.Series(None, frame.index, dtype="str")},
        ["training rows: must hold a value of some feature; found nulls in all of them"],
    ),
    "numbers that float32 does not tell apart": (
        "binary",
        {"amount": "numeric", "x": "numeric"},
        lambda frame: {"x": 1.7e9 + np.arange(len(frame)) % 60},
        ["column 'x': must differ by more than float32 rounds", "Subtract a constant"],
    ),
    "infinities": (
        "binary",
        {"amount": "numeric", "x": "numeric"},
        lambda frame: {"amount": np.inf, "x": np.where(frame.index < 3, -np.inf, 1.0)},
        ["'amount': must be null or fit into float32; found 800 infinite", "'x': must be null"],
    ),
    "several at once": (
        "regression",
        {"amount": "numeric", "x": "numeric"},
        lambda frame: {"returned": 1.0, "x": 1.7e9 + np.arange(len(frame)) % 60},
        ["column 'x': must differ", "must hold more than one value"],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_table_that_makes_no_model_is_refused_in_words(
    case: str, orders: Callable[..., pd.DataFrame], put: Callable[..., Any]
) -> None:
    """Before anything is searched, and with all that is wrong."""
    task, features, change, told = REFUSED[case]
    frame = orders(task, n=800)
    world = put(model(task, features), frame.assign(**change(frame)))

    with pytest.raises(DataError) as refusal:
        prepare(world.spec, world.settings, "r")

    assert all(part in str(refusal.value) for part in told), str(refusal.value)


def test_a_class_that_only_the_newest_rows_hold_is_refused_by_the_search(
    orders: Callable[..., pd.DataFrame], put: Callable[..., Any]
) -> None:
    """The rows are many enough, but those that trials would fit on lack it."""
    frame = orders("multiclass", n=1200)
    new = frame["ordered_at"] > END - timedelta(days=20)
    frame["returned"] = frame["returned"].where(new | (frame["returned"] != "all"), "none")
    world = put(model("multiclass", {"amount": "numeric"}), frame)
    prepare(world.spec, world.settings, "r")

    with pytest.raises(DataError, match="older rows of the training span: must hold all 3 classes; found 2"):
        tune(world.spec, world.settings, "r")


def test_a_learner_that_cannot_be_fitted_says_why(
    orders: Callable[..., pd.DataFrame],
) -> None:
    """What the library raises becomes the reason, so that other learners go on."""
    spec = model("binary", {"amount": "numeric"})
    rows = Rows.of(spec, orders(n=400))

    with pytest.raises(Refused, match=r"lightgbm cannot be fitted on 400 rows: .*num_leaves"):
        learners.fit(spec, Learner.LIGHTGBM, {"num_leaves": 1}, rows)


@pytest.mark.parametrize("share", [0.05, 0.95])
def test_the_label_of_a_model_without_a_split_is_its_likelier_class(
    share: float, orders: Callable[..., pd.DataFrame]
) -> None:
    """ONNX Runtime takes leaves that are all positive for votes; a graph of one such leaf is told better."""
    spec, frame = model("binary", {"amount": "numeric"}), orders(n=400)
    frame["returned"] = np.arange(400) < 400 * share
    rows = Rows.of(spec, frame)
    params = learners.defaults(Learner.LIGHTGBM) | {"n_estimators": 2, "min_child_samples": 400}
    pipeline = learners.fit(spec, Learner.LIGHTGBM, params, rows)

    graph = to_onnx(spec, pipeline)

    assert parity.check(spec, pipeline, graph.SerializeToString(), rows.inputs).difference < 1e-6
