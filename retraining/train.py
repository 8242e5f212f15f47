"""Train: fit what the search found, once without the newest rows and once on all, and export both."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from retraining import champion, learners, native
from retraining.dataset import label_errors, windows
from retraining.dataset.cut import Split, cut
from retraining.dataset.labelled import Rows
from retraining.dataset.stored import DOUBTED, TRAIN, kept, load_rows
from retraining.graphs.export import to_onnx
from retraining.graphs.parity import Parity, check
from retraining.metrics import objective
from retraining.passes import out_of_fold
from retraining.records import Candidate, Search, Snapshot, Tuned, Tuning
from retraining.workspace import Workspace
from spec import ModelSpec, Refused, Settings, Task


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
    Unavailable
        The registry, which has the champion to be trained further, did not answer.
    """
    start = perf_counter()
    work = Workspace(settings, run)
    taken, tuning = work.load(Snapshot), work.load(Tuning)
    frame = load_rows(work, TRAIN)
    usable = windows.usable(spec, taken)
    doubted = _doubted(spec, work, frame, tuning)
    frame = kept(spec, work, frame)
    split = cut(spec, frame, taken)
    candidates, refused = [], {}
    for tuned in tuning.found:
        if tuned.window not in usable:
            refused[tuned.name] = f"its training window, {tuned.window}, is not in retrain.windows any more"
            continue
        parts = (windows.learnt(spec, usable[tuned.window], part, taken) for part in (split.fit, frame))
        try:
            candidates.append(_candidate(spec, work, tuned, *parts))
        except Refused as error:
            refused[tuned.name] = str(error)
    if spec.retrain.search.fine_tune:
        try:
            candidates += _continued(spec, settings, work, split, frame)
        except Refused as error:
            refused["the champion, continued"] = str(error)
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
    """List the training rows whose label is probably wrong, by the best that was tuned; return their ids."""
    newest = frame.tail(spec.retrain.search.max_rows)
    doubtful = newest.iloc[_suspected(spec, Rows.of(spec, newest), tuning)]
    listed = doubtful[[spec.data.id, spec.data.time, spec.data.target.name]]
    work.write(DOUBTED, lambda draft: listed.to_csv(draft, index=False))
    return doubtful[spec.data.id]


def _suspected(spec: ModelSpec, part: Rows, tuning: Tuning) -> NDArray[np.int64]:
    """Return which of the rows [n] are doubtful; none where nobody asks, or a class is too rare to tell."""
    none = np.empty(0, "int64")
    if spec.retrain.label_errors == "off" or spec.task is Task.REGRESSION:
        return none
    if len(np.unique(part.truth)) < len(spec.data.target.classes or (False, True)):
        return none
    best = min(tuning.found, key=lambda tuned: tuned.loss)
    try:
        answers = out_of_fold.answers(spec, best.learner, best.params, part)
    except Refused:
        return none
    return label_errors.suspected(spec, part, answers)


def _candidate(spec: ModelSpec, work: Workspace, tuned: Tuned, older: Rows, every: Rows) -> Candidate:
    proxy, model = (learners.fit(spec, tuned.learner, tuned.params, part) for part in (older, every))
    files = _put(spec, work, tuned.folder, (proxy, older), (model, every))
    return Candidate(
        learner=tuned.learner,
        window=tuned.window,
        params=tuned.params,
        trials=tuned.trials,
        validation_loss=tuned.loss,
        **files,
    )


def _put(
    spec: ModelSpec,
    work: Workspace,
    folder: str,
    proxy: tuple[Pipeline, Rows],
    model: tuple[Pipeline, Rows],
) -> dict[str, Any]:
    """Export a proxy and its model, each with the rows that it was fitted on; return a candidate's fields."""
    older, _ = _exported(spec, *proxy)
    every, parity = _exported(spec, *model)
    names = f"{folder}/proxy.onnx", f"{folder}/model.onnx"
    for name, content in zip(names, (older, every), strict=True):
        work.put(name, content)
    beside = f"{folder}/native"
    return {
        "proxy": names[0],
        "onnx": names[1],
        "native": beside if native.save(model[0], work.path(beside)) else None,
        "parity_rows": parity.rows,
        "parity_difference": parity.difference,
    }


def _continued(
    spec: ModelSpec, settings: Settings, work: Workspace, split: Split, frame: pd.DataFrame
) -> list[Candidate]:
    """Return the champion trained further, once until the validation rows and once on all, as a candidate.

    None where there is no champion of ours, or too few rows have come since it was fitted.
    """
    known = champion.load(spec, settings, work)
    if known is None:
        return []
    parts = [part[known.unseen(part[spec.data.time])] for part in (split.fit, frame)]
    if len(parts[0]) < spec.retrain.min_rows:
        return []
    older, every = (Rows.of(spec, part) for part in parts)
    folder = f"{known.learner.value}/continued"
    proxy = learners.continued(known.pipeline, older)
    model = learners.continued(known.pipeline, every)
    held = Rows.of(spec, split.validation)
    loss = objective(spec.task, held.truth, learners.scores(spec, proxy, held.inputs))
    files = _put(spec, work, folder, (proxy, older), (model, every))
    return [
        Candidate(
            learner=known.learner,
            params=known.params,
            trials=0,
            validation_loss=loss,
            continues=known.version,
            **files,
        )
    ]


def _exported(spec: ModelSpec, pipeline: Pipeline, rows: Rows) -> tuple[bytes, Parity]:
    content = to_onnx(spec, pipeline).SerializeToString()
    return content, check(spec, pipeline, content, rows.inputs, spec.retrain.search.seed)
