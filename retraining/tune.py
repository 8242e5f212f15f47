"""Tune: search each learner's hyperparameters and training window on folds that go forward in time."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter

import optuna
import pandas as pd

from retraining import champion, learners
from retraining.dataset import windows
from retraining.dataset.cut import cut
from retraining.dataset.stored import TRAIN, load_rows
from retraining.records import Params, Snapshot, Tuned, Tuning
from retraining.registry import Registry
from retraining.trials.folds import folds
from retraining.trials.study import WINDOW, Study, front, loss_of
from retraining.workspace import Workspace
from spec import ModelSpec, Refused, Settings
from spec.retrain import Learner

TRIALS = "trials.csv"


def tune(spec: ModelSpec, settings: Settings, run: str) -> Tuning:
    """Search; doing it again for the same run goes on where the earlier try ended.

    Trials are fitted on older rows of the training file and scored on later spans, the newest as long as the
    holdout but at most a quarter of the training span. Trials and time are shared out evenly over the
    learners. The same rows and spec give the same result, where no try was cut short.

    Raises
    ------
    NotFound
        The run has no snapshot.
    DataError
        The rows cannot be cut by time into two parts that hold every class, or a learner is not installed.
    Refused
        No learner finished a trial; with the reason of each.
    Unavailable
        The registry, which knows the champion's hyperparameters, did not answer.
    """
    start = perf_counter()
    learners.require(spec.retrain.learners)
    work = Workspace(settings, run)
    taken = work.load(Snapshot)
    split = cut(spec, load_rows(work, TRAIN), taken)
    parts, usable = folds(spec, split), windows.usable(spec, taken)
    wanted, share = spec.retrain.search, len(spec.retrain.learners)
    champions = _champions(spec, settings) if wanted.warm_start else {}
    found, refused, trials = [], {}, []
    for learner in spec.retrain.learners:
        known = (champions[learner],) if learner in champions else ()
        study = Study(spec, learner, taken, parts, usable, known).run(
            work.path(f"{learner.value}/trials.log"),
            max(1, wanted.trials // share),
            wanted.time.total_seconds() / share,
        )
        trials.append(study.trials_dataframe().assign(learner=learner.value))
        try:
            found += [_tuned(learner, study, trial) for trial in front(spec, study)]
        except Refused as error:
            refused[learner.value] = str(error)
    work.write(TRIALS, lambda draft: pd.concat(trials, ignore_index=True).to_csv(draft, index=False))
    if not found:
        listed = "\n".join(f"{learner}: {reason}" for learner, reason in refused.items())
        msg = f"No learner of {spec.model!r} finished a trial:\n{listed}"
        raise Refused(msg)
    record = Tuning(
        found=tuple(found),
        refused=refused,
        folds=len(parts),
        trials=TRIALS,
        seconds=perf_counter() - start,
    )
    work.save(record)
    return record


def _champions(spec: ModelSpec, settings: Settings) -> Mapping[Learner, Params]:
    """Return the hyperparameters of the champion by its learner; none where it came from elsewhere."""
    registry = Registry(settings)
    version = registry.version(spec.model, "champion")
    if version is None:
        return {}
    told = registry.params(spec.model, version)
    learner = next((item for item in Learner if item.value == told.get("learner")), None)
    if learner is None:
        return {}
    return {learner: champion.hyperparameters(learner, told)}


def _tuned(learner: Learner, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> Tuned:
    params = {name: value for name, value in trial.params.items() if name != WINDOW}
    return Tuned(
        learner=learner,
        window=trial.params[WINDOW],
        params=params,
        trial=trial.number,
        trials=len(study.trials),
        loss=loss_of(trial),
    )
