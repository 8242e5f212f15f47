"""Keeps the decision on a model's champion up to date with what its monitors find."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime

from monitors import deployment, labelled
from monitors.known_version import KnownVersion
from monitors.memory import Memory
from monitors.references import Reference
from monitors.results.store import Store
from monitors.triage import episodes
from monitors.triage.decision import decide
from monitors.triage.dossier import Dossier
from monitors.triage.due import Due, due
from monitors.triage.evidence import Evidence
from monitors.triage.records import Triage
from spec import ModelSpec, Settings
from spec.retrain import NewLabels, Scheduled


class Watch:
    """The triage of one model."""

    def __init__(self, spec: ModelSpec, settings: Settings, store: Store, memory: Memory) -> None:
        self._spec, self._settings, self._store, self._memory = spec, settings, store, memory
        self._dossier = Dossier(spec, settings)

    def decide(self, version: str, known: KnownVersion | None, now: datetime) -> Triage | None:
        """Decide on a version and store the decision; None where nothing is known of it."""
        started = time.perf_counter()
        reference = None if known is None else known.reference
        results, asked = self._memory.newest(version), self._due(reference, now)
        standing = episodes.standing(self._store, self._spec.model)
        evidence = Evidence.of(version, results, asked, standing)
        triage = decide(self._spec, evidence)
        if triage is None:
            return None
        before = episodes.latest(self._store, self._spec.model)
        if episodes.begins(before, triage):
            triage = self._dossier.complete(triage, known, evidence.faulty, now)
        elif before is not None:
            triage = triage.continues(before)
        took = time.perf_counter() - started
        episodes.save(self._store, triage, self._spec.monitor.window, now, took)
        return triage

    def champion(self, spoke: Iterable[str]) -> str | None:
        """Return the champion's version; before anything is deployed, the last of those that spoke."""
        deployed = deployment.read(self._settings.home, self._spec.model).champion_version
        return deployed or max(spoke, key=lambda version: (len(version), version), default=None)

    def _due(self, reference: Reference | None, now: datetime) -> Due:
        """Return what the calendar and new labels ask for; a version without a reference asks for nothing."""
        wanted = self._spec.retrain.on
        if reference is None or not any(isinstance(cause, Scheduled | NewLabels) for cause in wanted):
            return Due()
        trained_until = reference.window[1]
        started = [
            event.at
            for event in self._store.events(self._spec.model, trained_until, kinds=["retrain"])
            if event.payload.get("outcome") == "started"
        ]
        last_started = max(started, default=None)
        since = max(trained_until, last_started or trained_until)
        arrived = labelled.arrived_since(self._spec, self._settings, since, now).num_rows
        return due(self._spec, now, trained_until, last_started, arrived)
