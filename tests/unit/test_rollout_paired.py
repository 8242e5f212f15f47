"""Pairs from the inference log: which rows, which decisions, which shortfalls."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import log_loss

from monitors.tables import delta
from rollout import paired
from rollout.observations import Share
from spec import DataError, ModelSpec, Settings, loads, set_clock
from spec.tables import PARTITION, label_columns, log_columns

DAY = datetime(2026, 3, 1, tzinfo=UTC)
TASKS = {
    "binary": "target: {name: late}",
    "multiclass": "target: {name: late, classes: [early, fine, late]}",
    "regression": "target: {name: late}",
}


def spec_of(task: str, metric: str | None = None) -> ModelSpec:
    """A small model of a task; labels arrive within a day."""
    named = f"monitor: {{performance: {{metric: {metric}}}}}" if metric else ""
    return loads(f"""
model: flights
task: {task}
data: {{inference_log: log, labels: labels, id: id, time: t, {TASKS[task]}}}
features: {{x: numeric}}
rollout: {{min_requests: 4}}
{named}
""")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home whose clock stands ten days after the first prediction."""
    clock = tmp_path / "clock"
    set_clock(clock, DAY + timedelta(days=10))
    return Settings.from_env({"TRIMTAB_HOME": str(tmp_path), "TRIMTAB_CLOCK": str(clock)})


class Log:
    """Writes predictions and labels to the tables of a model."""

    def __init__(self, spec: ModelSpec, settings: Settings) -> None:
        self.spec, self.settings, self.count = spec, settings, 0

    def predict(
        self, version: str, ids: list[str], scores: list[list[float]], *, shadow: bool | None, day: int = 0
    ) -> None:
        """Append answered rows, one an id."""
        time = DAY + timedelta(days=day, hours=12)
        rows = []
        for row, (key, answer) in enumerate(zip(ids, scores, strict=True)):
            self.count += 1
            rows.append(
                {
                    "row_id": str(self.count),
                    "prediction_id": key,
                    "event_time": time + timedelta(seconds=row),
                    "event_date": f"{time:%Y-%m-%d}",
                    "logged_at": time,
                    "version": version,
                    "slot": "green" if version == "2" else "blue",
                    "shadow": shadow,
                    "latency_ms": 1.0,
                    "scores": answer,
                    "f_x": 0.0,
                }
            )
        self._append(self.spec.data.inference_log, rows, delta.schema_of(log_columns(self.spec)))

    def label(self, labels: dict[str, object], *, day: int = 5) -> None:
        """Append labels that arrive on a day."""
        at = DAY + timedelta(days=day)
        rows = [{"prediction_id": key, "label": value, "arrived_at": at} for key, value in labels.items()]
        self._append(self.spec.data.labels, rows, delta.schema_of(label_columns(self.spec)))

    def _append(self, path: str, rows: list[dict[str, object]], schema: pa.Schema) -> None:
        table = pa.Table.from_pylist(rows, schema=schema)
        partition = [PARTITION] if PARTITION in schema.names else []
        delta.append(self.settings.location(path), table, partition_by=partition)


def test_no_log_is_no_pairs(settings: Settings) -> None:
    """Before anything was logged there are no pairs, no decisions and no days."""
    spec = spec_of("binary")
    pairs = paired.collect(spec, settings, "2", "1", DAY)
    truth = paired.truths(spec, settings, pairs)

    assert paired.disagreement(spec, pairs, truth) == Share(hits=0, of=0)
    assert paired.daily_shortfalls(spec, pairs, truth, settings.clock.now()) == ()


def test_pairs_are_what_both_scored(settings: Settings) -> None:
    """A prediction pairs when both versions scored it, whichever was live, and counts once."""
    spec = spec_of("binary")
    log = Log(spec, settings)
    log.predict("1", ["a", "b", "c"], [[0.1], [0.2], [0.3]], shadow=False)
    log.predict("2", ["b", "a", "d", "a"], [[0.6], [0.7], [0.8], [0.9]], shadow=True)
    log.predict("2", ["e"], [[0.4]], shadow=False)
    log.predict("1", ["e"], [[0.5]], shadow=True)
    log.predict("3", ["c"], [[0.9]], shadow=True)
    pairs = paired.collect(spec, settings, "2", "1", DAY)
    scores = np.column_stack([pairs.challenger, pairs.champion]).tolist()
    found = dict(zip(pairs.ids.to_pylist(), scores, strict=True))

    assert found == {"a": [0.7, 0.1], "b": [0.6, 0.2], "e": [0.4, 0.5]}
    assert paired.disagreement(spec, pairs, np.full(3, np.nan)) == Share(hits=3, of=3)


def test_what_testers_asked_for_makes_no_pair(settings: Settings) -> None:
    """A tester who asks the challenger for a row that callers had, or both versions for one, adds nothing."""
    spec = spec_of("binary")
    log = Log(spec, settings)
    log.predict("1", ["a", "b"], [[0.1], [0.2]], shadow=False)
    log.predict("2", ["a"], [[0.9]], shadow=None)
    log.predict("2", ["a"], [[0.3]], shadow=True)
    log.predict("2", ["b", "c"], [[0.9], [0.9]], shadow=None)
    log.predict("1", ["c"], [[0.1]], shadow=None)
    pairs = paired.collect(spec, settings, "2", "1", DAY)

    assert (pairs.ids.to_pylist(), pairs.challenger.tolist()) == (["a"], [[0.3]])


def test_pairs_start_with_the_rollout(settings: Settings) -> None:
    """Rows from before the rollout are no evidence about it."""
    spec = spec_of("binary")
    log = Log(spec, settings)
    for day in (0, 1):
        log.predict("1", [f"a{day}"], [[0.1]], shadow=False, day=day)
        log.predict("2", [f"a{day}"], [[0.2]], shadow=True, day=day)

    assert paired.collect(spec, settings, "2", "1", DAY + timedelta(days=1)).ids.to_pylist() == ["a1"]


def test_a_days_shortfall_is_that_of_the_specs_metric(settings: Settings) -> None:
    """Log loss of a day: the mean difference over its labelled pairs; scikit-learn's value of each."""
    spec = spec_of("binary", metric="log_loss")
    log = Log(spec, settings)
    log.predict("1", ["a", "b", "c"], [[0.8], [0.4], [0.5]], shadow=False)
    log.predict("2", ["a", "b", "c"], [[0.9], [0.1], [0.5]], shadow=True)
    log.label({"a": True, "b": False})
    pairs = paired.collect(spec, settings, "2", "1", DAY)
    (day,) = paired.daily_shortfalls(spec, pairs, paired.truths(spec, settings, pairs), settings.clock.now())

    assert (f"{day.day}", day.rows) == ("2026-03-01", 2)
    assert day.difference == pytest.approx(log_loss([1, 0], [0.9, 0.1]) - log_loss([1, 0], [0.8, 0.4]))


def test_a_better_ranking_is_a_negative_shortfall(settings: Settings) -> None:
    """Of a metric that rises as the model gets better, the difference is turned around."""
    spec = spec_of("binary")
    log = Log(spec, settings)
    log.predict("1", ["a", "b", "c"], [[0.5], [0.6], [0.4]], shadow=False)
    log.predict("2", ["a", "b", "c"], [[0.9], [0.1], [0.2]], shadow=True)
    log.label({"a": True, "b": False, "c": False})
    pairs = paired.collect(spec, settings, "2", "1", DAY)
    (day,) = paired.daily_shortfalls(spec, pairs, paired.truths(spec, settings, pairs), settings.clock.now())

    assert day.difference == pytest.approx(0.5 - 1.0)


def test_a_day_of_one_class_says_nothing_of_a_ranking(settings: Settings) -> None:
    """ROC AUC is not defined on a day without both classes; the day is left out, not counted as zero."""
    spec = spec_of("binary")
    log = Log(spec, settings)
    log.predict("1", ["a", "b"], [[0.5], [0.6]], shadow=False)
    log.predict("2", ["a", "b"], [[0.9], [0.1]], shadow=True)
    log.label({"a": True, "b": True})
    pairs = paired.collect(spec, settings, "2", "1", DAY)

    assert (
        paired.daily_shortfalls(spec, pairs, paired.truths(spec, settings, pairs), settings.clock.now()) == ()
    )


def test_day_counts_once_its_labels_are_due(settings: Settings) -> None:
    """A day is left out until its end plus the label delay has passed, and in from that moment on."""
    spec = spec_of("binary", metric="log_loss")
    log = Log(spec, settings)
    log.predict("1", ["a"], [[0.8]], shadow=False)
    log.predict("2", ["a"], [[0.9]], shadow=True)
    log.label({"a": True}, day=1)
    pairs = paired.collect(spec, settings, "2", "1", DAY)
    truth = paired.truths(spec, settings, pairs)
    due = DAY + timedelta(days=2)

    assert paired.daily_shortfalls(spec, pairs, truth, due - timedelta(seconds=1)) == ()
    assert len(paired.daily_shortfalls(spec, pairs, truth, due)) == 1


def test_labels_from_the_future_are_not_seen(settings: Settings) -> None:
    """A label that arrives after the clock's now is not known yet."""
    spec = spec_of("binary")
    log = Log(spec, settings)
    log.predict("1", ["a"], [[0.8]], shadow=False)
    log.predict("2", ["a"], [[0.9]], shadow=True)
    log.label({"a": True}, day=11)
    pairs = paired.collect(spec, settings, "2", "1", DAY)

    assert np.isnan(paired.truths(spec, settings, pairs)).all()


def test_multiclass(settings: Settings) -> None:
    """Classes are compared by the most probable one, and their loss by the probability of the label's."""
    spec = spec_of("multiclass")
    log = Log(spec, settings)
    log.predict("1", ["a", "b"], [[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]], shadow=False)
    log.predict("2", ["a", "b"], [[0.6, 0.3, 0.1], [0.1, 0.4, 0.5]], shadow=True)
    log.label({"a": "fine", "b": "late"})
    pairs = paired.collect(spec, settings, "2", "1", DAY)
    truth = paired.truths(spec, settings, pairs)
    (day,) = paired.daily_shortfalls(spec, pairs, truth, settings.clock.now())

    assert paired.disagreement(spec, pairs, truth) == Share(hits=1, of=2)
    assert truth.tolist() == [1.0, 2.0]
    assert day.difference == pytest.approx((math.log(0.5 / 0.3) + math.log(0.8 / 0.5)) / 2)


def test_regression(settings: Settings) -> None:
    """Values differ when they are further apart than the champion's residuals spread."""
    spec = spec_of("regression")
    log = Log(spec, settings)
    ids = ["a", "b", "c", "d"]
    log.predict("1", ids, [[1.0], [2.0], [3.0], [4.0]], shadow=False)
    log.predict("2", ids, [[1.1], [2.1], [3.1], [9.0]], shadow=True)
    log.label({"a": 2.0, "b": 1.0, "c": 4.0})
    pairs = paired.collect(spec, settings, "2", "1", DAY)

    assert paired.disagreement(spec, pairs, paired.truths(spec, settings, pairs)) is None

    log.label({"d": 3.0})
    truth = paired.truths(spec, settings, pairs)
    (day,) = paired.daily_shortfalls(spec, pairs, truth, settings.clock.now())

    assert paired.disagreement(spec, pairs, truth) == Share(hits=1, of=4)
    assert day.difference == pytest.approx(math.sqrt((0.9**2 + 1.1**2 + 0.9**2 + 36) / 4) - 1)


def test_rows_of_another_task_are_an_error(settings: Settings) -> None:
    """Scores of the wrong width are reported, not reshaped."""
    spec = spec_of("binary")
    log = Log(spec, settings)
    log.predict("1", ["a"], [[0.1, 0.9]], shadow=False)
    log.predict("2", ["a"], [[0.2, 0.8]], shadow=True)

    with pytest.raises(DataError, match="must hold 1 a row; found"):
        paired.collect(spec, settings, "2", "1", DAY)
