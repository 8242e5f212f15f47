"""FLAML's search for a model within a time, and what one row costs its user."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from flaml import AutoML
from protocol import Request, frame, serve

KINDS = {"binary": "classification", "multiclass": "classification", "regression": "regression"}
METRICS = {"binary": "log_loss", "multiclass": "log_loss", "regression": "rmse"}


def search(request: Request) -> dict[str, Any]:
    """Fit on rows in order of time; answer other rows, and one at a time."""
    train, test, task = frame(request["train"]), frame(request["test"]), request["kind"]
    truth = train.pop("label")
    for name in request["categorical"]:
        train[name] = train[name].astype(object).astype("category")
        test[name] = test[name].astype(object).astype(train[name].dtype)
    model, started = AutoML(), time.perf_counter()
    model.fit(
        train,
        truth,
        task=KINDS[task],
        metric=METRICS[task],
        time_budget=request["seconds"],
        split_type="time",
        n_jobs=1,
        seed=0,
        verbose=0,
    )
    seconds = time.perf_counter() - started
    answer = model.predict if task == "regression" else model.predict_proba
    scores = np.asarray(answer(test), "float64")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.joblib"
        joblib.dump(model.model, file)
        size = file.stat().st_size
    return {
        "scores": (scores[:, 1] if task == "binary" else scores).tolist(),
        "one_row": _one_row(answer, test),
        "rows_per_second": _batch(answer, test),
        "bytes": size,
        "seconds": seconds,
        "name": f"{model.best_estimator} {model.best_config}",
    }


def _one_row(answer: Any, test: Any) -> float:
    """Return the median seconds of a one-row frame, of the processor, of the calmest of three rounds."""
    rows, medians = [test.iloc[[at]] for at in range(min(len(test), 60))], []
    for _ in range(3):
        times = []
        for row in rows:
            started = time.thread_time()
            answer(row)
            times.append(time.thread_time() - started)
        medians.append(float(np.median(times)))
    return min(medians)


def _batch(answer: Any, test: Any) -> float:
    rows, times = test.iloc[np.arange(10_000) % len(test)], []
    for _ in range(5):
        started = time.thread_time()
        answer(rows)
        times.append(time.thread_time() - started)
    return len(rows) / min(times)


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    serve({"search": search}, "flaml")
