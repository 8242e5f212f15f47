"""The search drawn: how the best loss fell from trial to trial, and which parameters mattered."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from spec.retrain import Learner

_FEWEST = 4  # finished trials, for a statement about parameters


def pictures(learner: Learner, journal: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the PNG of each picture that the trials of one learner allow.

    Parameters
    ----------
    journal
        The trials as `retraining.trials.study` keeps them; the newest study counts.
    """
    if not journal.exists():  # of a run that was made again: its search is the other run's
        return
    storage = JournalStorage(JournalFileBackend(str(journal)))
    study = optuna.load_study(study_name=optuna.get_all_study_names(storage)[-1], storage=storage)
    finished = [trial for trial in study.trials if trial.state is TrialState.COMPLETE]
    if not finished:
        return
    from optuna.visualization import matplotlib as drawn  # noqa: PLC0415 - slow, and only needed at the end

    yield f"search_{learner.value}_history.png", _png(drawn.plot_optimization_history, study)
    if len(finished) >= _FEWEST and len({_loss(trial) for trial in finished}) > 1:
        yield f"search_{learner.value}_importances.png", _png(drawn.plot_param_importances, study)
        yield f"search_{learner.value}_parallel.png", _png(drawn.plot_parallel_coordinate, study)


def _png(plot: Callable[..., Any], study: optuna.Study) -> bytes:
    """Draw with Optuna, without a window; of several objectives the first, the loss."""
    from matplotlib import pyplot as plt  # noqa: PLC0415 - as above

    given = {} if len(study.directions) == 1 else {"target": _loss, "target_name": "loss"}
    content = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's own: experimental, and Matplotlib's of its layout
        before = plt.get_backend()
        plt.switch_backend("agg")
        try:
            figure = plot(study, **given).figure
            figure.savefig(content, format="png", dpi=120, bbox_inches="tight")
            plt.close(figure)
        finally:
            plt.switch_backend(before)
    return content.getvalue()


def _loss(trial: FrozenTrial) -> float:
    return float(trial.values[0])
