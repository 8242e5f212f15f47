from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
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

import retraining
from monitors import references
from retraining import adopt, retrain
from retraining.dataset import rows
from retraining.flow import Outcome
from retraining.graphs.scorer import Scorer
from retraining.records import Choice, Search
from retraining.register import register
from retraining.registry import Registry
from retraining.validate import validate
from retraining.workspace import Workspace
from spec import DataError, NotFound, Refused, Unavailable

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


@pytest.fixture(scope="module")
def retrained(
    registry_world: Callable[..., Any], orders: Callable[..., pd.DataFrame], put_history: Callable[..., None]
) -> tuple[Any, Outcome]:
    """A world after its first retrain, and how that ended; tests only look at it."""
    world = registry_world()
    put_history(world, orders())
    return world, retrain(world.spec, world.settings, "a")


@pytest.fixture
def successor(retrained: tuple[Any, Outcome], tmp_path: Path) -> Any:
    """A copy of that world, to go on in; its registry still reads the first version where it lay."""
    world, _ = retrained
    home = tmp_path / "home"
    shutil.copytree(world.settings.home, home)
    databases = {"results_url": f"sqlite:///{home}/results.db", "mlflow_uri": f"sqlite:///{home}/mlflow.db"}
    return replace(world, settings=replace(world.settings, home=home, **databases))


def notebook(seed: int = 0) -> Pipeline:
    """Return the pipeline of a notebook: imputed numbers, ordinal codes, a forest."""
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    parts = [("real", SimpleImputer(), ["amount", "weight", "member"]), ("text", codes, ["country"])]
    return Pipeline(
        [("columns", ColumnTransformer(parts)), ("model", RandomForestClassifier(20, random_state=seed))]
    )


def as_given(frame: pd.DataFrame) -> pd.DataFrame:
    """Return orders as a data scientist has them: float64, missing categories as empty strings."""
    return frame.assign(
        country=frame["country"].astype(object).fillna(""), member=frame["member"].astype("Float64")
    )


def test_a_retrain_can_be_made_again_from_its_lineage(
    registry_world: Callable[..., Any], orders: Callable[..., pd.DataFrame], put_history: Callable[..., None]
) -> None:
    """The rows and hyperparameters of an earlier run give the same model, byte for byte, unsearched."""
    world = registry_world(trials=3)
    put_history(world, orders())
    retrain(world.spec, world.settings, "first")
    stages: list[str] = []

    retrain(world.spec, world.settings, "second", again="first", tell=stages.append)

    first, second = (Workspace(world.settings, run) for run in ("first", "second"))
    models = [work.path(work.load(Search).candidates[0].onnx).read_bytes() for work in (first, second)]
    assert models[0] == models[1]
    assert ["prepare", "train", "optimize", "validate", "register"] == stages


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_model_is_retrained_from_history_to_challenger(
    registry_world: Callable[..., Any],
    orders: Callable[..., pd.DataFrame],
    put_history: Callable[..., None],
    retrained: tuple[Any, Outcome],
    task: str,
) -> None:
    """Each task goes through every stage, and the version has file, reference, metrics and aliases."""
    if task == "binary":
        world, outcome = retrained
    else:
        world = registry_world(task)
        put_history(world, orders(task))
        outcome = retrain(world.spec, world.settings, "manual__1")

    assert outcome.validation.accepted
    assert outcome.validation.against is None
    registry = Registry(world.settings)
    assert "1" == outcome.version == registry.version("shop", "challenger")
    reference = references.load(world.spec, world.settings, "1")
    assert 1.0 == pytest.approx(sum(reference.importances.values()))
    assert max(reference.importances, key=reference.importances.__getitem__) in {"amount", "country"}
    assert reference.importances["weight"] < 0.1
    band = reference.performance[world.spec.performance_metric.value]
    assert band.low < band.value < band.high
    assert outcome.validation.candidate[world.spec.performance_metric.value] == pytest.approx(band.value)
    scores = Scorer(world.spec.task, registry.onnx("shop", "1")).predict(
        rows.inputs(world.spec, reference.frame)
    )
    if task == "multiclass":
        scores = scores.argmax(axis=1)
    assert np.allclose(reference.frame["prediction"], scores)


def test_a_second_retrain_is_judged_against_the_champion(
    successor: Any, orders: Callable[..., pd.DataFrame], put_history: Callable[..., None]
) -> None:
    """The same world gives a candidate that is non-inferior; a world that turned gives one that is better."""
    world = successor
    Registry(world.settings).promote("shop", "1")

    again = retrain(world.spec, world.settings, "b")
    put_history(world, orders(flip=True))
    turned = retrain(world.spec, world.settings, "c")

    assert ("1", "1") == (again.validation.against, turned.validation.against)
    assert again.validation.accepted
    assert 0 == again.validation.difference
    assert turned.validation.accepted
    assert turned.validation.difference < -0.2
    assert "3" == Registry(world.settings).version("shop", "challenger")


def test_a_rejected_candidate_is_not_registered(
    successor: Any, orders: Callable[..., pd.DataFrame], put_history: Callable[..., None]
) -> None:
    """A champion that is much better stays alone; asking to register anyway is refused with the reasons."""
    world = successor
    Registry(world.settings).promote("shop", "1")
    train = orders().assign(returned=orders(seed=7)["returned"])
    holdout = orders()["ordered_at"] >= orders()["ordered_at"].max() - timedelta(days=10)
    put_history(world, train.assign(returned=train["returned"].where(~holdout, orders()["returned"])))

    outcome = retrain(world.spec, world.settings, "b")

    assert not outcome.validation.accepted
    assert outcome.version is None
    assert ("1",) == tuple(item.version for item in Registry(world.settings).versions("shop"))
    with pytest.raises(Refused, match=r"Run 'b' of 'shop' was not accepted: .*not shown to be non-inferior"):
        register(world.spec, world.settings, "b")


def test_what_asked_for_the_retrain_is_kept(successor: Any) -> None:
    """The request's fields are tags of the version; nulls are left out; a second try is the same version."""
    world = successor
    trigger = {"reason": "performance", "alert": "ModelPerformanceLost", "version": None}
    other = Workspace(world.settings, "b").folder
    Workspace(world.settings, "a").folder.rename(other)

    assert "2" == register(world.spec, world.settings, "b", trigger=trigger)
    assert "2" == register(world.spec, world.settings, "b", trigger=trigger)

    tags = Registry(world.settings).versions("shop")[1].tags
    assert "ModelPerformanceLost" == tags["trimtab.trigger.alert"]
    assert "retrain/b" == tags["trimtab.source"]
    assert "trimtab.trigger.version" not in tags


def test_every_stage_says_what_it_lacks(registry_world: Callable[..., Any]) -> None:
    """Validation and registration out of turn name the record that is missing."""
    world = registry_world()

    with pytest.raises(NotFound, match="has no Snapshot"):
        validate(world.spec, world.settings, "r")
    with pytest.raises(NotFound, match="has no Validation"):
        register(world.spec, world.settings, "r")


def test_an_adopted_pipeline_is_the_champion(
    registry_world: Callable[..., Any], orders: Callable[..., pd.DataFrame]
) -> None:
    """The notebook's model is served as it is, with a performance to expect that it did not train on."""
    world, frame = registry_world(), as_given(orders())
    pipeline = notebook().fit(frame, frame["returned"])

    version = adopt(world.spec, world.settings, pipeline, frame)

    registry = Registry(world.settings)
    assert version == registry.version("shop", "champion")
    assert registry.version("shop", "challenger") is None
    scores = Scorer(world.spec.task, registry.onnx("shop", version)).predict(rows.inputs(world.spec, frame))
    assert np.allclose(pipeline.predict_proba(frame)[:, 1], scores, atol=1e-3)
    reference = references.load(world.spec, world.settings, version)
    band = reference.performance["roc_auc"]
    assert 0.6 < band.low < band.value < 0.9  # on its training rows it is nearly 1
    assert 3000 == reference.population


def test_adopting_again_changes_nothing(
    registry_world: Callable[..., Any], orders: Callable[..., pd.DataFrame]
) -> None:
    """The same pipeline is the same version; another one takes its place and keeps it as previous."""
    world, frame = registry_world(), as_given(orders())

    versions = [
        adopt(world.spec, world.settings, notebook(seed).fit(frame, frame["returned"]), frame)
        for seed in (0, 0, 1)
    ]

    assert ["1", "1", "2"] == versions
    registry = Registry(world.settings)
    assert ("2", "1") == (registry.version("shop", "champion"), registry.version("shop", "previous"))


def test_a_holdout_of_ones_own_is_used(
    registry_world: Callable[..., Any], orders: Callable[..., pd.DataFrame]
) -> None:
    """With later rows at hand, the pipeline itself is measured on them."""
    world, frame = registry_world(), as_given(orders())
    train, held = frame.head(2000), frame.tail(1000)

    adopt(world.spec, world.settings, notebook().fit(train, train["returned"]), train, held)

    reference = references.load(world.spec, world.settings, "1")
    assert 2000 == reference.population
    assert train["ordered_at"].max() < reference.window[1] <= held["ordered_at"].min()


def test_a_frame_that_cannot_be_adopted_is_explained(
    registry_world: Callable[..., Any], orders: Callable[..., pd.DataFrame]
) -> None:
    """Missing time zone and too few rows are named together, before anything is converted."""
    world, frame = registry_world(), as_given(orders(n=90))
    pipeline = notebook().fit(frame, frame["returned"])
    naive = frame.assign(ordered_at=frame["ordered_at"].dt.tz_localize(None))

    with pytest.raises(DataError) as caught:
        adopt(world.spec, world.settings, pipeline, naive)

    assert "train_frame: column 'ordered_at': must be timestamps with a time zone" in str(caught.value)
    assert "train_frame: must hold 100 rows; found 90" in str(caught.value)


def test_an_unfaithful_pipeline_is_not_adopted(
    registry_world: Callable[..., Any], orders: Callable[..., pd.DataFrame]
) -> None:
    """What the gate refuses leaves nothing behind in the registry."""
    world, frame = registry_world(), as_given(orders())
    pipeline = notebook().set_params(columns__real=SimpleImputer(add_indicator=True))
    pipeline.fit(frame, frame["returned"])

    with pytest.raises(Refused):
        adopt(world.spec, world.settings, pipeline, frame)

    assert () == Registry(world.settings).versions("shop")


def test_the_champions_inputs_must_be_known(successor: Any) -> None:
    """When the spec lost a feature that the champion needs, the comparison says so instead of failing."""
    world = successor
    Registry(world.settings).promote("shop", "1")
    features = {name: feature for name, feature in world.spec.features.items() if name != "weight"}
    fewer = world.spec.model_copy(update={"features": features})

    with pytest.raises(
        DataError, match="input 'weight' of the model: must be among the features amount, country"
    ):
        retrain(fewer, world.settings, "b")


def test_the_choice_is_stored_as_people_read_it(retrained: tuple[Any, Outcome]) -> None:
    """The table of variants is JSON in the run's folder, one entry a variant, with its reasons."""
    world, _ = retrained

    choice = Workspace(world.settings, "a").load(Choice)

    told = {"chosen", "latency_p50", "latency_p99", "learner", "loss", "passes", "reasons", "size"}
    assert told <= choice.to_json()["chosen"].keys()
    assert all(item.reasons for item in choice.variants if not item.chosen)


def test_importing_the_room_is_quick() -> None:
    """Parsing a DAG or printing help must not import learners or MLflow."""
    heavy = "{'sklearn', 'lightgbm', 'mlflow', 'optuna', 'pandas', 'onnxruntime'}"
    code = f"import sys, retraining; sys.exit(bool({heavy} & set(sys.modules)))"

    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode


def test_every_public_name_is_there() -> None:
    """What `__all__` promises can be had; what it does not promise is an AttributeError."""
    for name in retraining.__all__:
        assert getattr(retraining, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        retraining.nothing  # noqa: B018


def test_a_retrain_needs_the_registry(
    monkeypatch: pytest.MonkeyPatch, retrained: tuple[Any, Outcome]
) -> None:
    """Without MLflow the stage fails as unavailable, so that a retry makes sense."""
    world, _ = retrained
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    settings = replace(world.settings, mlflow_uri="http://127.0.0.1:9")

    with pytest.raises(Unavailable):
        validate(world.spec, settings, "a")
