"""What a decision takes with it when its episode begins: why the loss changed, or which rows to label."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow.compute as pc

from monitors.answered import Answered, Scored
from monitors.finding import NoData
from monitors.known_version import KnownVersion
from monitors.labelled import Labelled
from monitors.performance import usable
from monitors.tables import inference_log
from monitors.triage.records import Action, Cause, Triage
from monitors.windows import Window, window_at
from spec import ModelSpec, Settings, Task

COUNT = 100
"""Rows that somebody is asked to label."""
_LOSSES = {Task.BINARY: "Brier score", Task.MULTICLASS: "error rate", Task.REGRESSION: "absolute error"}


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
        now
            Labels that came later are not known yet; processing time, timezone-aware.
        """
        if known is None:
            return triage
        if triage.cause is Cause.PERFORMANCE:
            return self._explained(triage, known, faulty, now)
        if triage.action is Action.COLLECT_LABELS:
            return self._with_rows(triage, known, faulty, now)
        return triage

    def _explained(
        self, triage: Triage, known: KnownVersion, faulty: Collection[Window], now: datetime
    ) -> Triage:
        from monitors.attribution import Side, explain  # noqa: PLC0415 - heavy, and only an alarm asks
        from monitors.slices.losses import losses  # noqa: PLC0415 - as above

        held, task = known.reference.held, self._spec.task
        if held is None:
            return triage
        span = self._span(triage.at - self._spec.data.target.delay)
        reading = Labelled.read(self._spec, self._settings, span, now, features=True).without(faulty)
        rows, truth = reading.labelled(span, triage.version)
        compared = list(self._spec.compared)
        found = explain(
            Side(held.frame[compared], losses(task, held.scores, held.labels), held.times),
            Side(rows[compared], losses(task, truth.scores, truth.labels), truth.times),
            loss=_LOSSES[task],
        )
        if isinstance(found, NoData):
            return triage.told(f"Why the loss changed is not known: {found.reason}.")
        sentence = found.sentence()
        return replace(
            triage.told(sentence), why=f"{triage.why} {sentence}", numbers=tuple(found.measurements())
        )

    def _with_rows(
        self, triage: Triage, known: KnownVersion, faulty: Collection[Window], now: datetime
    ) -> Triage:
        from monitors.active import worth_labelling  # noqa: PLC0415 - heavy, and only this decision asks
        from monitors.triage.expected_error import expected_error  # noqa: PLC0415 - as above

        scored = self._unlabelled(triage, faulty, now)
        if not len(scored.ids):
            return triage
        usual, task = known.reference.frame[list(self._spec.features)], self._spec.task
        spread = expected_error(known.estimator, scored) if task is Task.REGRESSION else None
        chosen = worth_labelling(
            scored.frame, scored.scores, COUNT, task=task, reference=usual, spread=spread
        )
        ids = pd.Series(scored.ids, name=self._spec.data.id)
        worth = pd.Series(chosen.worth, name="worth", index=chosen.rows)
        asked = pd.concat([ids, scored.frame], axis=1).iloc[chosen.rows]
        file = self._file(triage)
        _write(file, pd.concat([asked, worth], axis=1))
        rows = f"{len(asked)} rows" if len(asked) > 1 else "1 row"
        sentence = f"The {rows} most worth a label: {file}."
        return replace(triage.told(sentence), why=f"{triage.why} {sentence}")

    def _unlabelled(self, triage: Triage, faulty: Collection[Window], now: datetime) -> Scored:
        """Return what the version answered in the pooled windows and nobody has labelled, each id once."""
        span = self._span(triage.at)
        joined = Labelled.read(self._spec, self._settings, span, now).joined
        labelled = usable(self._spec, joined)["prediction_id"].combine_chunks()
        answered = Answered.read(self._spec, self._settings, span).log
        own = answered.filter(pc.equal(answered["version"], triage.version))
        unknown = own.filter(pc.invert(pc.is_in(own["prediction_id"], value_set=labelled)))
        once = unknown.take(inference_log.first_of_each(unknown["prediction_id"]))
        return Answered(self._spec, once).scored(span, triage.version, faulty)

    def _span(self, end: datetime) -> Window:
        length = self._spec.monitor.window
        return window_at(end - length, length).pooled(self._spec.monitor.performance.over)

    def _file(self, triage: Triage) -> Path:
        name = f"{triage.version}-{triage.at:%Y%m%dT%H%M}.csv"
        return self._settings.home / "labelling" / self._spec.model / name


def _write(file: Path, rows: pd.DataFrame) -> None:
    """Write a CSV; readers see all of it or nothing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}")
    rows.to_csv(draft, index=False)
    draft.replace(file)
