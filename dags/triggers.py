"""What waits for a verdict in the triggerer. Imported as the installed module ``dags.triggers``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from dags import looks, surroundings
from dags.scheduler import Scheduler
from spec import Refused, Unavailable

log = logging.getLogger(__name__)


class VerdictTrigger(BaseTrigger):
    """Judge a step again and again until it is decided, taken back, or a newer rollout of the model waits.

    A look renews the lease on the canary's traffic only after it has seen the evidence, and from the last
    sign of life of the scheduler on, which acts on what is decided: a judge that is blind or dead, or that
    nobody listens to, lets the lease lapse, and the guard returns the traffic to the champion. All else that
    a look needs is in the arguments and outside, so a restarted triggerer goes on where the last one stopped.

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
        super().__init__()  # type: ignore[no-untyped-call] # Airflow
        self.model = model
        self.step = step
        self.rollout = rollout
        self.since = since
        self._scheduler = Scheduler()
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

        The first look waits, too, and longer: Airflow takes a task that goes on before its executor has
        reported the deferral for a lost one, and tries it again.
        """
        ended, first = None, True
        while ended is None:
            spec, _ = surroundings.model(self.model)
            await asyncio.sleep(looks.pause(spec.rollout.lease, first=first))
            ended, first = await self._look(), False
        yield TriggerEvent(ended)  # type: ignore[no-untyped-call] # Airflow

    async def _broken_off(self) -> dict[str, Any] | None:
        """Return the ending that does not hang on the evidence."""
        from dags import ending

        if await sync_to_async(ending.newer_waits)(self.model):
            return ending.superseded()
        if (ended := await asyncio.to_thread(self._taken_back)) is not None:
            return ended
        if self.until is not None and datetime.now(UTC) >= datetime.fromisoformat(self.until):
            return ending.broken(f"nobody answered until {self.until}")
        return None

    def _taken_back(self) -> dict[str, Any] | None:
        from dags import ending

        try:
            return ending.taken_back(self.model, surroundings.model(self.model)[1], self.rollout)
        except Unavailable as error:  # whoever took it back has ended the lease as well
            log.warning("%s: it is not known whether somebody took the rollout back: %s", self.model, error)
            return None

    async def _look(self) -> dict[str, Any] | None:
        """Return how the step ended, as `dags.ending`; None while it goes on."""
        from dags import ending
        from dags.steps import look

        ended = await self._broken_off()
        if ended is not None or self.step is None:
            return ended
        spec, settings = surroundings.model(self.model)
        try:
            verdict = await asyncio.to_thread(
                look, spec, settings, self.step, self.rollout, self.since, self._scheduler.alive
            )
        except Unavailable as error:
            log.warning("%s: the lease is not renewed: %s", self.model, error)
            return None
        except Refused as error:
            return ending.broken(str(error))
        goes_on = verdict.decision == "hold" if self.until is None else not verdict.shows_harm
        return None if goes_on else ending.judged(verdict)
