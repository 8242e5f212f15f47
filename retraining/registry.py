"""The door to MLflow: versions, their files, and the aliases champion, challenger and previous.

MLflow flips an alias without comparing and keeps no history, so changes of a model's aliases are
serialised by a file lock, the old champion is kept as ``previous``, and every change is a tag. Each
method may be repeated: a step that is tried again finds its work done.
"""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from monitors import references
from monitors.results import Store
from retraining.dataset.rows import inputs
from retraining.lock import held
from retraining.release import Release
from spec import FeatureType, ModelSpec, NotFound, Refused, Settings, Task, Unavailable, did_you_mean

Alias = Literal["champion", "challenger", "previous"]
_MODEL, _FILE = "model", "model.onnx"
_LONGEST_TAG = 4000
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # the default of 7 waits for minutes; the caller may retry
}
_FORBIDDEN = {"UNAUTHENTICATED", "PERMISSION_DENIED"}
_DOWN = {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"}


@dataclass(frozen=True, slots=True)
class Version:
    """One registered version: number as text, aliases, and the tags that tell its story."""

    version: str
    aliases: tuple[str, ...]
    run_id: str
    tags: Mapping[str, str]

    @property
    def status(self) -> str:
        """``registered``, ``challenger``, ``champion``, ``retired``, ``superseded`` or ``rejected``."""
        return self.tags.get("trimtab.status", "registered")


class Registry:
    """The versions of every model.

    Every method raises `Unavailable` when MLflow does not answer.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened: Any = None

    def publish(self, spec: ModelSpec, release: Release) -> str:
        """Register a release with its reference and make it the challenger; return the version.

        The same source is registered once: publishing again returns the version of the first time. A
        version that was already promoted or rejected keeps that status.
        """
        with self._locked(spec.model):
            version = self._create(spec, release)
            if self._get(spec.model, version).status == "registered":
                old = self.version(spec.model, "challenger")
                if old not in {None, version}:
                    self._tag(spec.model, str(old), "status", "superseded")
                self._set_alias(spec.model, "challenger", version)
                self._tag(spec.model, version, "status", "challenger")
                self._record(spec.model, f"version {version} is the challenger", version, "published")
        return version

    def adopt(self, spec: ModelSpec, release: Release) -> str:
        """Register a release with its reference and make it the champion at once; return the version."""
        with self._locked(spec.model):
            version = self._create(spec, release)
            self._crown(spec.model, version)
        return version

    def promote(self, model: str, version: str, *, force: bool = False) -> None:
        """Make a version the champion, the old champion `previous`, and nobody the challenger.

        Parameters
        ----------
        force
            Also take a version that is not the challenger, such as `previous` for a rollback.

        Raises
        ------
        NotFound
            There is no such version.
        Refused
            The version is not the challenger, and not forced.
        """
        with self._locked(model):
            self._get(model, version)
            challenger, champion = self.version(model, "challenger"), self.version(model, "champion")
            if not force and version not in {challenger, champion}:
                msg = f"{model} version {version} is not the challenger ({challenger or 'there is none'})"
                raise Refused(msg)
            self._crown(model, version)

    def reject(self, model: str, version: str, verdict: Mapping[str, Any] | str) -> None:
        """Take the challenger alias from a version and note why.

        Raises
        ------
        NotFound
            There is no such version.
        Refused
            The version is the champion.
        """
        with self._locked(model):
            before = self._get(model, version)
            if self.version(model, "champion") == version:
                msg = f"{model} version {version} is the champion; promote another version instead"
                raise Refused(msg)
            text = verdict if isinstance(verdict, str) else json.dumps(verdict, default=str, sort_keys=True)
            self._tag(model, version, "verdict", text)
            self._tag(model, version, "status", "rejected")
            if self.version(model, "challenger") == version:
                self._delete_alias(model, "challenger")
            if before.status != "rejected":
                self._tag(model, version, "rejected_at", self._now().isoformat())
                self._record(model, f"version {version} was rejected", version, "rejected")

    def version(self, model: str, alias: Alias) -> str | None:
        """Return the version that an alias names; None where there is none."""
        return self._aliases(model).get(alias)

    def params(self, model: str, version: str) -> dict[str, str]:
        """Return what a version's run was logged with: the learner, its hyperparameters, the window."""
        run_id = self._get(model, version).run_id
        with _asking(self._settings):
            return dict(self._client().get_run(run_id).data.params)

    def versions(self, model: str) -> tuple[Version, ...]:
        """Return all versions of a model, oldest first; none for a model that is not registered."""
        aliases = self._aliases(model)
        found: list[Any] = []
        token: str | None = None
        with _asking(self._settings):
            while token != "":
                page = self._client().search_model_versions(f"name = '{model}'", 200, page_token=token)
                found += page
                token = page.token or ""
        return tuple(
            Version(
                version=str(item.version),
                aliases=tuple(
                    sorted(name for name, version in aliases.items() if version == str(item.version))
                ),
                run_id=item.run_id,
                tags=dict(item.tags),
            )
            for item in sorted(found, key=lambda item: int(item.version))
        )

    def onnx(self, model: str, version: str) -> Path:
        """Return a local copy of a version's model file; it is downloaded once.

        Raises
        ------
        NotFound
            There is no such version.
        """
        path = self._settings.home / "registry" / model / version / _FILE
        if path.is_file():
            return path
        self._get(model, version)
        with _quiet():
            import mlflow.artifacts

        path.parent.mkdir(parents=True, exist_ok=True)
        with _asking(self._settings), tempfile.TemporaryDirectory(dir=path.parent) as draft:
            source = self._client().get_model_version_download_uri(model, version)
            uri = self._settings.mlflow_uri
            with _quiet():
                mlflow.artifacts.download_artifacts(f"{source}/{_FILE}", dst_path=draft, tracking_uri=uri)
            os.replace(Path(draft) / _FILE, path)
        return path

    def tag(self, model: str, version: str, key: str, value: str) -> None:
        """Set the tag ``trimtab.<key>`` of a version."""
        self._get(model, version)
        self._tag(model, version, key, value)

    def _create(self, spec: ModelSpec, release: Release) -> str:
        """Return the release's version, registered with its files and its reference, but no alias."""
        version = self._version_of(spec.model, release.source) or self._log(spec, release)
        references.publish(
            spec,
            self._settings,
            version,
            release.population,
            importances=release.importances,
            performance=release.performance,
            window=release.window,
            held=release.held,
        )
        return version

    def _version_of(self, model: str, source: str) -> str | None:
        found = [item for item in self.versions(model) if item.tags.get("trimtab.source") == source]
        return found[-1].version if found else None

    def _log(self, spec: ModelSpec, release: Release) -> str:
        with _asking(self._settings):
            client = self._client()
            self._ensure_model(spec.model)
            run = client.create_run(
                self._experiment(spec.model), run_name=release.source, tags=_tags(release)
            )
            try:
                self._fill(run.info.run_id, spec, release)
            except BaseException:
                client.set_terminated(run.info.run_id, "FAILED")
                raise
            client.set_terminated(run.info.run_id)
            created = client.create_model_version(
                spec.model,
                f"{run.info.artifact_uri}/{_MODEL}",
                run.info.run_id,
                tags=_tags(release) | {"trimtab.status": "registered"},
            )
        return str(created.version)

    def _fill(self, run_id: str, spec: ModelSpec, release: Release) -> None:
        with _quiet():
            from mlflow.entities import Metric, Param

        client, now = self._client(), int(self._now().timestamp() * 1000)
        client.log_batch(
            run_id,
            metrics=[Metric(name, value, now, 0) for name, value in release.metrics.items()],
            params=[Param(name, value) for name, value in release.params.items()],
        )
        with tempfile.TemporaryDirectory() as folder:
            _write_flavor(spec, release, Path(folder) / _MODEL)
            client.log_artifacts(run_id, folder)
        for file in release.artifacts:
            client.log_artifact(run_id, str(file))

    def _crown(self, model: str, version: str) -> None:
        """Move the aliases in an order in which stopping anywhere leaves a champion, and a retry the rest.

        The status ``champion`` comes last: a champion without it has tags or its event still to get.
        """
        old = self.version(model, "champion")
        if old != version:
            if old is not None:
                self._set_alias(model, "previous", old)
            if self._get(model, version).status == "champion":  # from a crown whose end nobody noted
                self._tag(model, version, "status", "retired")
            self._set_alias(model, "champion", version)
        if self.version(model, "challenger") == version:
            self._delete_alias(model, "challenger")
        if old == version:
            if self._get(model, version).status == "champion":
                return
            old = self.version(model, "previous")
        now = self._now().isoformat()
        self._tag(model, version, "promoted_at", now)
        if old is not None:
            self._tag(model, version, "replaced", old)
            self._tag(model, old, "status", "retired")
            self._tag(model, old, "retired_at", now)
        self._record(model, f"version {version} is the champion (before: {old})", version, "promoted")
        self._tag(model, version, "status", "champion")

    def _get(self, model: str, version: str) -> Version:
        known = {item.version: item for item in self.versions(model)}
        if version not in known:
            msg = f"{model} has no version {version!r} in the registry. {did_you_mean(version, known)}"
            raise NotFound(msg)
        return known[version]

    def _set_alias(self, model: str, alias: Alias, version: str) -> None:
        with _asking(self._settings):
            self._client().set_registered_model_alias(model, alias, version)

    def _delete_alias(self, model: str, alias: Alias) -> None:
        with _asking(self._settings):
            self._client().delete_registered_model_alias(model, alias)

    def _tag(self, model: str, version: str, key: str, value: str) -> None:
        with _asking(self._settings):
            self._client().set_model_version_tag(model, version, f"trimtab.{key}", value)

    def _record(self, model: str, text: str, version: str, outcome: str) -> None:
        with Store(self._settings.results_url) as store:
            store.record_event(model, "registry", text, self._now(), {"version": version, "outcome": outcome})

    def _now(self) -> datetime:
        return self._settings.clock.now()

    def _aliases(self, model: str) -> dict[str, str]:
        with _asking(self._settings):
            found = self._client().search_registered_models(f"name = '{model}'")
        return {alias: str(version) for item in found for alias, version in item.aliases.items()}

    def _ensure_model(self, model: str) -> None:
        if not self._client().search_registered_models(f"name = '{model}'"):
            self._client().create_registered_model(model)

    def _experiment(self, model: str) -> str:
        """Return the id of the model's experiment; without a server, its files lie in the home."""
        client = self._client()
        there = client.get_experiment_by_name(model)
        if there is not None:
            return str(there.experiment_id)
        served = self._settings.mlflow_uri.startswith("http")
        files = None if served else (self._settings.home / "artifacts" / model).as_uri()
        return str(client.create_experiment(model, artifact_location=files))

    def _client(self) -> Any:
        if self._opened is None:
            for name, value in _ENVIRONMENT.items():
                os.environ.setdefault(name, value)
            with _quiet():
                from mlflow import MlflowClient

            uri = self._settings.mlflow_uri
            with _asking(self._settings):
                self._opened = MlflowClient(uri, uri)
        return self._opened

    def _locked(self, model: str) -> AbstractContextManager[None]:
        return held(self._settings.home / "registry" / f"{model}.lock")


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what MLflow warns of while its lazy modules are imported: its own type hints."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _asking(settings: Settings) -> Iterator[None]:
    with _quiet():
        from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        said = " ".join(str(error).split())[:300]
        if error.error_code in _FORBIDDEN:
            msg = (
                f"MLflow at {settings.mlflow_uri} wants other credentials (MLFLOW_TRACKING_USERNAME): {said}"
            )
            raise Refused(msg) from error
        if error.error_code not in _DOWN:
            raise
        msg = f"MLflow at {settings.mlflow_uri} did not answer: {said}"
        raise Unavailable(msg) from error


def _tags(release: Release) -> dict[str, str]:
    named = {"source": release.source, **release.tags}
    return {f"trimtab.{name}": text[:_LONGEST_TAG] for name, text in named.items()}


def _write_flavor(spec: ModelSpec, release: Release, folder: Path) -> None:
    """Write an MLflow ONNX model: MLmodel with a signature, an input example, and ``model.onnx``."""
    import onnx  # noqa: PLC0415
    import onnxruntime  # noqa: PLC0415

    with _quiet():
        import mlflow.onnx
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, Schema

    text = spec.features_of(FeatureType.CATEGORICAL)
    columns: list[Any] = [ColSpec("string" if name in text else "float", name) for name in spec.features]
    outputs = (
        {"variable": "float"} if spec.task is Task.REGRESSION else {"label": "long", "probabilities": "float"}
    )
    with _quiet():
        mlflow.onnx.save_model(
            onnx.load(release.onnx),
            str(folder),
            signature=ModelSignature(
                Schema(columns), Schema([ColSpec(kind, name) for name, kind in outputs.items()])
            ),
            input_example=inputs(spec, release.population.head(3)),
            pip_requirements=[f"onnxruntime=={onnxruntime.__version__}"],
            onnx_execution_providers=["CPUExecutionProvider"],
        )
