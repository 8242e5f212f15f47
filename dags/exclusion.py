"""One rollout or experiment of a model at a time: an experiment makes room for a rollout, never the reverse.

Only for tasks and triggers: Airflow is asked through the process that watches them. Whatever it answers, the
split itself is the lock: neither begins on traffic that is not settled.
"""

from __future__ import annotations

import time

from spec import Unavailable

PATIENCE_S = 300.0
_ASK_EVERY_S = 2.0


def rollout_wants(model: str) -> bool:
    """Return whether a rollout of the model is under way or queued."""
    return _runs(f"rollout_{model}", "queued", "running") > 0


def experiment_runs(model: str) -> bool:
    """Return whether an experiment of the model is under way; one that is only queued has no traffic."""
    return _runs(f"experiment_{model}", "running") > 0


def wait_for_room(model: str) -> None:
    """Wait until the model's experiment has seen that a rollout wants its traffic, and has ended.

    Airflow has no event for the end of another DAG's run, so it is asked again.

    Raises
    ------
    Unavailable
        The experiment did not end within five minutes.
    """
    until = time.monotonic() + PATIENCE_S
    while experiment_runs(model):
        if time.monotonic() >= until:
            msg = (
                f"the experiment of {model} did not make room within {PATIENCE_S:g} s; see experiment_{model}"
            )
            raise Unavailable(msg)
        time.sleep(_ASK_EVERY_S)


def _runs(dag_id: str, *states: str) -> int:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    return RuntimeTaskInstance.get_dr_count(dag_id=dag_id, states=list(states))
