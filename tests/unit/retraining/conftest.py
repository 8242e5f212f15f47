"""A shop with labelled orders for each task, and a registry in a file."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from monitors.references import Band
from retraining.dataset import rows
from retraining.graphs.export import to_onnx
from retraining.graphs.scorer import Scorer
from retraining.learners import build, defaults
from retraining.registry import Alias, Registry
from retraining.release import Release, importances, population
from rollout import slots
from rollout.routers.memory import MemoryRouter
from spec import ModelSpec, Settings, loads
from spec.retrain import Learner

END = datetime(2024, 3, 10, tzinfo=UTC)
_SHOP = """
model: shop
task: {task}
data:
  inference_log: shop/inference
  labels: shop/labels
  history: shop/history.parquet
  id: order_id
  time: ordered_at
  target: {{name: returned, delay: 1d{classes}}}
features:
  amount: numeric
  weight: numeric
  country: categorical
  member: boolean
retrain:
  holdout: 10d
  min_rows: 500
  learners: [{learners}]
  search: {{trials: {trials}, time: 60s, max_rows: 2000, warm_start: false, fine_tune: false}}
optimize:
  passes: [prune_trees, quantize]
  served: 0
  within: {{quality_drop: 1%, latency_p99: 1s, size: 5MB}}
validate: {{served: false{validate}}}
"""
_CLASSES = ", classes: [none, some, all]"
_SMALL = {"n_estimators": 25, "max_iter": 25, "num_leaves": 8, "max_leaf_nodes": 8}


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Keep OpenMP from spinning on a machine that runs other tests too."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def shop_yaml() -> Callable[..., str]:
    """Return the YAML of the shop for a task; no model server is started, and `validate` adds to its keys."""

    def text(
        task: str = "binary",
        learners: str = "lightgbm",
        trials: int = 1,
        metric: str | None = None,
        validate: str = "",
    ) -> str:
        classes = _CLASSES if task == "multiclass" else ""
        named = f"\nmonitor: {{performance: {{metric: {metric}}}}}\n" if metric else ""
        given = {"classes": classes, "learners": learners, "trials": trials}
        return _SHOP.format(task=task, validate=f", {validate}" if validate else "", **given) + named

    return text


@pytest.fixture(scope="session")
def shop(shop_yaml: Callable[..., str]) -> Callable[..., ModelSpec]:
    """Return the spec of the shop for a task."""
    return lambda *args, **kwargs: loads(shop_yaml(*args, **kwargs))


@pytest.fixture(scope="session")
def orders() -> Callable[..., pd.DataFrame]:
    """Make labelled orders of `days` days up to 10 March 2024, evenly spread, with nulls in every feature.

    `flip` turns what the features mean around, as a world that moved on does.
    """

    def make(
        task: str = "binary", n: int = 3000, days: int = 60, seed: int = 0, *, flip: bool = False
    ) -> Any:
        rng = np.random.default_rng(seed)
        amount = rng.gamma(2.0, 30.0, n).round(2)
        weight = rng.normal(5, 2, n)
        country = rng.choice(["de", "fr", "it", "es"], n, p=[0.5, 0.3, 0.15, 0.05])
        member = rng.random(n) < 0.3
        signal = np.log(amount + 1) - 3.8 + 1.2 * (country == "it") - 0.9 * member
        signal = (-signal if flip else signal) + rng.normal(0, 0.7, n)
        frame = pd.DataFrame(
            {
                "order_id": [f"o{seed}-{index}" for index in range(n)],
                "ordered_at": pd.date_range(END - timedelta(days=days), END, n).as_unit("us"),
                "returned": _target(task, signal),
                "amount": np.where(rng.random(n) < 0.05, np.nan, amount),
                "weight": np.where(rng.random(n) < 0.05, np.nan, weight),
                "country": np.where(rng.random(n) < 0.05, None, country),
                "member": pd.array(np.where(rng.random(n) < 0.05, None, member), "boolean"),
            }
        )
        return frame.astype({"country": "str"})

    return make


@pytest.fixture(scope="session")
def small_pipeline() -> Callable[..., Any]:
    """Return an unfitted pipeline of a learner, small enough for a test."""

    def make(spec: ModelSpec, learner: Learner) -> Any:
        params = defaults(learner)
        return build(spec, learner, params | {key: _SMALL[key] for key in params.keys() & _SMALL.keys()})

    return make


@pytest.fixture(scope="session")
def shop_world(make_world: Callable[..., Any], shop_yaml: Callable[..., str]) -> Callable[..., Any]:
    """Make a shop's world; it is 11 March 2024 there."""

    def make(*args: Any, **kwargs: Any) -> Any:
        world = make_world(shop_yaml(*args, **kwargs))
        world.set_time(END + timedelta(days=1))
        return world

    return make


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return MLflow's database with its tables made once; making them takes seconds."""
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own use of SQLAlchemy
        MlflowClient(f"sqlite:///{file}", f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture(scope="session")
def registry_world(shop_world: Callable[..., Any], empty_registry: Path) -> Callable[..., Any]:
    """Make a shop's world with a registry of its own, in a file."""

    def make(*args: Any, **kwargs: Any) -> Any:
        world = shop_world(*args, **kwargs)
        shutil.copy(empty_registry, world.settings.home / "mlflow.db")
        uri = f"sqlite:///{world.settings.home / 'mlflow.db'}"
        world.settings = replace(world.settings, mlflow_uri=uri)
        return world

    return make


@pytest.fixture
def house(
    registry_world: Callable[..., Any],
    orders: Callable[..., pd.DataFrame],
    small_pipeline: Callable[..., Any],
    tmp_path: Path,
) -> tuple[Any, Callable[..., Release]]:
    """A world, and a function that makes a release of a source."""
    world = registry_world()
    frame = orders(n=600)
    given = rows.inputs(world.spec, frame)
    pipeline = small_pipeline(world.spec, Learner.LIGHTGBM).fit(given, rows.target(world.spec, frame))
    file = tmp_path / "any.onnx"
    onnx.save(to_onnx(world.spec, pipeline), file)
    scorer = Scorer(world.spec.task, file)

    def release(source: str, **changed: Any) -> Release:
        given = Release(
            source=source,
            onnx=file,
            population=population(world.spec, scorer, frame),
            importances=importances(world.spec, scorer, frame),
            performance={"roc_auc": Band(0.7, 0.6, 0.8)},
            window=(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)),
            params={"learner": "lightgbm"},
            metrics={"candidate_roc_auc": 0.7},
            tags={"trigger.reason": "performance"},
        )
        return replace(given, **changed)

    return world, release


class Traffic:
    """A model with a real registry and a real router; which slot holds which version is a dictionary."""

    def __init__(self, spec: ModelSpec, settings: Settings, held: Mapping[str, str | None]) -> None:
        self.spec, self.settings = spec, settings
        self.router = MemoryRouter([spec.model])
        self.held = dict(held)
        self.loads: list[tuple[str, str]] = []

    def alias(self, name: Alias) -> str | None:
        """Return the version that an alias names."""
        return Registry(self.settings).version(self.spec.model, name)

    def loaded(self, _spec: ModelSpec, _settings: Settings, slot: str) -> str | None:
        """Return what a slot holds, in place of its model server."""
        return self.held[slot]

    def load(self, _spec: ModelSpec, _settings: Settings, slot: str, version: str) -> None:
        """Note a load, and hold it."""
        self.loads.append((slot, version))
        self.held[slot] = version


@pytest.fixture
def traffic(
    house: tuple[Any, Callable[..., Release]], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Traffic]:
    """Make a model with versions 1, 2, … of which some were promoted in turn, and slots that hold some."""

    def make(*, versions: int, promoted: int, blue: str | None, green: str | None) -> Traffic:
        world, release = house
        registry = Registry(world.settings)
        for number in range(versions):
            version = registry.publish(world.spec, release(f"retrain/{number}"))
            if number < promoted:
                registry.promote(world.spec.model, version)
        made = Traffic(world.spec, world.settings, {"blue": blue, "green": green})
        monkeypatch.setattr(slots, "loaded", made.loaded)
        monkeypatch.setattr(slots, "load", made.load)
        return made

    return make


@pytest.fixture(scope="session")
def put_history() -> Callable[..., None]:
    """Write rows as the history file of a world."""

    def put(world: Any, rows: pd.DataFrame) -> None:
        file = Path(world.settings.location(world.spec.data.history))
        file.parent.mkdir(parents=True, exist_ok=True)
        rows.to_parquet(file)

    return put


def _target(task: str, signal: np.ndarray) -> Any:
    if task == "regression":
        return signal
    if task == "multiclass":
        return np.array(["none", "some", "all"])[np.digitize(signal, [-0.5, 0.5])]
    return signal > 0.3
