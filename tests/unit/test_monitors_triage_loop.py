"""Small episodes that go through the daemon's whole loop: log, labels, monitors, store, triage."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from monitors import references
from monitors.daemon.model_job import ModelJob
from monitors.held import Held
from monitors.reports.report import Reporter
from monitors.results.store import Store
from monitors.tables import labels
from monitors.triage import Action, Cause, Triage, episodes
from monitors.windows import EPOCH
from spec import ModelSpec, Settings, loads, set_clock

SPEC = """
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y, delay: 1d}}
features: {amount: numeric, age: numeric, country: categorical}
monitor:
  report: null
  data_drift: {share: 30%, over: 2, correlation: null}
  performance: {over: 3, min_labels: 100, estimate: cbpe}
  slices: {search: false}
"""
DAY = timedelta(days=1)
START = datetime(2024, 5, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
HELD_DAYS, ROWS = 30, 250
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Trouble:
    """What is wrong on a day; by default nothing."""

    edit: Callable[[pd.DataFrame], pd.DataFrame] = field(default=lambda rows: rows)
    flipped: float = 0.0
    slower: float = 1.0
    labelled: bool = True


QUIET = Trouble()


def score(rows: pd.DataFrame) -> Floats:
    """P(positive) by the model, which is right: the truth is drawn with it; null counts as usual."""
    return np.asarray(1 / (1 + np.exp(-1.5 * rows["amount"].fillna(0.0).to_numpy(float))))


def drawn(random: np.random.Generator, rows: int) -> pd.DataFrame:
    """Rows with their truth."""
    found = pd.DataFrame(
        {
            "amount": random.normal(0, 1, rows),
            "age": random.normal(40, 10, rows),
            "country": random.choice(["de", "fr"], rows),
        }
    )
    return found.assign(y=random.random(rows) < score(found))


class Shop:
    """A shop's model in a replay, a day at a time."""

    def __init__(self, home: Path, write_log: Callable[..., None]) -> None:
        self._write_log = write_log
        self.spec: ModelSpec = loads(SPEC)
        self._clock = home / "clock"
        set_clock(self._clock, START)
        variables = {"TRIMTAB_HOME": str(home), "TRIMTAB_CLOCK": str(self._clock)}
        self.settings = Settings.from_env(variables)
        self.store = Store(self.settings.results_url)
        self._daemon = ModelJob(self.spec, self.settings, self.store, Reporter(), settle_s=0)
        self._random = np.random.default_rng(7)
        self._owed: pd.DataFrame | None = None
        self._day = 0
        self._publish()

    def live(self, days: int, trouble: Trouble = QUIET) -> list[Action]:
        """Let days go by; return what the triage said at the end of each."""
        return [self._live(trouble) for _ in range(days)]

    @property
    def decision(self) -> Triage:
        """The decision of the present episode."""
        found = episodes.latest(self.store, "shop")
        assert found is not None
        return found

    def _live(self, trouble: Trouble) -> Action:
        rows = drawn(self._random, ROWS)
        truth = rows["y"].to_numpy(bool) ^ (self._random.random(ROWS) < trouble.flipped)
        rows = trouble.edit(rows)
        rows["id"] = [f"{self._day}-{row}" for row in range(ROWS)]
        self._log(rows, trouble)
        self._day += 1
        set_clock(self._clock, START + self._day * DAY)
        self.settings.clock._read_at = float("-inf")
        if self._owed is not None:
            labels.append(self.spec, self.settings, self._owed)
        self._owed = pd.DataFrame({"id": rows["id"], "y": truth}) if trouble.labelled else None
        self._daemon.tick(0.0, threading.Event())
        (result,) = self.store.latest("shop", "triage")
        return Action(str(next(n.method for n in result.measurements if n.name == "triage")))

    def _log(self, rows: pd.DataFrame, trouble: Trouble) -> None:
        times = [START + (self._day + row / ROWS) * DAY for row in range(ROWS)]
        answers = (
            rows[list(self.spec.features)]
            .add_prefix("f_")
            .assign(
                prediction_id=rows["id"],
                event_time=times,
                latency_ms=self._random.gamma(2.0, 1.0, ROWS) * trouble.slower,
                scores=score(rows)[:, None].tolist(),
            )
        )
        self._write_log(self.spec, self.settings, answers.to_dict("records"))

    def _publish(self) -> None:
        rows = drawn(self._random, HELD_DAYS * ROWS // 4)
        first = (START - EPOCH - HELD_DAYS * DAY) // TICK
        held = Held(
            rows[list(self.spec.features)],
            score(rows)[:, None],
            rows["y"].to_numpy(float),
            np.linspace(first, first + HELD_DAYS * (DAY // TICK) - 1, len(rows)).astype(np.int64),
        )
        references.publish(
            self.spec,
            self.settings,
            "1",
            rows.assign(prediction=score(rows)),
            importances={"amount": 1.0, "age": 0.0, "country": 0.0},
            performance={"roc_auc": {"value": 0.81, "low": 0.80, "high": 0.82}},
            window=(START - 60 * DAY, START - HELD_DAYS * DAY),
            held=held,
        )


@pytest.fixture
def shop(tmp_path: Path, write_log: Callable[..., None]) -> Shop:
    """A shop whose model is sound and has held-out rows."""
    return Shop(tmp_path, write_log)


def test_a_null_column_is_for_people_and_is_never_retrained_away(shop: Shop) -> None:
    """While the column that the model lives by is null only its repair is asked for, and nothing after."""
    broken = Trouble(edit=lambda rows: rows.assign(amount=np.nan))

    before, during, after = shop.live(2), shop.live(3, broken), shop.live(3)

    assert [Action.NONE] * 2 == before
    assert [Action.FIX_DATA] * 3 == during
    assert [Action.NONE] * 3 == after


def test_a_changed_relation_is_retrained_from_its_onset(shop: Shop) -> None:
    """Labels that mean something else lower the metric: a retrain is asked for once they have come."""
    before, during = shop.live(2), shop.live(5, Trouble(flipped=0.7))

    assert [Action.NONE] * 2 == before
    assert Action.RETRAIN not in during[:1]  # the first labels come a day later
    assert [Action.RETRAIN] * 2 == during[3:]
    assert Cause.PERFORMANCE is shop.decision.cause
    assert shop.decision.training is not None


def test_a_benign_shift_is_watched(shop: Shop) -> None:
    """An input that the model does not look at moves: people see it, and nothing is trained."""
    older = Trouble(edit=lambda rows: rows.assign(age=rows["age"] + 8.0))

    before, during = shop.live(2), shop.live(4, older)

    assert [Action.NONE] * 2 == before
    assert [Action.WATCH] * 3 == during[1:]
    assert any(sentence.startswith("33% of the features") for sentence in shop.decision.evidence)


def test_a_slow_service_is_for_who_runs_it(shop: Shop) -> None:
    """Answers that take forty times as long are no matter of the model."""
    before, during = shop.live(2), shop.live(2, Trouble(slower=40.0))

    assert ([Action.NONE] * 2, [Action.FIX_INFRA] * 2) == (before, during)


def test_labels_that_stop_are_asked_for(shop: Shop) -> None:
    """Once the pooled windows hold too few labels, the rows most worth one are named in a file."""
    during = shop.live(2), shop.live(4, Trouble(labelled=False))

    assert Action.COLLECT_LABELS is during[1][-1]
    assert {Action.NONE, Action.COLLECT_LABELS} == {*during[0], *during[1]}
    assert "error" not in {run.outcome for run in shop.store.runs()}
    (file,) = (shop.settings.home / "labelling" / "shop").iterdir()
    assert 100 == len(pd.read_csv(file))
