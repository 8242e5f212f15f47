"""Register an accepted candidate as the challenger, with everything that its numbers can be traced to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retraining import prepare
from retraining.card import evidence, markdown, page, sections
from retraining.card.evidence import Records
from retraining.gates.exam import Answer, Exam
from retraining.graphs.scorer import Scorer
from retraining.records import Candidate, Choice, Record, Search, Snapshot, Tuning, Validation
from retraining.registry import Registry
from retraining.release import Release, Rows, band, held, importances, population
from retraining.trials import pictures, told
from retraining.tune import TRIALS
from retraining.variants.chart import PAGE, PICTURE
from retraining.workspace import Workspace
from spec import ModelSpec, Refused, Settings

CARD, CARD_PAGE = "card.md", "card.html"


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
        ``approved_by``, if it is there, names who approved it.

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
    registry = Registry(settings)
    stages = (work.load(Snapshot), work.load(Tuning), work.load(Search), work.load(Choice))
    made = _Registration(spec, settings, work, registry, Records(*stages, verdict))
    return registry.publish(spec, made.release(trigger or {}))


@dataclass(frozen=True, slots=True)
class _Registration:
    spec: ModelSpec
    settings: Settings
    work: Workspace
    registry: Registry
    records: Records

    def release(self, trigger: Mapping[str, Any]) -> Release:
        spec, work, records = self.spec, self.work, self.records
        holdout, train = (prepare.load_rows(work, name) for name in (prepare.HOLDOUT, prepare.TRAIN))
        file = work.path(records.choice.chosen.onnx)
        scorer = Scorer(spec.task, file)
        exam = Exam.of(spec, holdout, scorer.predict, self._opponent(), records.verdict.against)
        scores = scorer.predict(exam.rows.inputs)
        shares = importances(spec, scorer, holdout)
        self._write_card(evidence.collect(exam, work.run, records, train, trigger, shares))
        candidate = _candidate(records)
        return Release(
            source=f"retrain/{work.run}",
            onnx=file,
            population=population(spec, scorer, train),
            importances=shares,
            performance=band(spec, exam.rows.truth, scores, holdout[spec.data.time]),
            window=(records.taken.window_start, records.taken.holdout_start),
            held=held(spec, holdout, scores),
            params=_params(records),
            metrics=_metrics(records.choice, records.verdict),
            artifacts=tuple(self._artifacts()),
            tags={f"trigger.{name}": str(value) for name, value in trigger.items() if value is not None},
            native=None if candidate.native is None else work.path(candidate.native),
            rows=_rows(spec, self.settings, records.taken),
            trials=told.trials(work.path(records.tuning.trials)),
        )

    def _opponent(self) -> Answer:
        """Return what the champion answers that the candidate was held against, or else itself."""
        against, chosen = self.records.verdict.against, self.work.path(self.records.choice.chosen.onnx)
        file = chosen if against is None else self.registry.onnx(self.spec.model, against)
        return Scorer(self.spec.task, file).predict

    def _write_card(self, found: evidence.Evidence) -> None:
        document = sections.write(found)
        self.work.put(CARD, markdown.render(document).encode())
        self.work.put(CARD_PAGE, page.render(document).encode())

    def _artifacts(self) -> Iterator[Path]:
        kinds: tuple[type[Record], ...] = (Snapshot, Tuning, Search, Choice, Validation)
        yield from map(self.work.path, (CARD, CARD_PAGE, TRIALS, PICTURE, PAGE))
        yield from map(self.work.record, kinds)
        for learner in dict.fromkeys(found.learner for found in self.records.tuning.found):
            journal = self.work.path(f"{learner.value}/trials.log")
            for name, content in pictures.pictures(learner, journal):
                yield self.work.put(name, content)


def _candidate(records: Records) -> Candidate:
    chosen = records.choice.chosen.candidate
    return next(item for item in records.found.candidates if item.onnx == chosen)


def _rows(spec: ModelSpec, settings: Settings, taken: Snapshot) -> Rows:
    """Return the snapshot as a dataset whose source MLflow can open: the log, or else the history file."""
    data = spec.data
    sources: dict[str, dict[str, Any]] = {}
    if taken.history_sha256 is not None and data.history is not None:
        sources["history"] = {"uri": settings.location(data.history), "sha256": taken.history_sha256}
    if taken.labels_version is not None:
        version = taken.labels_version
        sources["labels"] = {"path": settings.location(data.labels), "delta_table_version": version}
    beside = {"taken_at": taken.taken_at.isoformat(), "window_end": taken.window_end.isoformat()}
    counts = {"train_rows": taken.train_rows, "holdout_rows": taken.holdout_rows}
    if taken.log_version is None:
        source: dict[str, Any] = {"uri": sources.get("history", {}).get("uri", "")} | sources | beside
        return Rows(spec.model, taken.sha256, "local", source, counts)
    log = {"path": settings.location(data.inference_log), "delta_table_version": taken.log_version}
    return Rows(spec.model, taken.sha256, "delta_table", log | sources | beside, counts)


def _params(records: Records) -> dict[str, str]:
    best, taken, choice = _candidate(records), records.taken, records.choice
    return {
        "learner": best.learner.value,
        "window": best.window,
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
