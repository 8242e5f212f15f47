"""What waits for a verdict in the triggerer. Imported as the installed module ``dags.triggers``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from dags import surroundings
from spec import Refused, Unavailable

log = logging.getLogger(__name__)

LOOKS_PER_LEASE = 20


class VerdictTrigger(BaseTrigger):
    """Judge a step again and again until it is decided, or until a newer rollout of the model waits.

    A look renews the lease on the canary's traffic only after it has seen the evidence: a judge that is
    blind or dead lets the lease lapse, and the guard returns the traffic to the champion. All that a look
    needs is in the arguments and outside, so a restarted triggerer goes on where the last one stopped.

    Parameters
    ----------
    step
        Index into the spec's `rollout.steps`; None before the first one, when there is nothing to judge.
    rollout
        What the task `load` returned.
    since
        What `dags.steps.begin` returned; nothing before the first step.
    until
        Wall time (ISO 8601) at which to stop waiting for a person. The step has passed already, so until
        then neither a promotion nor its own deadline ends the wait: harm does. None where nobody is asked.
    """

    def __init__(
        self,
        *,
        model: str,
        step: int | None,
        rollout: dict[str, Any],
        since: dict[str, str],
        until: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.model = model
        self.step = step
        self.rollout = rollout
        self.since = since
        self.until = until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the import path and the arguments, for the metadata database."""
        arguments = {
            "model": self.model,
            "step": self.step,
            "rollout": self.rollout,
            "since": self.since,
            "until": self.until,
        }
        return "dags.triggers.VerdictTrigger", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: how the step ended, and its text for people.

        The first look waits, too: Airflow takes a task that goes on before its executor has reported the
        deferral for a lost one, and tries it again.
        """
        ended = None
        while ended is None:
            spec, _ = surroundings.model(self.model)
            await asyncio.sleep(spec.rollout.lease.total_seconds() / LOOKS_PER_LEASE)
            ended = await self._look()
        yield TriggerEvent(ended)  # type: ignore[no-untyped-call]

    async def _look(self) -> dict[str, Any] | None:
        """Return how the step ended, as `dags.ending`; None while it goes on."""
        from dags import ending
        from dags.steps import look

        if await sync_to_async(ending.newer_waits)(self.model):
            return ending.superseded()
        if self.until is not None and datetime.now(UTC) >= datetime.fromisoformat(self.until):
            return ending.broken(f"nobody answered until {self.until}")
        if self.step is None:
            return None
        spec, settings = surroundings.model(self.model)
        try:
            verdict = await asyncio.to_thread(look, spec, settings, self.step, self.rollout, self.since)
        except Unavailable as error:
            log.warning("%s: the lease is not renewed: %s", self.model, error)
            return None
        except Refused as error:
            return ending.broken(str(error))
        goes_on = verdict.decision == "hold" if self.until is None else not verdict.shows_harm
        return None if goes_on else ending.judged(verdict)
