"""A shop's model in a replay, and the daemon that judges it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from monitors import references
from monitors.daemon.model_job import ModelJob
from monitors.reports.report import Reporter
from monitors.results.records import MonitorName, WindowResult
from monitors.results.store import Store
from monitors.tables import labels
from spec import ModelSpec, Settings, loads, set_clock

SPEC = """
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y, delay: 1d}}
features: {amount: numeric, country: categorical}
monitor:
  report: null
  data_drift: {effect: 0.5, share: 0.5, over: 2}
  performance: {over: 3, min_labels: 100}
"""
DAY = timedelta(days=1)
START = datetime(2024, 5, 1, tzinfo=UTC)
ROWS = 120


class Shop:
    """A shop's model in a replay: a folder, a clock, a log that the test writes, and one daemon's job."""

    def __init__(self, home: Path, write_log: Callable[..., None]) -> None:
        self._write_log = write_log
        self.spec: ModelSpec = loads(SPEC)
        self.clock = home / "clock"
        set_clock(self.clock, START)
        self.settings = Settings.from_env({"TRIMTAB_HOME": str(home), "TRIMTAB_CLOCK": str(self.clock)})
        self.store = Store(self.settings.results_url)
        self.reporter = Reporter()
        self.daemon = self.new_daemon()
        self._written = 0

    def new_daemon(self) -> ModelJob:
        """A daemon that has seen nothing, on the same home."""
        return ModelJob(self.spec, self.settings, self.store, self.reporter, settle_s=0)

    def publish(self, version: str, *, mean: float = 100.0) -> None:
        """Publish the reference of a version that was trained on amounts around `mean`."""
        random = np.random.default_rng(0)
        rows = pd.DataFrame(
            {
                "amount": random.normal(mean, 10, 1000),
                "country": random.choice(["de", "fr"], 1000),
                "prediction": random.random(1000),
            }
        )
        band = {"value": 0.82, "low": 0.78, "high": 0.86}
        references.publish(
            self.spec,
            self.settings,
            version,
            rows,
            importances={},
            performance={"roc_auc": band},
            window=(START - DAY, START),
        )

    def serve(self, day: int, *, rows: int = ROWS, version: str = "1", mean: float = 100.0) -> list[str]:
        """Write a day of the log and return the ids."""
        random = np.random.default_rng(day)
        self._written += 1
        ids = [f"{self._written}-{row}" for row in range(rows)]
        scores = random.random(rows)
        answers = pd.DataFrame(
            {
                "prediction_id": ids,
                "event_time": [START + day * DAY + row * DAY / rows for row in range(rows)],
                "logged_at": self.settings.clock.now(),
                "version": version,
                "latency_ms": random.gamma(2.0, 1.0, rows),
                "scores": scores[:, None].tolist(),
                "f_amount": random.normal(mean, 10, rows),
                "f_country": random.choice(["de", "fr"], rows),
            }
        )
        self._write_log(self.spec, self.settings, answers.to_dict("records"))
        self.scores = dict(zip(ids, scores, strict=True))
        return ids

    def label(self, ids: Sequence[str]) -> None:
        """Append the truth of predictions of the last `serve`: as likely as the model says."""
        random = np.random.default_rng(1)
        truth = [bool(random.random() < self.scores[key]) for key in ids]
        labels.append(self.spec, self.settings, pd.DataFrame({"id": ids, "y": truth}))

    def tick(self, at: timedelta) -> bool:
        """Move the clock to a time after the start and let the daemon work."""
        self.wait(at)
        return self.daemon.tick(0.0, threading.Event())

    def results(self, monitor: MonitorName, version: str = "1") -> list[WindowResult]:
        """What the store has, by window."""
        return list(self.store.history("shop", monitor, version))

    def retold(self, old: str, new: str) -> None:
        """Change the model's YAML, under a daemon that has seen nothing."""
        self.spec = loads(SPEC.replace(old, new))
        self.daemon = self.new_daemon()

    def wait(self, until: timedelta) -> None:
        """Move the clock to a time after the start; nobody looks."""
        set_clock(self.clock, START + until)
        self.settings.clock._read_at = float("-inf")


@pytest.fixture
def shop(tmp_path: Path, write_log: Callable[..., None]) -> Shop:
    """A shop with version 1 and its reference."""
    shop = Shop(tmp_path, write_log)
    shop.publish("1")
    return shop
