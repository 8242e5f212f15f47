"""Give a version all traffic at once, because a person wants it."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from spec import ModelSpec, Refused, Settings

if TYPE_CHECKING:
    from rollout.routers import Router
    from rollout.split import Split


@dataclass(frozen=True, slots=True)
class Switched:
    """What was done, in one sentence for people; `version` answers all requests from `slot` now."""

    model: str
    version: str
    slot: str
    text: str

    def payload(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        return asdict(self)


def impatient() -> None:
    """Let MLflow, asked from now on, have seconds in place of minutes: a person waits, and can ask again."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")


def give_all(spec: ModelSpec, settings: Settings, router: Router, seen: Split, version: str) -> str:
    """Give all traffic to the slot that has a version, loaded into the idle one first; return the slot.

    Parameters
    ----------
    seen
        The split that the decision was made on. Its lease may have been renewed since.

    Raises
    ------
    Refused
        The model server will not load the version, or somebody moved the traffic meanwhile.
    Unavailable
        The model server or the gateway did not answer.
    """
    from rollout import slots
    from rollout.split import Split

    def change(current: Split) -> Split:
        if current.champion != seen.champion or not current.same_routes(seen):
            msg = f"The traffic of {spec.model} was moved meanwhile ({current}); look, and try again"
            raise Refused(msg)
        return Split(champion=seen.idle)

    if seen.settled and slots.loaded(spec, settings, seen.champion) == version:
        return seen.champion  # an earlier call came this far
    with slots.held(spec, settings):
        if slots.loaded(spec, settings, seen.idle) != version:
            slots.load(spec, settings, seen.idle, version)
        return router.amend(spec.model, change).champion
