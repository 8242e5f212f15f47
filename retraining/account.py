"""What a run that was judged is accounted for by: its card, its records and its numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from retraining.card import evidence, markdown, page, sections
from retraining.card.document import Document
from retraining.card.evidence import Records
from retraining.dataset.stored import HOLDOUT, TRAIN, load_rows
from retraining.gates.exam import Answer, Exam
from retraining.graphs.scorer import Scorer
from retraining.records import Candidate, Choice, Record, Search, Snapshot, Tuning, Validation
from retraining.registry import Registry
from retraining.release import Rows, Trial, importances
from retraining.trials import pictures, told
from retraining.variants.chart import PAGE, PICTURE
from retraining.workspace import Workspace
from spec import ModelSpec, Settings

CARD, CARD_PAGE = "card.md", "card.html"


def put_card(work: Workspace, document: Document) -> tuple[Path, Path]:
    """Write a card into a run's folder, as Markdown and as a page."""
    return (
        work.put(CARD, markdown.render(document).encode()),
        work.put(CARD_PAGE, page.render(document).encode()),
    )


@dataclass(frozen=True, slots=True)
class Account:
    """A judged candidate with everything that it is held to.

    Parameters
    ----------
    train, exam
        The snapshot's two files; the exam is that of the newest rows, against what the gates compared with.
    importances
        By feature, measured on the holdout.
    """

    spec: ModelSpec
    settings: Settings
    work: Workspace
    records: Records
    train: pd.DataFrame
    exam: Exam
    scorer: Scorer
    importances: Mapping[str, float]

    @classmethod
    def of(cls, spec: ModelSpec, settings: Settings, run: str) -> Account:
        """Collect what the stages of a run left.

        Raises
        ------
        NotFound
            A stage has not run.
        Unavailable
            The registry did not answer.
        """
        work = Workspace(settings, run)
        stages = (work.load(Snapshot), work.load(Tuning), work.load(Search), work.load(Choice))
        records = Records(*stages, work.load(Validation))
        holdout, train = (load_rows(work, name) for name in (HOLDOUT, TRAIN))
        scorer = Scorer(spec.task, work.path(records.choice.chosen.onnx))
        against = records.verdict.against
        exam = Exam.of(spec, holdout, scorer.predict, _opponent(spec, settings, scorer, against), against)
        shares = importances(spec, scorer, holdout)
        return cls(spec, settings, work, records, train, exam, scorer, shares)

    @property
    def candidate(self) -> Candidate:
        """The candidate that the chosen variant was made of."""
        chosen = self.records.choice.chosen.candidate
        return next(item for item in self.records.found.candidates if item.onnx == chosen)

    def write_card(self, trigger: Mapping[str, Any]) -> None:
        """Write the model card, which tells also what a measurement of its own is needed for."""
        known = (self.exam, self.work.run, self.records, self.train, trigger, self.importances)
        put_card(self.work, sections.write(evidence.collect(*known)))

    def artifacts(self) -> Iterator[Path]:
        """Yield the files that are kept of the run, the card's among them."""
        yield from map(self.work.path, (CARD, CARD_PAGE, PICTURE, PAGE))
        yield from stage_files(self.work, (Snapshot, Tuning, Search, Choice, Validation), self.records.tuning)

    def trials(self) -> tuple[Trial, ...]:
        """Return the trials of the search."""
        return told.trials(self.work.path(self.records.tuning.trials))

    def rows(self) -> Rows:
        """Return the snapshot as a dataset."""
        return rows_of(self.spec, self.settings, self.records.taken)

    def params(self) -> dict[str, str]:
        """Return what the candidate was made with."""
        best, taken, choice = self.candidate, self.records.taken, self.records.choice
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

    def metrics(self) -> dict[str, float]:
        """Return what was measured of the candidate and its opponent."""
        choice, verdict = self.records.choice, self.records.verdict
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


def stage_files(work: Workspace, kinds: Iterable[type[Record]], tuning: Tuning | None) -> Iterator[Path]:
    """Yield the records of stages, and the table and pictures of the search where there was one."""
    yield from map(work.record, kinds)
    if tuning is None:
        return
    yield work.path(tuning.trials)
    for learner in dict.fromkeys(found.learner for found in tuning.found):
        journal = work.path(f"{learner.value}/trials.log")
        for name, content in pictures.pictures(learner, journal):
            yield work.put(name, content)


def rows_of(spec: ModelSpec, settings: Settings, taken: Snapshot) -> Rows:
    """Return a snapshot as a dataset whose source MLflow can open: the log, or else the history file."""
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


def _opponent(spec: ModelSpec, settings: Settings, scorer: Scorer, against: str | None) -> Answer:
    """Return what the champion answers that the candidate was held against, or else itself."""
    if against is None:
        return scorer.predict
    return Scorer(spec.task, Registry(settings).onnx(spec.model, against)).predict
