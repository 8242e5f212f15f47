"""Retrain a model and register the result as challenger; one DAG a model, made from its YAML.

**Started by** an alert (through the receiver), `trimtab retrain MODEL`, or the Trigger button with its form.

**Triage.** A red `prepare` says what the data lack. A run that ends after `validate` with the rest skipped
is a *rejected* candidate: the log of `validate` has the interval and the reasons, and Slack has them too.
Both leave a model card in MLflow, and `trimtab lineage MODEL --run RUN` tells how far the run came.
A red `tune` or `register` is ours or the registry's: see the task's log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Param, get_current_context, task

from dags import notices, surroundings
from spec import ModelSpec, Settings

REASONS = ["performance", "harmful_drift", "schedule", "new_labels", "manual"]


def build(spec: ModelSpec) -> DAG:
    """Return the retrain DAG of one model."""
    name = spec.model
    with DAG(
        dag_id=f"retrain_{name}",
        description=f"Retrain {name}, optimize it, validate it against the champion, register it",
        doc_md=__doc__,
        schedule=None,
        max_active_runs=1,
        tags=["trimtab", name],
        params=_form(spec),
        default_args={"on_failure_callback": [notices.slack(spec, _FAILED), _record_failure(name)]},
    ) as dag:

        @task(doc_md="Join the log with the labels known now; write training and holdout rows.")
        def prepare() -> dict[str, Any]:
            from retraining.prepare import prepare as run

            model, settings = surroundings.model(name)
            request = _request()
            text = f"retrain of {name} started: {request['reason']}"
            notices.record(
                model, settings, "retrain", text, outcome="started", run=_run_id(), request=request
            )
            with _accounted(model, settings, "prepare"):
                return run(model, settings, _run_id()).model_dump(mode="json")

        @task(doc_md="Search each learner's hyperparameters and training window on folds forward in time.")
        def tune() -> dict[str, Any]:
            from retraining.tune import tune as run

            model, settings = surroundings.model(name)
            with _accounted(model, settings, "tune"):
                return run(model, settings, _run_id()).model_dump(mode="json")

        @task(doc_md="Fit what was found, without the newest rows and on all, and export both to ONNX.")
        def train() -> dict[str, Any]:
            from retraining.train import train as run

            model, settings = surroundings.model(name)
            with _accounted(model, settings, "train"):
                return run(model, settings, _run_id()).model_dump(mode="json")

        @task(doc_md="Try chains of passes, measure each; choose the cheapest of the best within the budget.")
        def optimize() -> dict[str, Any]:
            from retraining.optimize import optimize as run

            model, settings = surroundings.model(name)
            with _accounted(model, settings, "optimize"):
                return run(model, settings, _run_id()).model_dump(mode="json")

        @task.short_circuit(
            doc_md="Compare with the champion on the same held-out rows, by an interval over days.",
            on_success_callback=notices.slack(spec, "{{ ti.xcom_pull(task_ids='validate', key='summary') }}"),
        )
        def validate() -> bool:
            from retraining.rejection import rejected
            from retraining.validate import validate as run

            model, settings = surroundings.model(name)
            with _accounted(model, settings, "validate"):
                validation = run(model, settings, _run_id())
            outcome = "accepted" if validation.accepted else "rejected"
            text = f"candidate {outcome}: {'; '.join(validation.reasons)}"
            get_current_context()["ti"].xcom_push("summary", text)
            if not validation.accepted:
                notices.record(
                    model, settings, "retrain", text, outcome=outcome, run=_run_id(), request=_request()
                )
                rejected(model, settings, _run_id(), _trigger())
            return bool(validation.accepted)

        @task(
            doc_md="Log the run and the model to MLflow; alias `challenger`.",
            on_success_callback=notices.slack(
                spec, "version {{ ti.xcom_pull(task_ids='register') }} is registered as challenger"
            ),
        )
        def register() -> str:
            from retraining.register import register as run

            model, settings = surroundings.model(name)
            version: str = run(model, settings, _run_id(), trigger=_trigger())
            text = f"version {version} is registered as challenger"
            made = {"version": version, "run": _run_id(), "request": _request()}
            notices.record(model, settings, "retrain", text, outcome="accepted", **made)
            return version

        roll_out = TriggerDagRunOperator(
            task_id="roll_out",
            trigger_dag_id=f"rollout_{name}",
            trigger_run_id="{{ run_id }}",
            conf={"version": "{{ ti.xcom_pull(task_ids='register') | string }}"},
            skip_when_already_exists=True,
            fail_when_dag_is_paused=True,
        )
        prepare() >> tune() >> train() >> optimize() >> validate() >> register() >> roll_out
    return dag


_FAILED = "retrain failed in `{{ ti.task_id }}`: {{ exception }} <{{ ti.log_url }}|log>"


def _form(spec: ModelSpec) -> dict[str, Param]:
    """What an alert or a person tells the run; the field names of `alerts.RetrainRequest`."""
    texts = {
        "alert": "The alert that asked for it.",
        "version": "The version that the alert is about.",
        "summary": "The alert's summary.",
        "description": "The alert's description: values and limits.",
        "requested_at": "Clock time of the request, ISO 8601.",
        "episode": "The alert's episode; its attempts have one.",
    }
    return {
        "model": Param(spec.model, type="string", enum=[spec.model], description="The model to retrain."),
        "reason": Param("manual", type="string", enum=REASONS, description="Why it is retrained."),
    } | {
        name: Param(None, description, type=["string", "null"], maxLength=4000)
        for name, description in texts.items()
    }


def _record_failure(name: str) -> Callable[[Any], None]:
    def record(context: Any) -> None:
        model, settings = surroundings.model(name)
        text = f"retrain of {name} failed in {context['ti'].task_id}"
        notices.record(model, settings, "retrain", text, outcome="failed", run=str(context["run_id"]))

    return record


def _run_id() -> str:
    return str(get_current_context()["run_id"])


def _request() -> dict[str, Any]:
    """The params of this run without the model, which every record names already."""
    params: dict[str, Any] = dict(get_current_context()["params"])
    return {key: value for key, value in params.items() if key != "model"}


def _trigger() -> dict[str, Any]:
    """What the registry keeps of the request."""
    return {"run": _run_id()} | _request()


@contextmanager
def _accounted(model: ModelSpec, settings: Settings, stage: str) -> Iterator[None]:
    """Keep the reasons where a stage ends the retrain; its task fails with them."""
    from retraining.rejection import accounted

    with accounted(model, settings, _run_id(), stage, _trigger()):
        yield


for _spec in surroundings.specs().values():
    globals()[f"retrain_{_spec.model}"] = build(_spec)
