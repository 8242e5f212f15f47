"""What a decision takes with it when its episode begins: why the loss changed, or which rows to label."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from monitors.answered import Answered
from monitors.finding import NoData
from monitors.known_version import KnownVersion
from monitors.labelled import Labelled
from monitors.triage.records import Action, Cause, Triage
from monitors.windows import Window, window_at
from spec import ModelSpec, Settings

COUNT = 100
"""Rows that somebody is asked to label."""


class Dossier:
    """Completes the decisions of one model; it reads rows, which the decision itself never does."""

    def __init__(self, spec: ModelSpec, settings: Settings) -> None:
        self._spec, self._settings = spec, settings

    def complete(
        self, triage: Triage, known: KnownVersion | None, faulty: Collection[Window], now: datetime
    ) -> Triage:
        """Return a decision with what its action needs; as it was, where that cannot be said.

        Parameters
        ----------
        known
            None where the version has no reference.
        faulty
            Windows whose rows say nothing.
        """
        if known is None or known.reference.held is None:
            return triage
        if triage.cause is Cause.PERFORMANCE:
            return self._explained(triage, known, faulty, now)
        if triage.action is Action.COLLECT_LABELS:
            return self._with_rows(triage, known, faulty)
        return triage

    def _explained(
        self, triage: Triage, known: KnownVersion, faulty: Collection[Window], now: datetime
    ) -> Triage:
        from monitors.attribution import Side, explain  # noqa: PLC0415 - heavy, and only an alarm asks
        from monitors.slices.judge import LOSSES  # noqa: PLC0415
        from monitors.slices.losses import losses  # noqa: PLC0415

        held, task = known.reference.held, self._spec.task
        if held is None:
            return triage
        end = triage.at - self._spec.data.target.delay
        span = self._span(end)
        reading = Labelled.read(self._spec, self._settings, span, now, features=True).without(faulty)
        rows, truth = reading.labelled(span, triage.version)
        found = explain(
            Side(held.frame, losses(task, held.scores, held.labels), held.times),
            Side(rows[list(self._spec.features)], losses(task, truth.scores, truth.labels), truth.times),
            loss=LOSSES[task].replace("_", " "),
        )
        if isinstance(found, NoData):
            unknown = f"Why the loss changed is not known: {found.reason}."
            return replace(triage, evidence=(*triage.evidence, unknown))
        sentence = found.sentence()
        return replace(
            triage,
            why=f"{triage.why} {sentence}",
            evidence=(*triage.evidence, sentence),
            numbers=tuple(found.measurements()),
        )

    def _with_rows(self, triage: Triage, known: KnownVersion, faulty: Collection[Window]) -> Triage:
        from monitors.active import worth_labelling  # noqa: PLC0415 - heavy, and only this decision asks

        span = self._span(triage.at)
        scored = Answered.read(self._spec, self._settings, span).scored(span, triage.version, faulty)
        if not len(scored.ids):
            return triage
        usual, task = known.reference.frame[list(self._spec.features)], self._spec.task
        chosen = worth_labelling(scored.frame, scored.scores, COUNT, task=task, reference=usual)
        asked = scored.frame.iloc[chosen.rows]
        asked.insert(0, self._spec.data.id, scored.ids[chosen.rows])
        asked = asked.assign(worth=chosen.worth)
        file = self._file(triage)
        file.parent.mkdir(parents=True, exist_ok=True)
        asked.to_csv(file, index=False)
        return replace(triage, why=f"{triage.why} The {len(asked)} rows most worth a label are in {file}.")

    def _span(self, end: datetime) -> Window:
        length = self._spec.monitor.window
        return window_at(end - length, length).pooled(self._spec.monitor.performance.over)

    def _file(self, triage: Triage) -> Path:
        name = f"{triage.version}-{triage.at:%Y%m%dT%H%M}.csv"
        return self._settings.home / "labelling" / self._spec.model / name
