"""A model's production, day by day: a log and labels in Delta, a store, and the daemon that watches."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from bench.quality.episode_worlds import DAY, ROWS, SETS, START, World
from bench.quality.episodes import Cause
from monitors import frames
from monitors.daemon.model_job import ModelJob
from monitors.reports.report import Reporter
from monitors.results.store import Store
from monitors.tables import delta, labels
from monitors.triage import Action
from spec import Settings
from spec.clock import Clock
from spec.tables import log_columns

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
WARM = 28
SPREAD = {"flights": 1, "census": 3}
"""Real days that a window's rows are drawn from; those of the census are days in name only."""


class _Told(Clock):
    """A clock that stands where it was put."""

    def __init__(self) -> None:
        super().__init__()
        self.time = START

    def now(self) -> datetime:
        return self.time


class Replay:
    """A model's production: a home, a clock, a log and labels, and the daemon that watches."""

    def __init__(self, world: World, home: Path, seed: tuple[int, ...], spread: int) -> None:
        self.world, self._spread = world, spread
        self._clock = _Told()
        self.random = np.random.default_rng(seed)
        self.settings = replace(Settings.from_env({"TRIMTAB_HOME": str(home)}), clock=self._clock)
        self.store = Store(self.settings.results_url)
        self._reporter = Reporter()
        self._daemon = ModelJob(world.spec, self.settings, self.store, self._reporter, settle_s=0)
        self._owed: list[tuple[int, pd.DataFrame]] = []
        self.cpu_s = 0.0

    def owe(self, owed: list[tuple[int, pd.DataFrame]]) -> None:
        """Take over the labels that are still to come."""
        self._owed = list(owed)

    @property
    def owed(self) -> list[tuple[int, pd.DataFrame]]:
        """Labels to come: the day at whose end they do, with their ids."""
        return self._owed

    def day(self, day: int, live: list[pd.DataFrame], cause: Cause, since: int | None = None) -> Action:
        """Let a day go by; return what the triage then says.

        Parameters
        ----------
        live
            Real days to draw the rows from.
        since
            Days since the onset; None before it.
        """
        some = self.random.choice(len(live), size=self._spread, replace=False)
        drawn = pd.concat([live[at] for at in some], ignore_index=True)
        rows = rows_of(self.world, drawn, cause, self.random)
        truth = flipped(rows, cause, since or 0, self.random)
        if cause.edit is not None:
            rows = cause.edit(rows, self.random)
        scores = self.world.scores(rows) if len(rows) else np.empty(0)
        ids = [f"{day}-{row}" for row in range(len(rows))]
        rows = rows.assign(
            id=ids, time=[START + (day + at / max(len(rows), 1)) * DAY for at in range(len(rows))]
        )
        self._clock.time = START + (day + 1) * DAY
        self._log(rows, scores, cause)
        if cause.labels_after is not None:
            known = self.random.random(len(rows)) < cause.labelled
            self._owed.append((day + cause.labels_after, pd.DataFrame({"row": ids, "label": truth})[known]))
        self._label(day)
        started = time.process_time()
        self._daemon.tick(0.0, threading.Event())
        self.cpu_s += time.process_time() - started
        return self._decided()

    def close(self) -> None:
        """Let go of the store."""
        self._reporter.close()
        self.store.close()

    def _decided(self) -> Action:
        (latest,) = self.store.latest(self.world.spec.model, "triage")
        return Action(str(next(n.method for n in latest.measurements if n.name == "triage")))

    def _log(self, rows: pd.DataFrame, scores: Floats, cause: Cause) -> None:
        again = np.flatnonzero(self.random.random(len(rows)) < cause.repeated)
        taken = np.concatenate([np.arange(len(rows)), again])
        rows, scores = rows.iloc[taken], scores[taken]
        slow = np.where(self.random.random(len(rows)) < cause.slow, cause.slower, 1.0)
        features = frames.typed(self.world.spec, rows[self.world.names])
        columns: dict[str, Any] = {
            "row_id": [f"{key}.{at}" for at, key in enumerate(rows["id"])],
            "prediction_id": rows["id"].tolist(),
            "event_time": rows["time"].tolist(),
            "event_date": [f"{at:%Y-%m-%d}" for at in rows["time"]],
            "logged_at": rows["time"].tolist(),
            "version": ["1"] * len(rows),
            "slot": ["blue"] * len(rows),
            "shadow": [False] * len(rows),
            "latency_ms": self.random.gamma(4.0, 2.0, len(rows)) * slow,
            "scores": scores[:, None].tolist(),
        }
        columns |= {f"f_{name}": features[name] for name in self.world.names}
        schema = delta.schema_of(log_columns(self.world.spec))
        table = pa.table(
            {
                name: pa.array(columns[name], schema.field(name).type, from_pandas=True)
                for name in schema.names
            }
        )
        if len(rows):
            location = self.settings.location(self.world.spec.data.inference_log)
            delta.append(location, table, partition_by=["event_date"])

    def _label(self, day: int) -> None:
        due = [frame for at, frame in self._owed if at <= day]
        self._owed = [(at, frame) for at, frame in self._owed if at > day]
        if due and len(come := pd.concat(due)):
            labels.append(self.world.spec, self.settings, come)


def rows_of(world: World, drawn: pd.DataFrame, cause: Cause, random: np.random.Generator) -> pd.DataFrame:
    """Return what comes of a day's rows under a cause, in random order."""
    weights = np.ones(len(drawn))
    if cause.weigh is not None:
        weights = cause.weigh(drawn, world.scores(drawn))
    keys = np.log(random.random(len(drawn))) / weights
    best = np.argsort(-keys)[: random.poisson(ROWS * cause.traffic)]
    return drawn.iloc[random.permutation(best)]


def flipped(rows: pd.DataFrame, cause: Cause, day: int, random: np.random.Generator) -> Bools:
    """Return the truth of rows so many days after a cause's onset."""
    truth: Bools = rows["label"].to_numpy(bool)
    there = rows.index.isin(rows.query(cause.where).index) if cause.where else np.ones(len(rows), dtype=bool)
    return truth ^ (there & (random.random(len(rows)) < cause.flip * cause.strength(day)))


@lru_cache(maxsize=1)
def _source(name: str) -> Any:
    return SETS[name]()


@cache
def world_of(key: tuple[str, int]) -> World:
    """Return a data set's world of a number; made once."""
    return World.of(_source(key[0]), key[1])


@dataclass(frozen=True)
class Warm:
    """The state after the quiet days: labels to come, and what was decided."""

    owed: list[tuple[int, pd.DataFrame]]
    actions: list[str]
    cpu_s: float


def warm(folder: Path, key: tuple[str, int]) -> Warm:
    """Run the quiet days of a world in a folder of its own."""
    world, home = world_of(key), home_of(folder, key)
    home.mkdir()
    replay = Replay(world, home, (key[1], 0), SPREAD[key[0]])
    world.publish(replay.settings)
    before, _ = halves(world)
    actions = [
        str(replay.day(day, before[day % len(before) :] + before[: day % len(before)], Cause()))
        for day in range(WARM)
    ]
    replay.close()
    return Warm(replay.owed, actions, replay.cpu_s)


def halves(world: World) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """Return the days that the quiet weeks are drawn from, and those of the episodes."""
    middle = len(world.live) // 3
    return world.live[:middle], world.live[middle:]


def home_of(folder: Path, key: tuple[str, int]) -> Path:
    """Return where a world's quiet days leave what they wrote."""
    return folder / f"{key[0]}-{key[1]}"
