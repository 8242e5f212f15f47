from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from retraining import NotFaithful
from retraining.dataset import rows
from retraining.graphs import parity
from retraining.graphs.export import to_onnx
from spec import DataError, ModelSpec, Refused
from spec.retrain import Learner

REALS, TEXTS = ["amount", "weight", "member"], ["country"]
CODES = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
ONE_HOT = OneHotEncoder(handle_unknown="ignore", sparse_output=False)


def pipeline_of(real: object, text: object, model: object) -> Pipeline:
    """Return a pipeline as a data scientist writes one."""
    return Pipeline(
        [("columns", ColumnTransformer([("r", real, REALS), ("t", text, TEXTS)])), ("model", model)]
    )


def check(spec: ModelSpec, pipeline: Pipeline, given: pd.DataFrame) -> parity.Parity:
    """Convert a fitted pipeline and hold it to the gate."""
    return parity.check(spec, pipeline, to_onnx(spec, pipeline).SerializeToString(), given)


@pytest.fixture
def given(shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """Rows of the shop in the served representation, with the target."""
    frame = orders(n=2000)
    return rows.inputs(shop(), frame).assign(returned=frame["returned"].to_numpy("int64"))


def test_missing_indicators_are_refused(shop: Callable[..., ModelSpec], given: pd.DataFrame) -> None:
    """SimpleImputer(add_indicator=True) converts without an error and wrongly; the gate says so."""
    imputer = SimpleImputer(add_indicator=True)
    pipeline = pipeline_of(imputer, CODES, RandomForestClassifier(20, random_state=0))
    pipeline.fit(given.drop(columns="returned"), given["returned"])

    with pytest.raises(Refused):
        check(shop(), pipeline, given)


def test_a_forest_on_nulls_is_refused(shop: Callable[..., ModelSpec], given: pd.DataFrame) -> None:
    """A random forest sends nulls another way than its graph does; the worst rows are named."""
    pipeline = pipeline_of("passthrough", CODES, RandomForestClassifier(20, random_state=0))
    pipeline.fit(given.drop(columns="returned"), given["returned"])

    with pytest.raises(NotFaithful, match=r"The ONNX graph of 'shop' is not the pipeline: \d+ of") as caught:
        check(shop(), pipeline, given)

    assert 5 == len(caught.value.worst)
    assert all("pipeline 0." in line or "pipeline 1." in line for line in caught.value.worst)


def test_a_forest_that_never_saw_nulls_is_refused_too(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]
) -> None:
    """Clean training rows hide the fault; the edge rows show it."""
    frame = orders(n=2000).dropna()
    given = rows.inputs(shop(), frame)
    pipeline = pipeline_of("passthrough", CODES, RandomForestClassifier(20, random_state=0))
    pipeline.fit(given, frame["returned"])

    with pytest.raises(NotFaithful, match=r"edge row \(.* missing\)"):
        check(shop(), pipeline, given)


def test_native_categories_of_histogram_boosting_are_refused(
    shop: Callable[..., ModelSpec], given: pd.DataFrame
) -> None:
    """HistGradientBoosting(categorical_features=…) converts without an error and wrongly."""
    model = HistGradientBoostingClassifier(categorical_features=[3], max_iter=20)
    pipeline = pipeline_of("passthrough", CODES, model)
    pipeline.fit(given.drop(columns="returned"), given["returned"])

    with pytest.raises(Refused):
        check(shop(), pipeline, given)


def test_a_forest_on_imputed_values_passes(shop: Callable[..., ModelSpec], given: pd.DataFrame) -> None:
    """The usual notebook pipeline is served exactly, votes of 50 to 50 included."""
    pipeline = pipeline_of(SimpleImputer(), CODES, RandomForestClassifier(100, random_state=0))
    pipeline.fit(given.drop(columns="returned"), given["returned"])

    passed = check(shop(), pipeline, given)

    assert passed.rows > len(given)
    assert passed.difference < 1e-5


def test_an_encoder_that_fails_on_the_unseen_is_refused(
    shop: Callable[..., ModelSpec], given: pd.DataFrame
) -> None:
    """A pipeline that would raise in production is refused with what to do, naming each kind of row."""
    pipeline = pipeline_of(SimpleImputer(), OneHotEncoder(), LogisticRegression(max_iter=1000))
    pipeline.fit(given.drop(columns="returned"), given["returned"])

    with pytest.raises(Refused, match="let encoders ignore unseen ones:\n  country unseen: Found unknown"):
        check(shop(), pipeline, given)


def test_a_pipeline_that_cannot_take_nulls_is_refused(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]
) -> None:
    """Any feature may be null in a request, so a model without an imputer is not fit to serve."""
    frame = orders(n=2000).dropna()
    given = rows.inputs(shop(), frame)
    pipeline = pipeline_of(StandardScaler(), ONE_HOT, LogisticRegression(max_iter=1000))
    pipeline.fit(given, frame["returned"])

    with pytest.raises(Refused, match=r"impute missing numbers.*\n  amount missing: Input X contains NaN"):
        check(shop(), pipeline, given)


def test_null_categories_that_mean_something_else_when_served_are_refused(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]
) -> None:
    """A null category is served as an empty string; a pipeline that learned NaN must not lose it silently."""
    frame = orders(n=2000).astype({"member": "float64", "country": object})
    reals = make_pipeline(SimpleImputer(), StandardScaler())
    text = make_pipeline(SimpleImputer(strategy="constant", fill_value="it"), ONE_HOT)
    pipeline = pipeline_of(reals, text, LogisticRegression(max_iter=1000)).fit(frame, frame["returned"])

    with pytest.raises(Refused):
        check(shop(), pipeline, frame)


def test_a_difference_of_the_tolerance_is_too_much(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame], small_pipeline: Callable[..., Any]
) -> None:
    """Half the tolerance passes, twice the tolerance does not."""
    spec, frame = shop("regression"), orders("regression", n=2000)
    given, truth = rows.inputs(spec, frame), rows.target(spec, frame)
    pipeline = small_pipeline(spec, Learner.LINEAR).fit(given, truth)
    model = to_onnx(spec, pipeline).SerializeToString()
    tolerance = parity.TOLERANCE * float(np.std(pipeline.predict(given)))

    pipeline.steps[-1][1].intercept_ += 0.5 * tolerance
    parity.check(spec, pipeline, model, given)
    pipeline.steps[-1][1].intercept_ += 1.5 * tolerance
    with pytest.raises(NotFaithful):
        parity.check(spec, pipeline, model, given)


def test_classes_come_in_the_order_of_the_spec(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame], small_pipeline: Callable[..., Any]
) -> None:
    """A pipeline that was fitted on names has them sorted; the graph answers in the spec's order."""
    spec, frame = shop("multiclass"), orders("multiclass", n=2000)
    given = rows.inputs(spec, frame)
    pipeline = small_pipeline(spec, Learner.LINEAR).fit(given, frame["returned"])
    assert ["all", "none", "some"] == list(pipeline.classes_)

    passed = check(spec, pipeline, given)

    assert passed.difference < 1e-5


@pytest.mark.parametrize("labels", [["no", "yes"], [1, 2]])
def test_foreign_classes_are_an_error(
    shop: Callable[..., ModelSpec], given: pd.DataFrame, labels: list
) -> None:
    """Which of two names is the positive class is not guessed."""
    pipeline = pipeline_of(SimpleImputer(), ONE_HOT, LogisticRegression(max_iter=1000))
    truth = np.asarray(labels)[given["returned"].to_numpy("int64")]
    pipeline.fit(given.drop(columns="returned"), truth)

    with pytest.raises(DataError, match=r"pipeline.classes_: must be 0, 1"):
        to_onnx(shop(), pipeline)


def test_a_feature_that_the_pipeline_drops_is_still_an_input(
    shop: Callable[..., ModelSpec], given: pd.DataFrame
) -> None:
    """Callers feed every feature of the spec, whatever the pipeline uses."""
    columns = ColumnTransformer([("r", SimpleImputer(), ["amount"])])
    pipeline = Pipeline([("c", columns), ("m", LogisticRegression())])
    pipeline.fit(given.drop(columns="returned"), given["returned"])

    model = to_onnx(shop(), pipeline)

    assert {"amount", "weight", "country", "member"} == {node.name for node in model.graph.input}
    check(shop(), pipeline, given)


def test_a_pipeline_without_a_conversion_is_refused(
    shop: Callable[..., ModelSpec], given: pd.DataFrame
) -> None:
    """What has no converter is refused with the converter's own words."""
    columns = ColumnTransformer([("r", FunctionTransformer(np.nan_to_num), ["amount"])])
    pipeline = Pipeline([("c", columns), ("m", LogisticRegression())])
    pipeline.fit(given.drop(columns="returned"), given["returned"])

    with pytest.raises(Refused, match="does not convert to ONNX"):
        to_onnx(shop(), pipeline)


def test_the_refusal_crosses_process_borders() -> None:
    """Airflow pickles errors; the worst rows come along."""
    error = NotFaithful("differs", ("row 3: pipeline 0.1, ONNX 0.9",))

    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes

    assert str(error) == str(copy)
    assert error.worst == copy.worst
