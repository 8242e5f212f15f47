"""One learner's study: trials over its hyperparameters and the training windows, kept as they end."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from retraining import latency, learners
from retraining.dataset import windows
from retraining.fitted import Rows
from retraining.graphs.export import to_onnx
from retraining.graphs.scorer import Scorer
from retraining.metrics import objective
from retraining.records import Params, Snapshot
from retraining.trials.folds import Fold
from retraining.trials.samplers import pruner, sampler
from spec import ModelSpec, Refused
from spec.retrain import Learner, TrainingWindow

_FAILURES = (ValueError, ArithmeticError, Refused)
"""What ends a trial and not the search: hyperparameters with which nothing finite, or servable, comes out."""
_REASON = "reason"
WINDOW = "window"
"""The parameter that names the training window."""


@dataclass(frozen=True, slots=True)
class Study:
    """The search of one learner.

    Parameters
    ----------
    folds
        As `retraining.trials.folds.folds` cuts them.
    windows
        Training windows by name, the first one for the first trial.
    known
        Hyperparameters that are tried before any other, such as the champion's.
    """

    spec: ModelSpec
    learner: Learner
    taken: Snapshot
    folds: tuple[Fold, ...]
    windows: Mapping[str, TrainingWindow]
    known: tuple[Params, ...] = ()
    _learnt: dict[tuple[int, str], Rows] = field(default_factory=dict, init=False, repr=False, compare=False)
    _held: dict[int, Rows] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Rows by the fold's index, and the window's name: every trial has the same."""

    @property
    def name(self) -> str:
        """The study's name: of other rows, windows or wishes it is another study."""
        told = self.spec.model_dump_json(
            include={"task", "data", "features", "retrain", "validation"},
            exclude={"retrain": {"search": {"trials", "time"}}},
        )
        parts = (told, self.taken.sha256, str(self.taken.onset), str(self.taken.old_weight), str(self.known))
        return f"{self.learner.value}-{hashlib.sha256(' '.join(parts).encode()).hexdigest()[:12]}"

    def run(self, file: Path, trials: int, seconds: float) -> optuna.Study:
        """Run trials until so many are finished; what an earlier try finished in `file` counts.

        Parameters
        ----------
        seconds
            No trial is begun after this time.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        wanted = self.spec.retrain.search
        file.parent.mkdir(parents=True, exist_ok=True)
        several = len(wanted.objectives) > 1
        grid = learners.grid(self.spec, self.learner) | {WINDOW: list(self.windows)}
        study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(file))),
            study_name=self.name,
            load_if_exists=True,
            directions=["minimize"] * len(wanted.objectives),
            pruner=None if several else pruner(wanted),
        )
        done = sum(trial.state.is_finished() for trial in study.trials)
        # A sampler that begins anew with the same seed would try again what was tried.
        own = {"seed": wanted.seed + done, "trials": trials}
        study.sampler = sampler(wanted.model_copy(update=own), grid)
        if not study.trials and wanted.sampler != "grid":
            for params in (*self.known, learners.first(self.spec, self.learner)):
                study.enqueue_trial({**params, WINDOW: next(iter(self.windows))}, skip_if_exists=True)
        if done < trials:
            study.optimize(self._objectives, n_trials=trials - done, timeout=seconds, catch=_FAILURES)
        return study

    def _objectives(self, trial: optuna.Trial) -> float | tuple[float, ...]:
        try:
            return self._measured(trial)
        except _FAILURES as error:
            trial.set_user_attr(_REASON, " ".join(str(error).split()))
            raise

    def _measured(self, trial: optuna.Trial) -> float | tuple[float, ...]:
        window = str(trial.suggest_categorical(WINDOW, list(self.windows)))
        params = learners.suggest(self.spec, self.learner, trial)
        wanted = self.spec.retrain.search.objectives
        losses: list[float] = []
        for step in range(len(self.folds)):
            fitted = learners.fit(self.spec, self.learner, params, self._to_learn(step, window))
            held = self._to_score(step)
            scores = learners.scores(self.spec, fitted, held.inputs)
            losses.append(objective(self.spec.task, held.truth, scores))
            if len(wanted) == 1:
                trial.report(float(np.mean(losses)), step)
                if step + 1 < len(self.folds) and trial.should_prune():
                    raise optuna.TrialPruned
        quality = float(np.mean(losses))
        if len(wanted) == 1:
            return quality
        graph = to_onnx(self.spec, fitted).SerializeToString()
        p50, _ = latency.one_row(Scorer(self.spec.task, graph), held.inputs)
        measured = {"quality": quality, "latency": p50, "size": float(len(graph))}
        return tuple(measured[name] for name in wanted)

    def _to_learn(self, step: int, window: str) -> Rows:
        if (step, window) not in self._learnt:
            rows = windows.learnt(self.spec, self.windows[window], self.folds[step].fit, self.taken)
            self._learnt[step, window] = rows
        return self._learnt[step, window]

    def _to_score(self, step: int) -> Rows:
        if step not in self._held:
            self._held[step] = Rows.of(self.spec, self.folds[step].held)
        return self._held[step]


def front(spec: ModelSpec, study: optuna.Study) -> tuple[FrozenTrial, ...]:
    """Return the finished trial of the least loss, and of several objectives the cheapest one near it.

    Near is within ``optimize.within.quality_drop``; the cheapest has the least product of the others.

    Raises
    ------
    Refused
        No trial was finished.
    """
    finished = [trial for trial in study.trials if trial.state is TrialState.COMPLETE]
    if not finished:
        failed = [trial for trial in study.trials if trial.state is TrialState.FAIL]
        reasons = dict.fromkeys(trial.user_attrs.get(_REASON, "it was cut short") for trial in failed)
        why = f" ({'; '.join(reasons)})" if reasons else ""
        msg = f"of {len(study.trials)} trials {len(failed)} failed{why} and none was finished in time"
        raise Refused(msg)
    best = min(finished, key=lambda trial: (loss_of(trial), trial.number))
    if len(study.directions) == 1:
        return (best,)
    limit = loss_of(best) * (1 + spec.optimize.within.quality_drop)
    near = [trial for trial in finished if loss_of(trial) <= limit]
    cheapest = min(near, key=lambda trial: (float(np.prod(list(trial.values)[1:])), trial.number))
    return (best,) if cheapest == best else (best, cheapest)


def loss_of(trial: FrozenTrial) -> float:
    """Return the loss of a finished trial."""
    first, *_ = trial.values
    return float(first)
