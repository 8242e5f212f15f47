"""Roll a registered version out behind a canary; one DAG a model, made from its YAML.

Each step sets the traffic and waits, deferred, until the judge decides: *promote* goes on to the next
step, *rollback* fails the step and `roll_back` returns all traffic to the champion. *Hold* keeps waiting
until the step's deadline, which is a rollback.

A newer run supersedes this one: while one is queued, this one gives the traffic back and makes room, and
nothing is held against its version. An experiment of the model ends for a rollout. Where the YAML asks for it
(`rollout.approval`), a person says yes before a step, under *Required Actions*; the canary goes on being
judged meanwhile.

**Triage.** A red step is a verdict, not a crash, when its log ends with the judge's table; Slack has the
same table. While a step waits it holds no worker. If the triggerer dies, the lease on the canary's weight
lapses and the guard returns the traffic to the champion on its own.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, TriggerRule, chain, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from dags import ending, exclusion, notices, surroundings
from dags.approval import StepApproval
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
            if ending.newer_waits(name):
                text = "a newer rollout of the model waits: this one does not begin"
                notices.record(model, settings, "rollout", text, outcome=ending.SUPERSEDED)
                raise AirflowSkipException(text)
            exclusion.wait_for_room(name)
            run, asked = _context()["run_id"], _context()["params"]

            def announce(found: dict[str, Any]) -> None:
                text = f"rollout of version {found['challenger']} started in slot {found['slot']}"
                text += f", asked for by {asked['asked_by']}" if asked["asked_by"] else ""
                told = {"version": found["challenger"], "asked_by": asked["asked_by"], "run": run}
                key = f"{name}/{run}/started"
                notices.record(model, settings, "rollout", text, key, outcome="started", **told)

            with final_refusals():
                return load_challenger(model, settings, asked["version"], announce) | {"run": run}

        steps = [_step(spec, index) for index in range(len(spec.rollout.steps))]
        asked = {index: _approval(spec, index) for index in _asked_before(spec)}

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
            answers = (ti.xcom_pull(task_ids=approval.task_id) for approval in asked.values())
            said_yes = [answer or "somebody who marked the question as answered" for answer in answers]
            with final_refusals():
                promote_challenger(model, settings, rollout, verdicts, said_yes)
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
            ended = [ti.xcom_pull(task_ids=one.task_id, key=ending.KEY) for one in way]
            end = next((found for found in reversed(ended) if found), None)
            rollout = ti.xcom_pull(task_ids="load")
            text = reject_challenger(model, settings, rollout, end)
            lost = {
                "run": _context()["run_id"],
                "version": rollout and rollout["challenger"],
                "verdict": end and end["verdict"],
            }
            made_room = end is not None and end["decision"] == ending.SUPERSEDED
            outcome = ending.SUPERSEDED if made_room else "rolled_back"
            notices.record(model, settings, "rollout", text, outcome=outcome, **lost)
            return text

        way = [one for index, step in enumerate(steps) for one in (asked.get(index), step) if one is not None]
        last = promote()
        loaded = load()
        chain(loaded, *way, last)
        [loaded, *way, last] >> roll_back()
    return dag


# Outside systems restart; a verdict or a refusal is final and not tried again.
_PATIENT: dict[str, Any] = {"retries": 3, "retry_delay": 5}
_STUCK = (
    "the roll-back failed for ten minutes and a person is needed; see `trimtab status` for the traffic: "
    "{{ exception }} <{{ ti.log_url }}|log>"
)
_VERDICT = "{{ ti.xcom_pull(task_ids=ti.task_id, key='summary') }}"


_ROLLOUT = "{{ ti.xcom_pull(task_ids='load') | tojson }}"


def _step(spec: ModelSpec, index: int) -> StepOperator:
    share = spec.rollout.steps[index].share
    return StepOperator(
        task_id=_task_id(share),
        model=spec.model,
        step=index,
        rollout=_ROLLOUT,
        on_success_callback=notices.slack(spec, f"passed {_label(share)}: {_VERDICT}"),
        **_PATIENT,
        doc_md=f"Traffic: {_label(share)}. Waits for the judge.",
    )


def _asked_before(spec: ModelSpec) -> list[int]:
    """Return the indices of the steps that begin only after a person's yes."""
    return [index for index, step in enumerate(spec.rollout.steps) if spec.rollout.approved_first(step.share)]


def _approval(spec: ModelSpec, index: int) -> StepApproval:
    share = spec.rollout.steps[index].share
    before = _task_id(spec.rollout.steps[index - 1].share) if index else None
    version = "{{ ti.xcom_pull(task_ids='load')['challenger'] }}"
    question = f"May version {version} of {spec.model} go to {_label(share)}?"
    return StepApproval(
        task_id=f"approve_{_task_id(share)}",
        subject=question,
        body=f"```\n{{{{ ti.xcom_pull(task_ids='{before}', key='summary') }}}}\n```" if before else None,
        notifiers=notices.slack(spec, f"{question} <{{{{ ti.log_url }}}}|Answer under Required Actions>"),
        model=spec.model,
        before=_label(share),
        step=index - 1 if index else None,
        rollout=_ROLLOUT,
        since=f"{{{{ ti.xcom_pull(task_ids='{before}', key='since') | tojson }}}}" if before else "{}",
        patience=spec.rollout.at(share).deadline,
        **_PATIENT,
        doc_md=f"A person says yes or no to {_label(share)}; the step before is judged on meanwhile.",
    )


def _label(step: str | float) -> str:
    return SHADOW if step == SHADOW else f"{float(step):.0%}"


def _task_id(step: str | float) -> str:
    return SHADOW if step == SHADOW else f"step_{float(step) * 100:g}".replace(".", "_")


def _context() -> Any:
    return get_current_context()


for _spec in surroundings.specs().values():
    globals()[f"rollout_{_spec.model}"] = build(_spec)
