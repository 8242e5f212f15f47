"""The moves of a model's aliases; each is noted in the versions' tags and as an event."""

from __future__ import annotations

from datetime import datetime

from monitors.results.store import Store
from retraining.registry import history
from retraining.registry.approval import Approval
from retraining.registry.versions import Versions
from spec import Settings


class Moves:
    """Who becomes challenger and champion; whoever calls holds the model's lock."""

    def __init__(self, settings: Settings, versions: Versions) -> None:
        self._settings, self._versions = settings, versions

    def challenge(self, model: str, version: str) -> None:
        """Make a version that is only registered the challenger, in place of whichever is."""
        if self._versions.get(model, version).status != "registered":
            return
        old = self._versions.named(model, "challenger")
        if old not in {None, version}:
            self._versions.tag(model, str(old), "status", "superseded")
        self._versions.set_alias(model, "challenger", version)
        self._versions.tag(model, version, "status", "challenger")
        self._record(model, f"version {version} is the challenger", version, "published")

    def crown(self, model: str, version: str, approval: Approval) -> None:
        """Move the aliases in an order in which stopping anywhere leaves a champion, and a retry the rest.

        The status ``champion`` comes last: a champion without it has tags or its event still to get.
        """
        versions = self._versions
        old = versions.named(model, "champion")
        if old != version:
            if old is not None:
                versions.set_alias(model, "previous", old)
            if versions.get(model, version).status == "champion":  # from a crown whose end nobody noted
                versions.tag(model, version, "status", "retired")
            versions.set_alias(model, "champion", version)
        if versions.named(model, "challenger") == version:
            versions.delete_alias(model, "challenger")
        if old == version:
            if versions.get(model, version).status == "champion":
                return
            old = versions.named(model, "previous")
        now = self._now().isoformat()
        versions.tag(model, version, "promoted_at", now)
        versions.tag(model, version, "approved_by", approval.by)
        versions.tag(model, version, "approved_because", approval.because)
        if old is not None:
            versions.tag(model, version, "replaced", old)
            versions.tag(model, old, "status", "retired")
            versions.tag(model, old, "retired_at", now)
        text = f"version {version} is the champion (before: {old})"
        self._record(model, text, version, "promoted", approved=str(approval))
        versions.tag(model, version, "status", "champion")

    def reject(self, model: str, version: str, verdict: str) -> None:
        """Take the challenger alias from a version and note why; time and event are of the first try."""
        before = self._versions.get(model, version)
        self._versions.tag(model, version, "verdict", verdict)
        self._versions.tag(model, version, "status", "rejected")
        if self._versions.named(model, "challenger") == version:
            self._versions.delete_alias(model, "challenger")
        if before.status != "rejected":
            self._versions.tag(model, version, "rejected_at", self._now().isoformat())
            self._record(model, f"version {version} was rejected", version, "rejected")

    def _record(self, model: str, text: str, version: str, outcome: str, **more: str) -> None:
        payload = {"version": version, "outcome": outcome} | more
        with Store(self._settings.results_url) as store:
            store.record_event(model, history.KIND, text, self._now(), payload)

    def _now(self) -> datetime:
        return self._settings.clock.now()
