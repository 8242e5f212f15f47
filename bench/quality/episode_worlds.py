"""Models on real rows, and days of real rows on which nothing drifts by itself.

The days of a data set are dealt out in random order: some train the model, some are held out, the others
are its production, one real day a window. So nothing drifts but what an episode makes drift, and rows of a
day stay together with all that they share, such as the weather. Features that only tell the date are left
out.

Flights are those of New York in 2013. The census of Massachusetts in 2015 is in NannyML's package; its rows
have no day, and are dealt out to days of equal size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import brier_score_loss

from bench.peers.client import ask
from bench.quality import estimate_sets
from monitors import frames, references
from monitors.held import Held
from monitors.windows import EPOCH
from retraining import release
from spec import FeatureType, ModelSpec, Settings, loads
from trimtab.demo import flights

DAY = timedelta(days=1)
START = datetime(2024, 5, 6, tzinfo=UTC)
ROWS = 300
"""Rows of a usual window."""
_TRAIN, _HELD = 150, 60  # days
_HELD_ROWS = 120  # a day
_WHOLE = 0.3
Floats = npt.NDArray[np.float64]

_MONITORS = """
task: binary
monitor:
  report: null
  data_drift: {share: 5%}
  performance: {METRIC}
  quality: {null_rate: 30%}
retrain: {min_rows: 1000, holdout: 7d}
"""


@dataclass(frozen=True)
class Rows:
    """A data set: features and `label` (bool), and the day of each row."""

    spec: ModelSpec
    frame: pd.DataFrame
    day: npt.NDArray[np.int64]


def late_flights() -> Rows:
    """Will a flight arrive more than 15 minutes late? The watched metric is ROC AUC."""
    rows = flights.load_flights()
    names = [
        name for name in (*flights.NUMERIC, *flights.CATEGORICAL) if name not in {"month", "day_of_week"}
    ]
    frame = rows[names].assign(label=rows["late"].astype(bool))
    day = pd.factorize(rows["scheduled_departure"].dt.floor("D"))[0]
    sound = (frame.isna().groupby(day).mean().max(axis=1) < _WHOLE).to_numpy()[
        day
    ]  # no weather on a few days
    frame = frame[sound].reset_index(drop=True)
    return Rows(_spec("flights", frame, "metric: roc_auc"), frame, np.asarray(day[sound], dtype=np.int64))


def census() -> Rows:
    """Is somebody employed? The watched metric is log loss."""
    folder = Path(ask("nannyml", {"task": "data"}, timeout=600)["folder"])
    reference = estimate_sets.employment(folder).reference
    frame = reference.drop(columns=["id", "year", "score", "label"]).assign(
        label=reference["label"].astype(bool)
    )
    day = np.random.default_rng(0).permutation(len(frame)) % (len(frame) // (ROWS + ROWS // 4))
    return Rows(_spec("census", frame, "metric: log_loss, drop: 0.03"), frame, day)


SETS: dict[str, Callable[[], Rows]] = {"flights": late_flights, "census": census}


def _spec(name: str, frame: pd.DataFrame, metric: str) -> ModelSpec:
    kinds = {
        feature: "numeric" if pd.api.types.is_numeric_dtype(frame[feature]) else "categorical"
        for feature in frame.columns.drop("label")
    }
    listed = ", ".join(f"{feature}: {kind}" for feature, kind in kinds.items())
    return loads(
        f"model: {name}\n"
        "data: {inference_log: log, labels: labels, id: row, time: time, target: {name: label, delay: 1d}}\n"
        f"features: {{{listed}}}\n" + _MONITORS.replace("METRIC", metric)
    )


@dataclass(frozen=True)
class Model:
    """Boosted trees on codes; what they have not seen is missing to them."""

    codes: dict[str, dict[str, int]]
    trees: HistGradientBoostingClassifier

    @classmethod
    def fitted(cls, spec: ModelSpec, rows: pd.DataFrame) -> Model:
        """Learn from rows."""
        codes = {
            name: {value: at for at, value in enumerate(rows[name].value_counts().index[:250])}
            for name in spec.features_of(FeatureType.CATEGORICAL)
        }
        trees = HistGradientBoostingClassifier(
            max_iter=80,
            learning_rate=0.08,
            max_leaf_nodes=15,
            random_state=0,
            categorical_features=[name in codes for name in spec.features],
        )
        model = cls(codes, trees)
        trees.fit(model._matrix(rows, list(spec.features)), rows["label"])
        return model

    def scores(self, rows: pd.DataFrame, names: list[str]) -> Floats:
        """Return P(positive) of each row."""
        return np.asarray(self.trees.predict_proba(self._matrix(rows, names))[:, 1])

    def _matrix(self, rows: pd.DataFrame, names: list[str]) -> Floats:
        columns = [rows[name].map(self.codes[name]) if name in self.codes else rows[name] for name in names]
        return np.column_stack([column.to_numpy(float, na_value=np.nan) for column in columns])


@dataclass(frozen=True)
class World:
    """A model of a data set and the days of its production.

    Parameters
    ----------
    live
        Rows of each day of production, as many as the day has.
    """

    spec: ModelSpec
    model: Model
    train: pd.DataFrame
    held: pd.DataFrame
    live: list[pd.DataFrame]

    @classmethod
    def of(cls, rows: Rows, seed: int) -> World:
        """Deal out the days and train."""
        random = np.random.default_rng(seed)
        days = random.permutation(np.unique(rows.day))
        dealt = np.split(days, [min(_TRAIN, len(days) // 3), min(_TRAIN + _HELD, len(days) * 3 // 5)])
        by_day = dict(iter(rows.frame.groupby(rows.day)))
        end = START - DAY * len(dealt[1])
        held = _in_time([by_day[day] for day in dealt[1]], START, random, _HELD_ROWS)
        train = _in_time([by_day[day] for day in dealt[0]], end, random, ROWS)
        return cls(
            rows.spec,
            Model.fitted(rows.spec, train),
            train,
            held,
            [by_day[day].reset_index(drop=True) for day in dealt[2]],
        )

    @cached_property
    def names(self) -> list[str]:
        """The features."""
        return list(self.spec.features)

    def scores(self, rows: pd.DataFrame) -> Floats:
        """Return what the model answers."""
        return self.model.scores(rows, self.names)

    def publish(self, settings: Settings) -> None:
        """Publish version 1."""
        scores = self.scores(self.held)
        times = self.held["time"]
        held = Held(
            frames.typed(self.spec, self.held[self.names]),
            scores[:, None],
            self.held["label"].to_numpy(float),
            np.asarray((times - EPOCH) // timedelta(microseconds=1), dtype=np.int64),
        )
        references.publish(
            self.spec,
            settings,
            "1",
            self.train.assign(prediction=self.scores(self.train)),
            importances=self._importances(scores),
            performance=release.band(self.spec, self.held["label"].to_numpy("int64"), scores, times),
            window=(self.train["time"].min().to_pydatetime(), START),
            held=held,
        )

    def _importances(self, scores: Floats) -> dict[str, float]:
        random, sample = np.random.default_rng(0), slice(0, 2000)
        rows, labels = self.held[sample], self.held["label"][sample]
        usual = brier_score_loss(labels, scores[sample])
        rises = {}
        for name in self.names:
            dealt = rows.assign(**{name: rows[name].to_numpy()[random.permutation(len(rows))]})
            rises[name] = max(0.0, brier_score_loss(labels, self.scores(dealt)) - usual)
        total = sum(rises.values())
        return {name: rise / total for name, rise in rises.items()}


def _in_time(days: list[pd.DataFrame], end: datetime, random: np.random.Generator, most: int) -> pd.DataFrame:
    """Put days one after the other, up to a time, each cut to some rows."""
    found = []
    for at, rows in enumerate(days):
        kept = rows.iloc[np.sort(random.permutation(len(rows))[:most])]
        start = end - (len(days) - at) * DAY
        found.append(kept.assign(time=[start + DAY * row / len(kept) for row in range(len(kept))]))
    return pd.concat(found, ignore_index=True)
