"""Real and published data on which estimates of performance are held against what came true.

Those in NannyML's package are what its own documentation shows; it brings their predictions. Flights of New
York in 2013 come with the demo; their models are fitted here, on the first months.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from spec import ModelSpec, Task
from trimtab.demo import flights


@dataclass(frozen=True)
class Set:
    """Labelled rows before and after a model went live.

    Parameters
    ----------
    reference, windows
        Features, the columns of `scores`, `label` (a number), `time` where known; `window` is the number of
        the window.
    scores
        P(positive), P(class) of each class, or the value.
    """

    name: str
    task: Task
    reference: pd.DataFrame
    windows: pd.DataFrame
    features: list[str]
    scores: list[str]

    @property
    def metrics(self) -> list[str]:
        """What is estimated."""
        if self.task is Task.REGRESSION:
            return ["mae", "rmse"]
        return ["roc_auc", "accuracy", "f1"]

    def spec(self) -> ModelSpec:
        """A model that answers such rows."""
        kinds = self.reference[self.features].dtypes
        numeric = {name: pd.api.types.is_numeric_dtype(kind) for name, kind in kinds.items()}
        target: dict[str, object] = {"name": "label"}
        if self.task is Task.MULTICLASS:
            target["classes"] = self.scores
        return ModelSpec.model_validate(
            {
                "model": "measured",
                "task": self.task.value,
                "data": {"inference_log": "i", "labels": "l", "id": "row", "time": "time", "target": target},
                "features": {
                    name: "numeric" if is_numeric else "categorical" for name, is_numeric in numeric.items()
                },
            }
        )


def _cut(
    name: str,
    task: Task,
    reference: pd.DataFrame,
    rest: pd.DataFrame,
    scores: list[str],
    *,
    rows: int = 0,
    every: pd.Timedelta | None = None,
) -> Set:
    """Number the windows, of as many rows or of as much time, and spell categories as strings."""
    if every is None:
        window = np.arange(len(rest)) // rows
    else:
        window = ((rest["time"] - rest["time"].min()) // every).to_numpy()
    whole = np.bincount(window) >= np.bincount(window).max() / 2
    rest = rest.assign(window=window)[whole[window]].reset_index(drop=True)
    features = [each for each in reference if each not in {"time", "label", "id", "year", *scores}]
    for frame in (reference, rest):
        for each in features:
            if not pd.api.types.is_numeric_dtype(frame[each]) or frame[each].dtype == bool:
                frame[each] = frame[each].astype("str")
    return Set(name, task, reference.reset_index(drop=True), rest, features, scores)


def _published(
    folder: Path,
    stem: str,
    target: str,
    label: str,
    scores: dict[str, str] | str,
    *,
    drop: tuple[str, ...] = (),
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read a set of NannyML's package."""

    def read(part: str) -> pd.DataFrame:
        path = next(folder.glob(f"{stem}_{part}.*"))
        return pd.read_parquet(path) if path.suffix == ".pq" else pd.read_csv(path)

    reference, rest = read("reference"), read("analysis")
    rest = rest.merge(read(target), on="id")
    names = {scores: "score"} if isinstance(scores, str) else scores
    frames = []
    for frame in (reference, rest):
        renamed = frame.rename(columns={label: "label", "timestamp": "time", **names}).drop(
            columns=[*drop, "y_pred", "period", "prediction"], errors="ignore"
        )
        if "time" in renamed:
            renamed["time"] = pd.to_datetime(renamed["time"], utc=True)
        frames.append(renamed.dropna(subset=["label"]))
    return frames[0], frames[1]


def employment(folder: Path) -> Set:
    """Census of Massachusetts: employed or not; reference 2015, windows of 2016 to 2018."""
    pair = _published(folder, "employment_MA", "analysis_target", "employed", "predicted_probability")
    return _cut("employment", Task.BINARY, *pair, ["score"], rows=5_000)


def housing(folder: Path) -> Set:
    """California's houses: dear or not; NannyML gave them times."""
    pair = _published(folder, "california_housing", "analysis_gt", "clf_target", "y_pred_proba")
    return _cut("housing", Task.BINARY, *pair, ["score"], rows=500)


def car_loan(folder: Path) -> Set:
    """Synthetic loans, inputs shifted halfway (synthetic_sample holds the same rows under other names)."""
    pair = _published(folder, "synthetic_car_loan", "analysis_target", "repaid", "y_pred_proba")
    return _cut("car loan", Task.BINARY, *pair, ["score"], rows=2_500)


def credit_cards(folder: Path) -> Set:
    """Synthetic, three classes."""
    classes = ["prepaid_card", "highstreet_card", "upmarket_card"]
    names = {f"y_pred_proba_{each}": each for each in classes}
    pair = _published(folder, "mc", "analysis_gt", "y_true", names)
    for frame in pair:
        frame["label"] = frame["label"].map(classes.index).astype(float)
    return _cut("credit cards", Task.MULTICLASS, *pair, classes, rows=3_000)


def car_price(folder: Path) -> Set:
    """Synthetic prices of used cars."""
    pair = _published(folder, "regression_synthetic", "analysis_targets", "y_true", "y_pred")
    return _cut("car price", Task.REGRESSION, *pair, ["score"], rows=3_000)


def titanic(folder: Path) -> Set:
    """Passengers: a model of the first half, a reference of the second, windows of the test rows."""
    columns = ["Pclass", "Sex", "Age", "SibSp", "Parch", "Fare"]
    rows, rest = pd.read_csv(folder / "titanic_reference.csv"), pd.read_csv(folder / "titanic_analysis.csv")
    rest = rest.merge(pd.read_csv(folder / "titanic_target.csv"), on="PassengerId")
    rows, rest = (
        each[columns].assign(Sex=(each["Sex"] == "male").astype(float), label=each["Survived"].astype(float))
        for each in (rows, rest)
    )
    train, reference = rows.iloc[:445], rows.iloc[445:].copy()
    model = HistGradientBoostingClassifier(max_iter=50, min_samples_leaf=15, random_state=0)
    model.fit(train[columns], train["label"])
    for each in (reference, rest):
        each["score"] = model.predict_proba(each[columns])[:, 1]
    return _cut("titanic", Task.BINARY, reference, rest, ["score"], rows=105)


def _flown(model: HistGradientBoostingClassifier | HistGradientBoostingRegressor, label: str) -> Set:
    """Fit on January and February, take March to May as reference, and weeks from June on as windows."""
    known = flights.sample(flights.load_flights(), 2)
    arrival = known["scheduled_departure"] + pd.to_timedelta(known["sched_minutes"], unit="min")
    known["delay"] = (known["landed"] - arrival).dt.total_seconds() / 60
    columns = [*flights.NUMERIC, *flights.CATEGORICAL]
    coded = known[columns].copy()
    for each in flights.CATEGORICAL:
        coded[each] = pd.factorize(known[each])[0]
    rows = known[columns].assign(time=known["scheduled_departure"], label=known[label].astype(float))
    month = known["month"]
    model.fit(coded[month <= 2], rows["label"][month <= 2])
    classifies = isinstance(model, HistGradientBoostingClassifier)
    rows["score"] = model.predict_proba(coded)[:, 1] if classifies else model.predict(coded)
    reference, rest = rows[(month > 2) & (month <= 5)].copy(), rows[month > 5].copy()
    task = Task.BINARY if classifies else Task.REGRESSION
    return _cut(f"flights, {label}", task, reference, rest, ["score"], every=pd.Timedelta(days=7))


def late_flights(_: Path) -> Set:
    """Late by more than 15 minutes or not."""
    return _flown(HistGradientBoostingClassifier(max_iter=60, random_state=0), "late")


def delays(_: Path) -> Set:
    """Minutes late."""
    return _flown(HistGradientBoostingRegressor(max_iter=60, random_state=0), "delay")


SETS = (
    employment,
    housing,
    car_loan,
    titanic,
    late_flights,
    credit_cards,
    car_price,
    delays,
)
