"""What a model is worth and what it takes, as a graph or as the pipeline that one would serve natively."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import RandomizedSearchCV, TimeSeriesSplit
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from bench.peers.client import ask
from retraining import latency, learners
from retraining.dataset.labelled import Rows
from retraining.dataset.rows import FloatArray
from retraining.graphs.scorer import Scorer
from retraining.metrics import objective
from spec import FeatureType, ModelSpec, Task
from spec.retrain import Learner

BATCH = 10_000
_ROUNDS, _CALLS = 3, 60
_FOLDS = 3


@dataclass(frozen=True, slots=True)
class Figures:
    """A model on the holdout, which no search has seen.

    Parameters
    ----------
    loss
        Log loss in nats, or the root mean squared error in the target's unit.
    skill
        ROC AUC (one against the rest of three and more classes), or R².
    one_row
        Median seconds of one row: a frame of one row through a pipeline, arrays [1, 1] through a graph; of
        the processor where it takes milliseconds.
    size
        Bytes: of the ONNX file, or of joblib's.
    """

    name: str
    loss: float
    skill: float
    one_row: float
    rows_per_second: float
    size: int


def of_graph(spec: ModelSpec, name: str, file: Path, held: Rows) -> Figures:
    """Measure an ONNX file, on one thread."""
    scorer = Scorer(spec.task, file)
    one_row, _ = latency.one_row(scorer, held.inputs)
    feeds = scorer.feeds(held.inputs.iloc[np.arange(BATCH) % len(held)])
    return _figures(
        spec,
        name,
        held,
        scorer.predict(held.inputs),
        (one_row, _batch(lambda: scorer.call(feeds)), file.stat().st_size),
    )


def of_pipeline(spec: ModelSpec, name: str, pipeline: Pipeline, held: Rows) -> Figures:
    """Measure a scikit-learn pipeline as it would be served natively, on one thread."""
    answer = pipeline.predict if spec.task is Task.REGRESSION else pipeline.predict_proba
    file = BytesIO()
    joblib.dump(pipeline, file)
    batch = held.inputs.iloc[np.arange(BATCH) % len(held)]
    with threadpool_limits(1):
        cost = _one_row(answer, held.inputs), _batch(lambda: answer(batch)), file.tell()
    return _figures(spec, name, held, learners.scores(spec, pipeline, held.inputs), cost)


def champion(spec: ModelSpec, train: Rows, held: Rows) -> Figures:
    """Measure what was there before the retrain: a default forest of the oldest third of the rows."""
    oldest = len(train) // 3
    kind = RandomForestRegressor if spec.task is Task.REGRESSION else RandomForestClassifier
    pipeline = learners.build(spec, Learner.RANDOM_FOREST, learners.defaults(Learner.RANDOM_FOREST))
    pipeline.set_params(model=kind(100, random_state=0, n_jobs=1))
    pipeline.fit(train.inputs.iloc[:oldest], train.truth[:oldest])
    return of_pipeline(spec, "champion: forest of the oldest third", pipeline, held)


def random_search(spec: ModelSpec, train: Rows, held: Rows, seconds: float) -> Figures:
    """Measure scikit-learn's random search over boosted trees on folds in order of time, served natively.

    As many draws as fit into `seconds`, judged by the first fit; the best is fitted again on all rows.
    """
    learner = Learner.HIST_GRADIENT_BOOSTING
    pipeline = learners.build(spec, learner, learners.defaults(learner))
    space = {
        "model__max_iter": range(50, 400),
        "model__learning_rate": np.geomspace(0.02, 0.3, 50),
        "model__max_leaf_nodes": range(7, 128),
        "model__min_samples_leaf": range(5, 100),
        "model__l2_regularization": np.geomspace(1e-3, 10, 50),
    }
    scoring = "neg_root_mean_squared_error" if spec.task is Task.REGRESSION else "neg_log_loss"
    with threadpool_limits(1):
        started = time.perf_counter()
        pipeline.set_params(model__max_iter=200).fit(train.inputs, train.truth)
        fit = time.perf_counter() - started
        draws = max(1, int(seconds / (fit * (_FOLDS + 1) / 2)))
        search = RandomizedSearchCV(
            pipeline, space, n_iter=draws, scoring=scoring, cv=TimeSeriesSplit(_FOLDS), random_state=0
        )
        search.fit(train.inputs, train.truth)
    return of_pipeline(spec, f"RandomizedSearchCV, {draws} draws", search.best_estimator_, held)


def flaml(spec: ModelSpec, train: Rows, held: Rows, seconds: float, folder: Path) -> Figures:
    """Measure what FLAML finds within a time, in its own environment."""
    files = {"train": folder / "train.arrow", "test": folder / "test.arrow"}
    labelled = train.inputs.assign(label=train.truth)
    for frame, file in zip((labelled, held.inputs), files.values(), strict=True):
        frame.reset_index(drop=True).to_feather(file)
    answer = ask(
        "flaml",
        {
            "task": "search",
            "kind": spec.task.value,
            "seconds": seconds,
            "categorical": list(spec.features_of(FeatureType.CATEGORICAL)),
            **{side: str(file) for side, file in files.items()},
        },
        timeout=10 * seconds + 300,
        threads=1,
    )
    name = f"FLAML in {answer['seconds']:.0f} s: {answer['name'].split()[0]}"
    cost = answer["one_row"], answer["rows_per_second"], answer["bytes"]
    return _figures(spec, name, held, np.array(answer["scores"]), cost)


def _figures(
    spec: ModelSpec, name: str, held: Rows, scores: FloatArray, cost: tuple[float, float, int]
) -> Figures:
    if spec.task is Task.REGRESSION:
        skill = r2_score(held.truth, scores)
    else:
        sums = scores.sum(axis=1, keepdims=True) if scores.ndim > 1 else 1
        skill = roc_auc_score(held.truth, scores / sums, multi_class="ovr")
    loss = objective(spec.task, held.truth, scores)
    if not math.isfinite(loss):
        message = f"{name} answers what is no number"
        raise SystemExit(message)
    return Figures(name, loss, float(skill), *cost)


def _one_row(answer: Callable[[pd.DataFrame], object], inputs: pd.DataFrame) -> float:
    """Return the median of the calmest round, of the processor: other work only ever adds time.

    Milliseconds are long enough for the scheduler to put a call aside, which a graph's microseconds are not:
    on a busy machine the clock on the wall would make a pipeline look ten times as slow as it is.
    """
    rows = [inputs.iloc[[at]] for at in range(min(len(inputs), _CALLS))]
    answer(rows[0])
    medians = []
    for _ in range(_ROUNDS):
        times = [_seconds(partial(answer, row)) for row in rows]
        medians.append(float(np.median(times)))
    return min(medians)


def _batch(call: Callable[[], object]) -> float:
    """Return rows a second, of the fastest of five calls."""
    return BATCH / min(_seconds(call) for _ in range(5))


def _seconds(call: Callable[[], object]) -> float:
    """Return what a call on one thread takes of the processor."""
    started = time.thread_time()
    call()
    return time.thread_time() - started
