"""Register an accepted candidate as the challenger, with everything that its numbers can be traced to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from retraining.dataset import rows
from retraining.graphs.scorer import Scorer
from retraining.prepare import HOLDOUT, TRAIN, load_rows
from retraining.records import Choice, Record, Search, Snapshot, Tuning, Validation
from retraining.registry import Registry
from retraining.release import Release, band, held, importances, population
from retraining.tune import TRIALS
from retraining.variants.chart import PAGE, PICTURE
from retraining.workspace import Workspace
from spec import ModelSpec, Refused, Settings


def register(
    spec: ModelSpec, settings: Settings, run: str, *, trigger: Mapping[str, Any] | None = None
) -> str:
    """Register the validated candidate of a run and return its version.

    The version gets its reference (rows, importances, performance on the out-of-time holdout) before it gets
    the alias. Doing it again for the same run returns the version of the first time.

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
    work = Workspace(settings, run)
    verdict = work.load(Validation)
    if not verdict.accepted:
        msg = f"Run {run!r} of {spec.model!r} was not accepted: {'; '.join(verdict.reasons)}"
        raise Refused(msg)
    return Registry(settings).publish(spec, _release(spec, work, verdict, trigger or {}))


def _release(spec: ModelSpec, work: Workspace, verdict: Validation, trigger: Mapping[str, Any]) -> Release:
    taken, found, choice = work.load(Snapshot), work.load(Search), work.load(Choice)
    holdout = load_rows(work, HOLDOUT)
    file = work.path(choice.chosen.onnx)
    scorer = Scorer(spec.task, file)
    scores = scorer.predict(rows.inputs(spec, holdout))
    records: tuple[type[Record], ...] = (Snapshot, Tuning, Search, Choice, Validation)
    return Release(
        source=f"retrain/{work.run}",
        onnx=file,
        population=population(spec, scorer, load_rows(work, TRAIN)),
        importances=importances(spec, scorer, holdout),
        performance=band(spec, rows.target(spec, holdout), scores, holdout[spec.data.time]),
        window=(taken.window_start, taken.holdout_start),
        held=held(spec, holdout, scores),
        params=_params(taken, found, choice),
        metrics=_metrics(choice, verdict),
        artifacts=(work.path(TRIALS), *map(work.path, (PICTURE, PAGE)), *map(work.record, records)),
        tags={f"trigger.{name}": str(value) for name, value in trigger.items() if value is not None},
    )


def _params(taken: Snapshot, found: Search, choice: Choice) -> dict[str, str]:
    best = next(item for item in found.candidates if item.onnx == choice.chosen.candidate)
    return {
        "learner": best.learner.value,
        **{f"{best.learner.value}.{name}": str(value) for name, value in best.params.items()},
        "passes": ",".join(choice.chosen.passes),
        "trees": str(choice.chosen.trees),
        "window_start": taken.window_start.isoformat(),
        "holdout_start": taken.holdout_start.isoformat(),
        "window_end": taken.window_end.isoformat(),
        "train_rows": str(taken.train_rows),
        "holdout_rows": str(taken.holdout_rows),
        "snapshot_sha256": taken.sha256,
        "log_version": str(taken.log_version),
        "labels_version": str(taken.labels_version),
    }


def _metrics(choice: Choice, verdict: Validation) -> dict[str, float]:
    named = {f"candidate_{name}": value for name, value in verdict.candidate.items()}
    opponent = "baseline" if verdict.against is None else "champion"
    named |= {f"{opponent}_{name}": value for name, value in verdict.opponent.items()}
    maybe = {
        "shortfall": verdict.difference,
        "shortfall_upper": verdict.upper,
        "shortfall_limit": verdict.limit,
    }
    named |= {name: value for name, value in maybe.items() if value is not None}
    return named | {
        "size_bytes": float(choice.chosen.size),
        "latency_p50_seconds": choice.chosen.latency_p50,
        "latency_p99_seconds": choice.chosen.latency_p99,
    }
