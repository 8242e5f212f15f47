"""Tune and train: search each learner's hyperparameters by time, then fit the best on all training rows."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np
import optuna
import pandas as pd
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from retraining import learners
from retraining.dataset import rows
from retraining.dataset.cut import Split, cut
from retraining.graphs.export import to_onnx
from retraining.graphs.parity import Parity, check
from retraining.metrics import objective
from retraining.prepare import TRAIN, load_rows
from retraining.records import Candidate, Params, Search, Snapshot
from retraining.workspace import Workspace
from spec import ModelSpec, Refused, Settings, Task
from spec.retrain import Learner

VALIDATION, TRIALS = "validation.parquet", "trials.csv"


def search(spec: ModelSpec, settings: Settings, run: str) -> Search:
    """Search, fit and export one candidate a learner; doing it again for the same run replaces them.

    Trials are fitted on older rows of the training file and scored on its newest span, as long as the
    holdout but at most a quarter of the training span. Trials and time are shared out evenly over the
    learners. The same rows, spec and number of finished trials give the same candidates.

    Raises
    ------
    NotFound
        The run has no snapshot.
    DataError
        The rows cannot be cut by time into two parts that hold every class.
    Refused
        No learner's model can be served; with the reason of each.
    """
    start = perf_counter()
    work = Workspace(settings, run)
    taken = work.load(Snapshot)
    train = load_rows(work, TRAIN)
    split = cut(spec, train, taken)
    work.write(VALIDATION, lambda draft: split.validation.to_parquet(draft, index=False))
    candidates, refused, trials = [], {}, []
    for learner in spec.retrain.learners:
        study = _tune(spec, learner, split)
        trials.append(study.trials_dataframe().assign(learner=learner.value))
        try:
            candidates.append(_candidate(spec, learner, study, split, train, work))
        except Refused as error:
            refused[learner.value] = str(error)
    _put_csv(work, pd.concat(trials, ignore_index=True))
    if not candidates:
        reasons = "\n".join(f"{learner}: {reason}" for learner, reason in refused.items())
        msg = f"No learner of {spec.model!r} gave a model that can be served:\n{reasons}"
        raise Refused(msg)
    record = Search(
        candidates=tuple(candidates),
        refused=refused,
        trials=TRIALS,
        validation=VALIDATION,
        seconds=perf_counter() - start,
    )
    work.save(record)
    return record


def _tune(spec: ModelSpec, learner: Learner, split: Split) -> optuna.Study:
    wanted, share = spec.retrain.search, len(spec.retrain.learners)
    fit, fit_truth = rows.inputs(spec, split.fit), rows.target(spec, split.fit)
    held, held_truth = rows.inputs(spec, split.validation), rows.target(spec, split.validation)

    def loss(trial: optuna.Trial) -> float:
        pipeline = learners.build(spec, learner, learners.suggest(learner, trial))
        with threadpool_limits(1):
            return objective(spec.task, held_truth, _scores(spec, pipeline.fit(fit, fit_truth), held))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=_SAMPLERS[wanted.sampler](wanted.seed))
    study.enqueue_trial(learners.defaults(learner))
    trials = max(1, wanted.trials // share)
    study.optimize(loss, n_trials=trials, timeout=wanted.time.total_seconds() / share)
    return study


def _candidate(
    spec: ModelSpec,
    learner: Learner,
    study: optuna.Study,
    split: Split,
    train: pd.DataFrame,
    work: Workspace,
) -> Candidate:
    params: Params = study.best_params
    proxy, _ = _export(spec, _fitted(spec, learner, params, split.fit), split.fit)
    model, parity = _export(spec, _fitted(spec, learner, params, train), train)
    names = f"{learner.value}/proxy.onnx", f"{learner.value}/model.onnx"
    for name, content in zip(names, (proxy, model), strict=True):
        work.put(name, content)
    return Candidate(
        learner=learner,
        params=params,
        trials=len(study.trials),
        validation_loss=study.best_value,
        proxy=names[0],
        onnx=names[1],
        parity_rows=parity.rows,
        parity_difference=parity.difference,
    )


def _fitted(spec: ModelSpec, learner: Learner, params: Params, part: pd.DataFrame) -> Pipeline:
    pipeline = learners.build(spec, learner, params)
    with threadpool_limits(1):  # OpenMP's threads wait for each other by spinning: ruinous beside other work
        return pipeline.fit(rows.inputs(spec, part), rows.target(spec, part))


def _export(spec: ModelSpec, pipeline: Pipeline, part: pd.DataFrame) -> tuple[bytes, Parity]:
    content = to_onnx(spec, pipeline).SerializeToString()
    return content, check(spec, pipeline, content, rows.inputs(spec, part), spec.retrain.search.seed)


def _scores(spec: ModelSpec, pipeline: Pipeline, inputs: pd.DataFrame) -> rows.FloatArray:
    if spec.task is Task.REGRESSION:
        return np.asarray(pipeline.predict(inputs), "float64")
    scores = np.asarray(pipeline.predict_proba(inputs), "float64")
    return scores[:, 1] if spec.task is Task.BINARY else scores


def _put_csv(work: Workspace, trials: pd.DataFrame) -> None:
    work.write(TRIALS, lambda draft: trials.to_csv(draft, index=False))


_SAMPLERS: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}
