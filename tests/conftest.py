"""A small house to watch: a model, a state folder, a clock to move, a log written as serving does."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from monitors.tables import delta
from spec import Clock, ModelSpec, Settings, loads, set_clock
from spec.tables import FEATURE_PREFIX, PARTITION, log_columns

SHOP = """
model: shop
task: binary
data:
  inference_log: shop/inference
  labels: shop/labels
  id: order_id
  time: ordered_at
  target: {name: returned, delay: 1d}
features:
  amount: numeric
  country: categorical
  member: boolean
"""
NOON = datetime(2024, 3, 10, 12, tzinfo=UTC)
WriteLog = Callable[[ModelSpec, Settings, Iterable[Mapping[str, Any]]], None]


@dataclass
class World:
    """One model in a state folder of its own; `clock_file` holds the time."""

    spec: ModelSpec
    settings: Settings
    clock_file: Path

    def set_time(self, now: datetime) -> None:
        """Move the clock, at once for every reader."""
        set_clock(self.clock_file, now)
        self.settings = replace(self.settings, clock=Clock(self.clock_file))

    def write_log(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Commit rows to the inference log; what a row leaves out has a default."""
        _write_log(self.spec, self.settings, rows)


@pytest.fixture(scope="session")
def make_world(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., World]:
    """Make a world from a model's YAML, each in a folder of its own; it is noon of 10 March 2024 there."""
    number = itertools.count()

    def make(text: str = SHOP) -> World:
        home = tmp_path_factory.mktemp(f"home{next(number)}")
        models = home / "models"
        models.mkdir()
        (models / "model.yaml").write_text(text, "utf-8")
        set_clock(home / "clock", NOON)
        env = {
            "TRIMTAB_HOME": str(home),
            "TRIMTAB_MODELS": str(models),
            "TRIMTAB_CLOCK": str(home / "clock"),
        }
        return World(loads(text), Settings.from_env(env), home / "clock")

    return make


@pytest.fixture(scope="session")
def write_log() -> WriteLog:
    """Commit rows to the inference log of a spec's model; what a row leaves out has a default."""
    return _write_log


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """The shop's model in an empty house."""
    return make_world()


def _write_log(spec: ModelSpec, settings: Settings, rows: Iterable[Mapping[str, Any]]) -> None:
    full = [_full(spec, index, row) for index, row in enumerate(rows)]
    schema = delta.schema_of(log_columns(spec))
    columns = [
        pa.array([row[column.name] for row in full], column.type, from_pandas=True) for column in schema
    ]
    location = settings.location(spec.data.inference_log)
    delta.append(location, pa.table(columns, schema=schema), partition_by=[PARTITION])


def _full(spec: ModelSpec, index: int, row: Mapping[str, Any]) -> dict[str, Any]:
    time = row.get("event_time", NOON)
    key = row.get("prediction_id", f"p{index}")
    defaults = {
        "row_id": f"{key}/{row.get('version', '1')}/{row.get('shadow', False)}/{time.isoformat()}",
        "prediction_id": key,
        "event_time": time,
        "event_date": f"{time:%Y-%m-%d}",
        "logged_at": time,
        "version": "1",
        "slot": "blue",
        "shadow": False,
        "latency_ms": 2.0,
        "scores": [0.5],
    }
    features = {FEATURE_PREFIX + name: None for name in spec.features}
    return defaults | features | dict(row)
