"""What waits for a verdict in the triggerer. Imported as the installed module ``dags.triggers``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from dags import surroundings
from spec import Refused, Unavailable

log = logging.getLogger(__name__)

LOOKS_PER_LEASE = 20


class VerdictTrigger(BaseTrigger):
    """Judge a step again and again until it is decided.

    A look renews the lease on the canary's traffic only after it has seen the evidence: a judge that is
    blind or dead lets the lease lapse, and the guard returns the traffic to the champion. All that a look
    needs is in the arguments and outside, so a restarted triggerer goes on where the last one stopped.
    """

    def __init__(
        self, *, model: str, step: int, rollout: dict[str, Any], since_wall: str, since_clock: str
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.model = model
        self.step = step
        self.rollout = rollout
        self.since_wall = since_wall
        self.since_clock = since_clock

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the import path and the arguments, for the metadata database."""
        arguments = {
            "model": self.model,
            "step": self.step,
            "rollout": self.rollout,
            "since_wall": self.since_wall,
            "since_clock": self.since_clock,
        }
        return "dags.triggers.VerdictTrigger", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: the verdict that ends the step, and its text for people."""
        from dags.steps import look

        while True:
            spec, settings = surroundings.model(self.model)
            try:
                verdict = await asyncio.to_thread(
                    look, spec, settings, self.step, self.rollout, self.since_wall, self.since_clock
                )
            except Unavailable as error:
                log.warning("%s: the lease is not renewed: %s", self.model, error)
            except Refused as error:
                yield _event(_broken(str(error)), str(error))
                return
            else:
                if verdict.decision != "hold":
                    yield _event(verdict.model_dump(mode="json"), verdict.summary())
                    return
            await asyncio.sleep(spec.rollout.lease.total_seconds() / LOOKS_PER_LEASE)


def _broken(reason: str) -> dict[str, Any]:
    """What the registry keeps when a step ended without a judgement."""
    return {"decision": "rollback", "reason": reason, "gates": []}


def _event(verdict: dict[str, Any], summary: str) -> TriggerEvent:
    return TriggerEvent({"verdict": verdict, "summary": summary})  # type: ignore[no-untyped-call]
