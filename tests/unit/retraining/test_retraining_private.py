"""Training on private features: the same tokens from the file and the log, or words why not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

from monitors import references
from monitors.tables import labels
from retraining.adoption import adopt
from retraining.dataset import private, rows
from retraining.dataset.stored import HOLDOUT, TRAIN, load_rows
from retraining.graphs.scorer import Scorer
from retraining.measurement import trial_server
from retraining.prepare import prepare
from retraining.registry import Registry
from retraining.workspace import Workspace
from spec import DataError, ModelSpec, SettingsError, loads
from spec.private import Tokens

KEY = "0123456789abcdef0123456789abcdef"
TOKEN = r"[0-9a-f]{8}:[0-9a-f]{32}"
Private = Callable[[Any, str], None]


@pytest.fixture
def private_country(shop_yaml: Callable[..., str]) -> Private:
    """Make the shop's country private in a world that has a key."""

    def say(world: Any, how: str) -> None:
        text = shop_yaml().replace("country: categorical", f"country: {{type: categorical, private: {how}}}")
        world.spec = loads(text.replace("retrain:", "retrain:\n  on: []" if how == "drop" else "retrain:"))
        world.settings.private_key_file.parent.mkdir(exist_ok=True)
        world.settings.private_key_file.write_text(KEY)

    return say


def log_answers(world: Any, frame: pd.DataFrame) -> None:
    """Write orders to the inference log as the model server does, and their truth to the labels."""
    plain = private.tokenized(world.spec, world.settings, frame).astype({"country": object, "member": object})
    plain = plain.where(plain.notna(), None)
    named = plain.rename(columns={name: f"f_{name}" for name in world.spec.features})
    named = named.rename(columns={"order_id": "prediction_id", "ordered_at": "event_time"})
    world.write_log(named.drop(columns="returned").to_dict("records"))
    labels.append(world.spec, world.settings, frame[["order_id", "returned"]])


def snapshot(world: Any, run: str = "r") -> pd.DataFrame:
    """Return all rows of a prepared run."""
    prepare(world.spec, world.settings, run)
    work = Workspace(world.settings, run)
    return pd.concat([load_rows(work, name) for name in (TRAIN, HOLDOUT)])


def test_file_and_log_give_the_same_tokens(
    shop_world: Callable[..., Any],
    orders: Callable[..., pd.DataFrame],
    put_history: Callable[..., None],
    private_country: Private,
) -> None:
    """A country is one token in the rows of both sources; the run's files hold no country, nulls stay."""
    world, frame = shop_world(), orders(n=1200)
    private_country(world, "tokenize")
    put_history(world, frame.head(800))
    log_answers(world, frame.tail(400))

    found = snapshot(world).set_index("order_id")["country"]

    tokens = Tokens.of(world.spec, world.settings)
    assert tokens is not None
    given = frame.set_index("order_id")["country"].loc[found.index]
    assert found.isna().equals(given.isna())
    assert (found.dropna() == [tokens.of_value("country", one) for one in given.dropna()]).all()


def test_a_log_of_another_key_is_refused(
    shop_world: Callable[..., Any], orders: Callable[..., pd.DataFrame], private_country: Private
) -> None:
    """Tokens of a lost key match nothing: the error names the column, the key's file, and the ways out."""
    world, frame = shop_world(), orders(n=1200)
    private_country(world, "tokenize")
    data = world.spec.data.model_copy(update={"history": None})
    world.spec = world.spec.model_copy(update={"data": data})
    log_answers(world, frame)
    world.settings.private_key_file.write_text(KEY[::-1])

    with pytest.raises(DataError, match=r"column 'country': must hold tokens of the key in .*; found 4"):
        prepare(world.spec, world.settings, "r")


def test_without_the_key_nothing_is_trained(
    shop_world: Callable[..., Any],
    orders: Callable[..., pd.DataFrame],
    put_history: Callable[..., None],
    private_country: Private,
) -> None:
    """A machine that has no key must not learn from plain values instead."""
    world = shop_world()
    private_country(world, "tokenize")
    put_history(world, orders(n=1200))
    world.settings.private_key_file.unlink()

    with pytest.raises(SettingsError, match="TRIMTAB_PRIVATE_KEY_FILE"):
        prepare(world.spec, world.settings, "r")


def test_a_dropped_feature_refuses_the_retrain(
    shop_world: Callable[..., Any],
    orders: Callable[..., pd.DataFrame],
    put_history: Callable[..., None],
    private_country: Private,
) -> None:
    """The log does not hold what the model would have to learn from, and a retrain by hand says so too."""
    world = shop_world()
    private_country(world, "drop")
    put_history(world, orders(n=1200))

    with pytest.raises(DataError, match="features: country: must be in the log for a retrain"):
        prepare(world.spec, world.settings, "r")


@pytest.mark.parametrize("how", ["tokenize", "drop"])
def test_an_adopted_model_keeps_private_values_out_of_the_house(
    registry_world: Callable[..., Any],
    orders: Callable[..., pd.DataFrame],
    private_country: Private,
    how: str,
) -> None:
    """Neither reference nor registry hold a country, but for the graph of a model that was trained on it."""
    world, frame = registry_world(), _given(orders(n=600))
    private_country(world, how)
    known = private.tokenized(world.spec, world.settings, frame)
    pipeline = _fitted(world.spec, known)

    version = adopt(world.spec, world.settings, pipeline, frame)

    reference = references.load(world.spec, world.settings, version)
    if how == "tokenize":
        values = reference.frame["country"]
        assert values[values != ""].str.fullmatch(TOKEN).all()
        assert {"country"} <= set(reference.importances)
    else:
        assert "country" not in {*reference.frame.columns, *reference.importances, *reference.categories}
    graphs = {".onnx", ".skops"} if how == "drop" else set()
    home = world.settings.home
    assert [] == [file for file in _with(home, "Ada-Lovelace-7") if file.suffix not in graphs]


def test_an_adopted_model_is_measured_on_tokens(
    registry_world: Callable[..., Any], orders: Callable[..., pd.DataFrame], private_country: Private
) -> None:
    """Plain rows and tokens of a maker's file are the same rows to it."""
    world, frame = registry_world(), _given(orders(n=600))
    private_country(world, "tokenize")
    known = private.tokenized(world.spec, world.settings, frame)
    pipeline = _fitted(world.spec, known)
    train, held = frame.head(400), known.tail(200)

    version = adopt(world.spec, world.settings, pipeline, train, held)

    scorer = Scorer(world.spec.task, Registry(world.settings).onnx("shop", version))
    scores = scorer.predict(rows.inputs(world.spec, held))
    expected = pipeline.predict_proba(held[list(world.spec.features)])[:, 1]
    assert np.allclose(expected, scores, atol=1e-3)


def test_a_trial_server_takes_tokens_as_they_are(shop: Callable[..., ModelSpec]) -> None:
    """A candidate is tried on rows of tokens without a key: the trial's file knows no private feature."""
    spec = shop()
    features = spec.features | {
        "country": spec.features["country"].model_copy(update={"private": "tokenize"})
    }
    trial = loads(trial_server._trial(spec.model_copy(update={"features": features})))

    assert {feature.private for feature in trial.features.values()} == {None}


def _fitted(spec: ModelSpec, frame: pd.DataFrame) -> Any:
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    parts = [("real", SimpleImputer(), ["amount", "weight", "member"]), ("text", codes, ["country"])]
    pipeline = Pipeline(
        [("columns", ColumnTransformer(parts)), ("model", RandomForestClassifier(20, random_state=0))]
    )
    return pipeline.fit(frame[list(spec.features)], frame["returned"])


def _given(frame: pd.DataFrame) -> pd.DataFrame:
    country = frame["country"].astype(object).fillna("").replace({"it": "Ada-Lovelace-7"})
    return frame.assign(country=country, member=frame["member"].astype("Float64"))


def _with(home: Path, text: str) -> list[Path]:
    return [file for file in home.rglob("*") if file.is_file() and text.encode() in file.read_bytes()]
