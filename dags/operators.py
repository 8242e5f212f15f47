"""One step of a rollout: set the traffic, then wait for the judge without holding a worker."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from dags import ending, notices, surroundings
from dags.triggers import VerdictTrigger
from spec import InputError, NotFound, Refused

# Far beyond any deadline: a deferral without a bound hangs for ever if its trigger is lost.
LONGEST_WAIT = timedelta(days=90)


@contextmanager
def final_refusals() -> Iterator[None]:
    """Fail the task at once for what trying again does not change; anything else may be retried."""
    try:
        yield
    except (Refused, NotFound, InputError) as error:
        raise AirflowFailException(str(error)) from error


class StepOperator(BaseOperator):
    """Apply the traffic of a step and defer until the judge promotes or rolls back.

    Parameters
    ----------
    model
        Name of the model.
    step
        Index into the spec's `rollout.steps`.
    rollout
        What the task `load` returned, as JSON (a template).
    """

    template_fields = ("rollout",)
    ui_color = "#e8f0e4"

    def __init__(self, *, model: str, step: int, rollout: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.step = step
        self.rollout = rollout

    def execute(self, context: Any) -> None:
        """Set the traffic, keep since when it holds, and defer."""
        from dags.steps import begin

        spec, settings = surroundings.model(self.model)
        rollout = json.loads(self.rollout)
        with final_refusals():
            since = begin(spec, settings, self.step, rollout)
        # Before the wait: a person may mark the step as passed, and who is asked next goes on judging it.
        context["ti"].xcom_push("since", since)
        self.defer(
            trigger=VerdictTrigger(model=self.model, step=self.step, rollout=rollout, since=since),
            method_name="decide",
            timeout=LONGEST_WAIT,
        )

    def decide(self, context: Any, event: dict[str, Any]) -> str:
        """Return the decision; fail, so that the roll-back runs, unless it is to go on."""
        keep(context, event)
        spec, settings = surroundings.model(self.model)
        notices.record(spec, settings, "rollout", event["summary"], outcome="step", verdict=event["verdict"])
        return str(event["decision"])


def keep(context: Any, ended: dict[str, Any]) -> None:
    """Keep how a step ended, see `dags.ending`, for the tasks behind it; fail unless it was promoted."""
    ti = context["ti"]
    ti.xcom_push(ending.KEY, ended)
    ti.xcom_push("verdict", ended["verdict"])
    ti.xcom_push("summary", ended["summary"])
    logging.getLogger(__name__).info("%s", ended["summary"])
    if ended["decision"] != "promote":
        raise AirflowFailException(ended["summary"])
