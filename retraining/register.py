"""Register an accepted candidate as the challenger, with everything that its numbers can be traced to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from retraining.account import Account
from retraining.records import Validation
from retraining.registry import Registry
from retraining.release import Release, band, held, population, triggered
from retraining.workspace import Workspace
from spec import ModelSpec, Refused, Settings


def register(
    spec: ModelSpec, settings: Settings, run: str, *, trigger: Mapping[str, Any] | None = None
) -> str:
    """Register the validated candidate of a run and return its version.

    The version gets its model card, and its reference (rows, importances, performance on the out-of-time
    holdout), before it gets the alias. Doing it again for the same run returns the version of the first time.

    Parameters
    ----------
    trigger
        What asked for the retrain, such as the fields of `alerts.RetrainRequest`; kept as tags.

    Raises
    ------
    NotFound
        An earlier stage has not run.
    Refused
        The validation did not accept the candidate.
    Unavailable
        The registry did not answer.
    """
    verdict = Workspace(settings, run).load(Validation)
    if not verdict.accepted:
        msg = f"Run {run!r} of {spec.model!r} was not accepted: {'; '.join(verdict.reasons)}"
        raise Refused(msg)
    account, asked = Account.of(spec, settings, run), trigger or {}
    account.write_card(asked)
    return Registry(settings).publish(spec, _release(account, asked))


def _release(account: Account, trigger: Mapping[str, Any]) -> Release:
    spec, work, exam, taken = account.spec, account.work, account.exam, account.records.taken
    scores = account.scorer.predict(exam.rows.inputs)
    native = account.candidate.native
    return Release(
        source=f"retrain/{work.run}",
        onnx=work.path(account.records.choice.chosen.onnx),
        population=population(spec, account.scorer, account.train),
        importances=account.importances,
        performance=band(spec, exam.rows.truth, scores, exam.frame[spec.data.time]),
        window=(taken.window_start, taken.holdout_start),
        held=held(spec, exam.frame, scores),
        params=account.params(),
        metrics=account.metrics(),
        artifacts=tuple(account.artifacts()),
        tags=triggered(trigger),
        native=None if native is None else work.path(native),
        rows=account.rows(),
        trials=account.trials(),
    )
