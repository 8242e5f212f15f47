"""Roll a registered version out behind a canary; one DAG a model, made from its YAML.

Each step sets the traffic and waits, deferred, until the judge decides: *promote* goes on to the next
step, *rollback* fails the step and `roll_back` returns all traffic to the champion. *Hold* keeps waiting
until the step's deadline, which is a rollback.

**Triage.** A red step is a verdict, not a crash, when its log ends with the judge's table; Slack has the
same table. While a step waits it holds no worker. If the triggerer dies, the lease on the canary's weight
lapses and the guard returns the traffic to the champion on its own.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, TriggerRule, chain, get_current_context, task

from dags import notices, surroundings
from dags.operators import StepOperator, final_refusals
from spec import SHADOW, ModelSpec


def build(spec: ModelSpec) -> DAG:
    """Return the rollout DAG of one model."""
    name = spec.model
    with DAG(
        dag_id=f"rollout_{name}",
        description=f"Shadow {name}'s challenger, shift traffic to it step by step, promote or roll back",
        doc_md=__doc__,
        schedule=None,
        max_active_runs=1,
        tags=["trimtab", name],
        params={
            "version": Param(
                None,
                type=["string", "null"],
                description="Registry version; the alias challenger if left empty.",
            ),
            "asked_by": Param(None, type=["string", "null"], description="Who asked, if it was a person."),
        },
    ) as dag:

        @task(doc_md="Load the version into the idle slot and warm it up.", **_PATIENT)
        def load() -> dict[str, Any]:
            from dags.steps import load_challenger

            model, settings = surroundings.model(name)
            with final_refusals():
                found = load_challenger(model, settings, _context()["params"]["version"])
            asked_by = _context()["params"]["asked_by"]
            text = f"rollout of version {found['challenger']} started in slot {found['slot']}"
            text += f", asked for by {asked_by}" if asked_by else ""
            told = {"version": found["challenger"], "asked_by": asked_by}
            notices.record(model, settings, "rollout", text, outcome="started", **told)
            return found

        steps = [
            StepOperator(
                task_id=_task_id(step),
                model=name,
                step=index,
                rollout="{{ ti.xcom_pull(task_ids='load') | tojson }}",
                on_success_callback=notices.slack(spec, f"passed {_label(step)}: {_VERDICT}"),
                **_PATIENT,
                doc_md=f"Traffic: {_label(step)}. Waits for the judge.",
            )
            for index, step in enumerate(planned.share for planned in spec.rollout.steps)
        ]

        @task(
            doc_md="Give the version all traffic for good, then move the alias champion.",
            retries=5,
            retry_delay=2,
            on_success_callback=notices.slack(
                spec, "version {{ ti.xcom_pull(task_ids='promote') }} is promoted to champion"
            ),
        )
        def promote() -> str:
            from dags.steps import promote_challenger

            model, settings = surroundings.model(name)
            ti = _context()["ti"]
            rollout = ti.xcom_pull(task_ids="load")
            verdicts = {step.task_id: ti.xcom_pull(task_ids=step.task_id, key="verdict") for step in steps}
            with final_refusals():
                promote_challenger(model, settings, rollout, verdicts)
            text = f"version {rollout['challenger']} is champion"
            notices.record(
                model, settings, "rollout", text, outcome="promoted", version=rollout["challenger"]
            )
            return str(rollout["challenger"])

        @task(
            doc_md="Return all traffic to the champion; the registry keeps the verdict.",
            trigger_rule=TriggerRule.ONE_FAILED,
            retries=60,
            retry_delay=10,
            on_success_callback=notices.slack(spec, "rolled back: {{ ti.xcom_pull(task_ids='roll_back') }}"),
            on_failure_callback=notices.slack(spec, _STUCK),
        )
        def roll_back() -> str:
            from dags.steps import reject_challenger

            model, settings = surroundings.model(name)
            ti = _context()["ti"]
            verdicts = [ti.xcom_pull(task_ids=step.task_id, key="verdict") for step in steps]
            verdict = next((found for found in reversed(verdicts) if found), None)
            rollout = ti.xcom_pull(task_ids="load")
            text = reject_challenger(model, settings, rollout, verdict)
            lost = {
                "run": _context()["run_id"],
                "version": rollout and rollout["challenger"],
                "verdict": verdict,
            }
            notices.record(model, settings, "rollout", text, outcome="rolled_back", **lost)
            return text

        last = promote()
        loaded = load()
        chain(loaded, *steps, last)
        [loaded, *steps, last] >> roll_back()
    return dag


# Outside systems restart; a verdict or a refusal is final and not tried again.
_PATIENT: dict[str, Any] = {"retries": 3, "retry_delay": 5}
_STUCK = (
    "the roll-back failed for ten minutes and a person is needed; see `trimtab status` for the traffic: "
    "{{ exception }} <{{ ti.log_url }}|log>"
)
_VERDICT = "{{ ti.xcom_pull(task_ids=ti.task_id, key='summary') }}"


def _label(step: str | float) -> str:
    return SHADOW if step == SHADOW else f"{float(step):.0%}"


def _task_id(step: str | float) -> str:
    return SHADOW if step == SHADOW else f"step_{float(step) * 100:g}".replace(".", "_")


def _context() -> Any:
    return get_current_context()


for _spec in surroundings.specs().values():
    globals()[f"rollout_{_spec.model}"] = build(_spec)
