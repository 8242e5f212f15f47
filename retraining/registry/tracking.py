"""A release, or an attempt without one, as an MLflow run: files, numbers, rows; its trials as runs below."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retraining.registry.connection import Connection, quiet
from retraining.registry.records import Rejection
from spec import ModelSpec

if TYPE_CHECKING:
    from retraining.release import Attempt, Release, Rows, Trial

MODEL, NATIVE = "model", "native"
LONGEST_TAG = 4000
_LONGEST_DIGEST, _LONGEST_PARAM = 36, 6000
_PARENT, _CONTEXT = "mlflow.parentRunId", "mlflow.data.context"


def log(mlflow: Connection, spec: ModelSpec, release: Release) -> str:
    """Log a release as a run and register its model; return the version."""
    client = mlflow.client
    if not client.search_registered_models(f"name = '{spec.model}'"):
        client.create_registered_model(spec.model)
    with _told(mlflow, spec.model, release) as run:
        _log_model(client, run.info.run_id, spec, release)
    created = client.create_model_version(
        spec.model,
        f"{run.info.artifact_uri}/{MODEL}",
        run.info.run_id,
        tags=_tags(release) | {"trimtab.status": "registered"},
    )
    return str(created.version)


def keep(mlflow: Connection, model: str, attempt: Attempt) -> str:
    """Log an attempt as a run, in place of earlier ones of its source; return the run's id."""
    client, earlier = (
        mlflow.client,
        [one for one in rejections(mlflow, model) if one.source == attempt.source],
    )
    with _told(mlflow, model, attempt) as run:
        pass
    for old in earlier:
        for below in _runs(mlflow, model, f"tags.`{_PARENT}` = '{old.run_id}'"):
            client.delete_run(below.info.run_id)
        client.delete_run(old.run_id)
    return str(run.info.run_id)


def rejections(mlflow: Connection, model: str) -> tuple[Rejection, ...]:
    """Return the attempts of a model that were kept, the oldest first."""
    found = _runs(mlflow, model, "tags.`trimtab.status` = 'rejected'")
    ended = [Rejection(run.info.run_id, dict(run.data.tags)) for run in found]
    return tuple(sorted(ended, key=lambda one: one.tags.get("trimtab.rejected_at", "")))


def records(mlflow: Connection, run_id: str, folder: Path) -> tuple[Path, ...]:
    """Copy the JSON files that a run was logged with into a folder."""
    with quiet():
        found = mlflow.client.list_artifacts(run_id)
        names = [item.path for item in found if not item.is_dir and item.path.endswith(".json")]
        return tuple(Path(mlflow.client.download_artifacts(run_id, name, str(folder))) for name in names)


def native(mlflow: Connection, run_id: str, folder: Path) -> Path | None:
    """Copy the pipeline that a run was logged with into a folder; None where there is none."""
    from retraining.native import FILE  # noqa: PLC0415 - the learners, which few who ask the registry need

    wanted = f"{NATIVE}/{FILE}"
    with quiet():
        if wanted not in {item.path for item in mlflow.client.list_artifacts(run_id, NATIVE)}:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        return Path(mlflow.client.download_artifacts(run_id, wanted, str(folder)))


@contextmanager
def _told(mlflow: Connection, model: str, made: Release | Attempt) -> Iterator[Any]:
    """Give a run that has what both a release and an attempt have; it fails where anything fails."""
    client, experiment = mlflow.client, mlflow.experiment(model)
    run = client.create_run(experiment, run_name=made.source, tags=_tags(made))
    run_id = run.info.run_id
    try:
        _log_numbers(client, run_id, made.params, made.metrics, mlflow.milliseconds())
        if made.rows is not None:
            _log_rows(client, run_id, made.rows)
        yield run
        for file in made.artifacts:
            client.log_artifact(run_id, str(file))
        for trial in made.trials:
            _log_trial(client, experiment, run_id, trial)
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id)


def _runs(mlflow: Connection, model: str, wanted: str) -> Iterator[Any]:
    there = mlflow.client.get_experiment_by_name(model)
    token: str | None = None
    while there is not None and token != "":
        page = mlflow.client.search_runs([there.experiment_id], wanted, page_token=token)
        yield from page
        token = page.token or ""


def _log_model(client: Any, run_id: str, spec: ModelSpec, release: Release) -> None:
    from retraining.registry import flavor  # noqa: PLC0415 - pandas, which only who publishes needs

    with tempfile.TemporaryDirectory() as folder:
        flavor.write(spec, release, Path(folder) / MODEL)
        client.log_artifacts(run_id, folder)
    if release.native is not None:
        client.log_artifacts(run_id, str(release.native), NATIVE)


def _log_numbers(
    client: Any, run_id: str, params: Mapping[str, str], metrics: Mapping[str, float], now: int
) -> None:
    with quiet():
        from mlflow.entities import Metric, Param

    client.log_batch(
        run_id,
        metrics=[Metric(name, value, now, 0) for name, value in metrics.items()],
        params=[Param(name, value[:_LONGEST_PARAM]) for name, value in params.items()],
    )


def _log_rows(client: Any, run_id: str, rows: Rows) -> None:
    """Log the rows as a dataset; MLflow keeps 36 characters of a digest, so the whole hash is a tag."""
    with quiet():
        from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(
        rows.name,
        rows.sha256[:_LONGEST_DIGEST],
        rows.kind,
        json.dumps(rows.source),
        profile=json.dumps(rows.profile),
    )
    tags = [InputTag(_CONTEXT, "training"), InputTag("trimtab.sha256", rows.sha256)]
    client.log_inputs(run_id, [DatasetInput(dataset, tags)])


def _log_trial(client: Any, experiment: str, parent: str, trial: Trial) -> None:
    tags = {_PARENT: parent, "trimtab.state": trial.state}
    begun, over = _milliseconds(trial.start), _milliseconds(trial.end)
    run = client.create_run(experiment, start_time=begun, tags=tags, run_name=trial.name)
    _log_numbers(client, run.info.run_id, trial.params, trial.metrics, over)
    client.set_terminated(run.info.run_id, trial.status, over)


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def _tags(made: Release | Attempt) -> dict[str, str]:
    named = {"source": made.source, **made.tags}
    return {f"trimtab.{name}": text[:LONGEST_TAG] for name, text in named.items()}
