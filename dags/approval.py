"""A person's yes before a step, asked in Airflow's own way, while the canary goes on being judged."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.exceptions import HITLRejectException
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import TaskAwaitingInput

from dags import ending, notices, surroundings
from dags.operators import LONGEST_WAIT, final_refusals, keep
from dags.triggers import VerdictTrigger


class StepApproval(ApprovalOperator):
    """Ask before a step; wait deferred, because a canary that nobody judges loses its lease.

    The question stands under *Required Actions* in Airflow's UI. Harm at the step before, a newer rollout,
    a no, and silence beyond `patience` all fail the task, so that the roll-back runs.

    Parameters
    ----------
    model
        Name of the model.
    before
        The step that is asked about, as the model's YAML names it.
    step
        Index of the step before, whose traffic stays; None where there is none.
    rollout, since
        What the task `load` returned, and since when the step before holds, as JSON (templates).
    patience
        How long to wait, by the wall.
    """

    template_fields = (*ApprovalOperator.template_fields, "rollout", "since")
    ui_color = "#f4ecd8"

    def __init__(
        self,
        *,
        model: str,
        before: str,
        step: int | None,
        rollout: str,
        since: str,
        patience: timedelta,
        **kwargs: Any,
    ) -> None:
        super().__init__(fail_on_reject=True, **kwargs)
        self.model = model
        self.before = before
        self.step = step
        self.rollout = rollout
        self.since = since
        self.patience = patience

    def execute(self, context: Any) -> None:
        """Put the question, and defer instead of parking the task."""
        from dags.steps import renew

        if self.step is not None:  # the judge is back only when Airflow has started this task and its trigger
            with final_refusals():
                renew(*surroundings.model(self.model))
        try:
            super().execute(context)
        except TaskAwaitingInput:
            self.defer(
                trigger=VerdictTrigger(
                    model=self.model,
                    step=self.step,
                    rollout=json.loads(self.rollout),
                    since=json.loads(self.since),
                    until=(datetime.now(UTC) + self.patience).isoformat(),
                ),
                method_name="execute_complete",
                timeout=LONGEST_WAIT,
            )

    def execute_complete(self, context: Any, event: dict[str, Any]) -> str | None:
        """Return who said yes; fail for a no, and for what ended the wait without an answer."""
        if "decision" in event:
            keep(context, event)
        who = str((event.get("responded_by_user") or {}).get("name") or "somebody")
        try:
            super().execute_complete(context, event)
        except HITLRejectException:
            keep(context, ending.broken(f"{who} said no to {self.before}"))
        spec, settings = surroundings.model(self.model)
        challenger = json.loads(self.rollout)["challenger"]
        text = f"{who} said yes to {self.before} for version {challenger}"
        notices.record(spec, settings, "rollout", text, outcome="approved", version=challenger, by=who)
        return f"{who} before {self.before}"
