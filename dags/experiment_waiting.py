"""How an experiment waits: deferred, looked at as often as a rollout's step is."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from dags import looks, surroundings
from dags.operators import LONGEST_WAIT, final_refusals
from dags.scheduler import Scheduler
from spec import Refused, Unavailable

log = logging.getLogger(__name__)

ROOM = "A rollout of the model wants the traffic."


class ExperimentTrigger(BaseTrigger):
    """Look at an experiment again and again until something ends it: harm, its time, or a rollout.

    A look renews the lease only after it has seen the evidence, and as far as a rollout's does. All that it
    needs is in the arguments and outside, so a restarted triggerer goes on where the last one stopped.

    Parameters
    ----------
    found
        What `dags.experiment.load` returned.
    since
        What `dags.experiment.begin` returned.
    """

    def __init__(self, *, model: str, found: dict[str, Any], since: dict[str, str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # Airflow
        self.model = model
        self.found = found
        self.since = since
        self._scheduler = Scheduler()

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the import path and the arguments, for the metadata database."""
        arguments = {"model": self.model, "found": self.found, "since": self.since}
        return "dags.experiment_waiting.ExperimentTrigger", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: why the experiment ended. The first look waits, as a rollout's does."""
        end, first = "", True
        while not end:
            spec, _ = surroundings.model(self.model)
            await asyncio.sleep(looks.pause(spec.rollout.lease, first=first))
            end, first = await self._look(), False
        yield TriggerEvent(end)  # type: ignore[no-untyped-call] # Airflow

    async def _look(self) -> str:
        from dags import exclusion
        from dags.experiment import look

        if await sync_to_async(exclusion.rollout_wants)(self.model):
            return ROOM
        spec, settings = surroundings.model(self.model)
        try:
            seen = await asyncio.to_thread(
                look, spec, settings, self.found, self.since, self._scheduler.alive
            )
        except Unavailable as error:
            log.warning("%s: the lease is not renewed: %s", self.model, error)
            return ""
        except Refused as error:
            return str(error)
        return seen.end


class HoldOperator(BaseOperator):
    """Set the experiment's split and defer until something ends it.

    Parameters
    ----------
    model
        Name of the model.
    found
        What the task `load` returned, as JSON (a template).
    """

    template_fields = ("found",)
    ui_color = "#e4ecf4"

    def __init__(self, *, model: str, found: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.found = found

    def execute(self, context: Any) -> None:
        """Set the split and defer."""
        from dags.experiment import begin

        spec, settings = surroundings.model(self.model)
        found = json.loads(self.found)
        with final_refusals():
            since = begin(spec, settings, found)
        context["ti"].xcom_push("since", since)
        self.defer(
            trigger=ExperimentTrigger(model=self.model, found=found, since=since),
            method_name="ended",
            timeout=LONGEST_WAIT,
        )

    def ended(self, context: Any, event: str) -> str:
        """Return why it ended; whatever it was, it is an answer and no crash."""
        del context
        log.info("%s", event)
        return event
