"""Tasks whose whole retrain is measured: rows in order of time, and the spec that they are retrained by.

Flights of New York in 2013 come with the demo, the census of Massachusetts and the synthetic credit cards and
car prices with NannyML, the handwritten digits with scikit-learn. What has no time gets one by the order of
its rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from bench.peers.client import ask
from bench.quality import estimate_sets
from spec import ModelSpec, load
from spec.model import Optimize
from spec.retrain import Search
from trimtab.demo import flights

END = pd.Timestamp("2024-06-01", tz="UTC")
PASSES = [
    "select_features",
    "prune_cost_complexity",
    "distil",
    "prune_trees",
    "prune_units",
    "low_rank",
    "half",
    "quantize",
]


@dataclass(frozen=True)
class Task:
    """What is learnt, of which rows.

    Parameters
    ----------
    rows
        Columns `row`, `time`, `label` and the features; in order of time.
    """

    name: str
    kind: str
    rows: pd.DataFrame
    learners: tuple[str, ...]

    def spec(self, *, search: float, optimize: float) -> ModelSpec:
        """Return the spec that tries every pass, within seconds for the search and for the passes."""
        columns = self.rows.drop(columns=["row", "time", "label"])
        target: dict[str, Any] = {"name": "label", "delay": "1h"}
        if self.kind == "multiclass":
            target["classes"] = sorted(self.rows["label"].unique())
        return ModelSpec.model_validate(
            {
                "model": "measured",
                "task": self.kind,
                "data": {
                    "inference_log": "log",
                    "labels": "labels",
                    "history": "history.parquet",
                    "id": "row",
                    "time": "time",
                    "target": target,
                },
                "features": {
                    name: "numeric" if pd.api.types.is_numeric_dtype(column) else "categorical"
                    for name, column in columns.items()
                },
                "retrain": {
                    "learners": self.learners,
                    "search": {"time": f"{search:g}s", "trials": 20, "warm_start": False, "fine_tune": False},
                },
                "optimize": {"passes": PASSES, "time": f"{optimize:g}s", "served": 0},
                "validate": {"season": None},
            }
        )


def late_flights(most: int) -> Task:
    """Will a flight arrive more than 15 minutes late? January to August."""
    rows = _flown("late", most)
    return Task("flights late", "binary", rows, ("lightgbm", "random_forest", "mlp"))


def delays(most: int) -> Task:
    """By how many minutes? Clipped to two hours either way, or a dozen lost days decide."""
    rows = _flown("delay", most)
    rows["label"] = rows["label"].clip(-120, 120)
    return Task("flights delay", "regression", rows, ("hist_gradient_boosting", "mlp"))


def employment(most: int) -> Task:
    """Is somebody of Massachusetts employed? Census of 2015."""
    given = estimate_sets.employment(_published())
    frame = given.reference[[*given.features, "label"]].tail(most).astype({"label": bool})
    return Task("employment", "binary", _in_order(frame), ("lightgbm", "mlp"))


def digits(most: int) -> Task:
    """Which digit is written? 1,797 pictures of 8 x 8 pixels."""
    data = load_digits()
    frame = pd.DataFrame(data.data, columns=[f"pixel_{at:02}" for at in range(64)])
    frame["label"] = [f"digit {value}" for value in data.target]
    return Task("digits", "multiclass", _in_order(frame.tail(most)), ("random_forest", "mlp"))


def credit_cards(most: int) -> Task:
    """Which card does a customer take? Synthetic, three classes."""
    given = estimate_sets.credit_cards(_published())
    frame = given.reference[[*given.features, "label"]].tail(most).copy()
    frame["label"] = [given.scores[int(value)] for value in frame["label"]]
    return Task("credit cards", "multiclass", _in_order(frame), ("lightgbm", "mlp"))


def car_price(most: int) -> Task:
    """What does a used car cost? Synthetic."""
    given = estimate_sets.car_price(_published())
    frame = given.reference[[*given.features, "label"]].tail(most)
    return Task("car price", "regression", _in_order(frame), ("lightgbm", "mlp"))


TASKS = (late_flights, employment, credit_cards, digits, delays, car_price)


def flights_by_default() -> tuple[ModelSpec, pd.DataFrame]:
    """Return models/flights.yaml with the defaults of the search and the passes, and its eight months."""
    spec = load(Path(__file__).parents[2] / "models" / "flights.yaml")
    by_default = {
        "retrain": spec.retrain.model_copy(update={"search": Search()}),
        "optimize": Optimize(within=spec.optimize.within),
        "data": spec.data.model_copy(update={"history": "history.parquet"}),
    }
    known = flights.load_flights()
    rows = known[known["month"] <= 8].drop(columns="landed").reset_index(drop=True)
    return spec.model_copy(update=by_default), rows


def _flown(label: str, most: int) -> pd.DataFrame:
    known = flights.load_flights()
    known = known[known["month"] <= 8]
    known = flights.sample(known, -(-len(known) // most))
    arrival = known["scheduled_departure"] + pd.to_timedelta(known["sched_minutes"], unit="min")
    known["delay"] = (known["landed"] - arrival).dt.total_seconds() / 60
    features: Sequence[str] = [*flights.NUMERIC, *flights.CATEGORICAL]
    named = {"flight_id": "row", "scheduled_departure": "time", label: "label"}
    return known[[*named, *features]].rename(columns=named)


def _in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Give rows without a time two months of it, in their order."""
    times = END - pd.to_timedelta(np.linspace(60 * 86_400, 0, len(frame)).round(), unit="s")
    names = [f"r{at:06}" for at in range(len(frame))]
    return frame.reset_index(drop=True).assign(row=names, time=times)


@cache
def _published() -> Path:
    return Path(ask("nannyml", {"task": "data"}, timeout=600)["folder"])
