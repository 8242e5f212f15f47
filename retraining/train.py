"""Train: fit what the search found, once without the newest rows and once on all, and export both."""

from __future__ import annotations

from time import perf_counter

import pandas as pd
from sklearn.pipeline import Pipeline

from retraining import learners, native
from retraining.dataset import label_errors, windows
from retraining.dataset.cut import cut
from retraining.dataset.labelled import Rows
from retraining.graphs.export import to_onnx
from retraining.graphs.parity import Parity, check
from retraining.passes import out_of_fold
from retraining.prepare import TRAIN, load_rows
from retraining.records import Candidate, Search, Snapshot, Tuned, Tuning
from retraining.workspace import Workspace
from spec import ModelSpec, Refused, Settings, Task

DOUBTED = "doubted_labels.csv"
"""Rows whose label is probably wrong, the most doubtful first."""


def train(spec: ModelSpec, settings: Settings, run: str) -> Search:
    """Fit and export a candidate of each setting that the search found; doing it again replaces them.

    The proxy of a candidate is fitted without the validation rows and those of the season that returns, for
    decisions that need rows it has not seen; the model itself on all training rows of its window.

    Raises
    ------
    NotFound
        The run was not tuned.
    Refused
        No candidate can be served; with the reason of each.
    """
    start = perf_counter()
    work = Workspace(settings, run)
    taken, tuning = work.load(Snapshot), work.load(Tuning)
    frame = load_rows(work, TRAIN)
    usable = windows.usable(spec, taken)
    doubted = _doubted(spec, work, frame, tuning)
    if spec.retrain.label_errors == "remove":
        frame = frame[~frame[spec.data.id].isin(doubted)]
    split = cut(spec, frame, taken)
    candidates, refused = [], {}
    for tuned in tuning.found:
        parts = (windows.learnt(spec, usable[tuned.window], part, taken) for part in (split.fit, frame))
        try:
            candidates.append(_candidate(spec, work, tuned, *parts))
        except Refused as error:
            refused[tuned.name] = str(error)
    if not candidates:
        reasons = "\n".join(f"{name}: {reason}" for name, reason in refused.items())
        msg = f"No learner of {spec.model!r} gave a model that can be served:\n{reasons}"
        raise Refused(msg)
    record = Search(
        candidates=tuple(candidates),
        refused=refused,
        doubted_labels=len(doubted),
        seconds=perf_counter() - start,
    )
    work.save(record)
    return record


def _doubted(spec: ModelSpec, work: Workspace, frame: pd.DataFrame, tuning: Tuning) -> pd.Series[str]:
    """Return the ids of the training rows whose label is probably wrong, as of the best that was tuned."""
    ids = frame[spec.data.id]
    if spec.retrain.label_errors == "off" or spec.task is Task.REGRESSION:
        return ids.iloc[:0]
    newest = frame.tail(spec.retrain.search.max_rows)
    best = min(tuning.found, key=lambda tuned: tuned.loss)
    part = Rows.of(spec, newest)
    try:
        answers = out_of_fold.answers(spec, best.learner, best.params, part)
    except Refused:
        return ids.iloc[:0]  # a class has too few days to be left out in turn
    doubtful = newest.iloc[label_errors.suspected(spec, part, answers)]
    listed = doubtful[[spec.data.id, spec.data.time, spec.data.target.name]]
    work.write(DOUBTED, lambda draft: listed.to_csv(draft, index=False))
    return doubtful[spec.data.id]


def _candidate(spec: ModelSpec, work: Workspace, tuned: Tuned, older: Rows, every: Rows) -> Candidate:
    proxy, _, _ = _exported(spec, tuned, older)
    model, parity, pipeline = _exported(spec, tuned, every)
    beside = f"{tuned.folder}/native"
    names = f"{tuned.folder}/proxy.onnx", f"{tuned.folder}/model.onnx"
    for name, content in zip(names, (proxy, model), strict=True):
        work.put(name, content)
    return Candidate(
        learner=tuned.learner,
        window=tuned.window,
        params=tuned.params,
        trials=tuned.trials,
        validation_loss=tuned.loss,
        proxy=names[0],
        onnx=names[1],
        native=beside if native.save(pipeline, work.path(beside)) else None,
        parity_rows=parity.rows,
        parity_difference=parity.difference,
    )


def _exported(spec: ModelSpec, tuned: Tuned, rows: Rows) -> tuple[bytes, Parity, Pipeline]:
    pipeline = learners.fit(spec, tuned.learner, tuned.params, rows)
    content = to_onnx(spec, pipeline).SerializeToString()
    return content, check(spec, pipeline, content, rows.inputs, spec.retrain.search.seed), pipeline
