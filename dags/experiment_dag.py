"""Hold a split between the champion and another version for a while, and report; promotes nobody.

`load` brings the version into the idle slot, `hold` sets the split and waits, deferred, `give_back` returns
all traffic to the champion, `report` keeps what was shown with the version. The split ends when its time is
over, when a gate shows harm, when a rollout of the model wants the traffic, and, where that is asked for,
once each gate and metric has its answer.

**Triage.** `load` is red when a rollout has the traffic or the version cannot be loaded; its log says which.
`hold` is red when it broke: the traffic went back by `give_back`, or by the guard when the lease ran out.
Harm is no crash: the tasks are green and the report says so. While it waits, `trimtab experiment MODEL
--report` prints what the last look has shown.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, TriggerRule, chain, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from dags import exclusion, notices, surroundings
from dags.experiment_waiting import HoldOperator
from dags.operators import final_refusals
from spec import ModelSpec


def build(spec: ModelSpec) -> DAG:
    """Return the experiment DAG of one model."""
    name = spec.model
    with DAG(
        dag_id=f"experiment_{name}",
        description=f"Hold a split between {name}'s champion and another version, and report",
        doc_md=__doc__,
        schedule=None,
        max_active_runs=1,
        tags=["trimtab", name],
        params=_params(),
    ) as dag:

        @task(doc_md="Load the version into the idle slot and warm it up.", **_PATIENT)
        def load() -> dict[str, Any]:
            from dags import experiment

            model, settings = surroundings.model(name)
            asked = get_current_context()["params"]
            if exclusion.rollout_wants(name):
                msg = f"a rollout of {name} is under way or waits; it goes first"
                raise AirflowFailException(msg)
            with final_refusals():
                terms = model.experiment.but(**{key: asked[key] for key in ("share", "for", "early")})
                found = experiment.load(model, settings, asked["version"], terms)
            text = f"experiment of version {found['challenger']} at {terms.share:.0%} started"
            text += f", asked for by {asked['asked_by']}" if asked["asked_by"] else ""
            told = {"version": found["challenger"], "asked_by": asked["asked_by"], "terms": found["terms"]}
            notices.record(model, settings, "experiment", text, outcome="started", **told)
            return found

        hold = HoldOperator(
            task_id="hold",
            model=name,
            found="{{ ti.xcom_pull(task_ids='load') | tojson }}",
            **_PATIENT,
            doc_md="Both versions answer their share of the traffic. Waits for the end.",
        )

        @task(
            doc_md="Return all traffic to the champion.",
            trigger_rule=TriggerRule.ALL_DONE,
            retries=60,
            retry_delay=10,
            on_failure_callback=notices.slack(spec, _STUCK),
        )
        def give_back() -> str:
            from dags import experiment

            if get_current_context()["ti"].xcom_pull(task_ids="hold", key="since") is None:
                msg = "the split was never set: see the log of `load` and `hold`"
                raise AirflowFailException(msg)
            return experiment.give_back(*surroundings.model(name))

        @task(
            doc_md="Keep what was shown with the version.",
            retries=60,
            retry_delay=10,
            on_success_callback=notices.slack(
                spec, "experiment ended: {{ ti.xcom_pull(task_ids='report') }}"
            ),
        )
        def report() -> str:
            from dags import experiment

            model, settings = surroundings.model(name)
            ti = get_current_context()["ti"]
            found = ti.xcom_pull(task_ids="load")
            end = ti.xcom_pull(task_ids="hold") or "It broke; see the log of `hold`."
            text = experiment.finish(model, settings, found, end)
            told = {"version": found["challenger"], "end": end}
            notices.record(model, settings, "experiment", text, outcome="ended", **told)
            return text

        chain(load(), hold, give_back(), report())
    return dag


# Outside systems restart; a refusal is final and not tried again.
_PATIENT: dict[str, Any] = {"retries": 3, "retry_delay": 5}
_STUCK = "experiment: the split could not be returned and the guard has it; see {{ ti.log_url }}"


def _params() -> dict[str, Param]:
    text = ["string", "null"]
    return {
        "version": Param(None, type=text, description="Registry version; the challenger if left empty."),
        "share": Param(None, type=text, description="Such as 50%; as the YAML says if left empty."),
        "for": Param(None, type=text, description="Such as 14d; as the YAML says if left empty."),
        "early": Param(None, type=["boolean", "null"], description="End once everything has an answer."),
        "asked_by": Param(None, type=text, description="Who asked, if it was a person."),
    }


for _spec in surroundings.specs().values():
    globals()[f"experiment_{_spec.model}"] = build(_spec)
