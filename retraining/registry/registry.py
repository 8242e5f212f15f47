"""The versions of every model, and the moves of their aliases.

Each method may be repeated: a step that is tried again finds its work done.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitors.results.store import Store
from retraining.lock import held
from retraining.records import Rollout
from retraining.registry import history, rollouts, tracking
from retraining.registry.approval import Approval
from retraining.registry.connection import Connection
from retraining.registry.moves import Moves
from retraining.registry.records import Alias, Reign, Rejection, Version
from retraining.registry.versions import Versions
from spec import ModelSpec, Refused, Settings

if TYPE_CHECKING:
    from retraining.release import Attempt, Release

_FILE = "model.onnx"


class Registry:
    """The versions of every model.

    Every method raises `Unavailable` when MLflow does not answer.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._mlflow = Connection(settings)
        self._versions = Versions(self._mlflow)
        self._moves = Moves(settings, self._versions)

    def publish(self, spec: ModelSpec, release: Release) -> str:
        """Register a release with its reference and make it the challenger; return the version.

        The same source is registered once: publishing again returns the version of the first time. A
        version that was already promoted or rejected keeps that status.
        """
        with self._locked(spec.model):
            version = self._create(spec, release)
            self._moves.challenge(spec.model, version)
        return version

    def adopt(self, spec: ModelSpec, release: Release, approval: Approval | None = None) -> str:
        """Register a release with its reference and make it the champion at once; return the version.

        Parameters
        ----------
        approval
            Who wants it; by default the user whose process this is.
        """
        with self._locked(spec.model):
            version = self._create(spec, release)
            self._moves.crown(spec.model, version, approval or Approval.by_hand())
        return version

    def promote(
        self,
        model: str,
        version: str,
        approval: Approval | None = None,
        *,
        rollout: Rollout | None = None,
        force: bool = False,
    ) -> None:
        """Make a version the champion, the old champion `previous`, and nobody the challenger.

        Parameters
        ----------
        approval
            Who approved it; by default the user whose process this is.
        rollout
            What a rollout's judge said; kept with the version before it is the champion.
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
            found = self._versions.get(model, version)
            challenger, champion = self.version(model, "challenger"), self.version(model, "champion")
            if not force and version not in {challenger, champion}:
                msg = f"{model} version {version} is not the challenger ({challenger or 'there is none'})"
                raise Refused(msg)
            self._keep_rollout(model, found, rollout)
            self._moves.crown(model, version, approval or Approval.by_hand())

    def reject(
        self, model: str, version: str, verdict: Mapping[str, Any] | str, *, rollout: Rollout | None = None
    ) -> None:
        """Take the challenger alias from a version and note why; `rollout` as of `promote`.

        Raises
        ------
        NotFound
            There is no such version.
        Refused
            The version is the champion.
        """
        with self._locked(model):
            before = self._versions.get(model, version)
            if self.version(model, "champion") == version:
                msg = f"{model} version {version} is the champion; promote another version instead"
                raise Refused(msg)
            text = verdict if isinstance(verdict, str) else json.dumps(verdict, default=str, sort_keys=True)
            self._keep_rollout(model, before, rollout)
            self._moves.reject(model, version, text)

    def version(self, model: str, alias: Alias) -> str | None:
        """Return the version that an alias names; None where there is none."""
        return self._versions.named(model, alias)

    def history(self, model: str) -> tuple[Reign, ...]:
        """Return who was champion and challenger from when to when, by beginning; none for an unknown model.

        It is read from the events of the results store, which are only ever added to. An alias that was moved
        past Trimtab is told too, without a time.
        """
        with Store(self._settings.results_url) as store:
            told = store.events(model, kinds=(history.KIND,))
        return history.reigns(told, self._versions.aliases(model))

    def params(self, model: str, version: str) -> dict[str, str]:
        """Return what a version's run was logged with: the learner, its hyperparameters, the window."""
        run_id = self._versions.get(model, version).run_id
        with self._mlflow.asking():
            return dict(self._mlflow.client.get_run(run_id).data.params)

    def versions(self, model: str) -> tuple[Version, ...]:
        """Return all versions of a model, oldest first; none for a model that is not registered."""
        return self._versions.all(model)

    def onnx(self, model: str, version: str) -> Path:
        """Return a local copy of a version's model file; it is downloaded once.

        Raises
        ------
        NotFound
            There is no such version.
        """
        path = self._settings.home / "registry" / model / version / _FILE
        if not path.is_file():
            self._versions.get(model, version)
            self._versions.download(model, version, path)
        return path

    def keep(self, spec: ModelSpec, attempt: Attempt) -> str:
        """Keep what a retrain without a version leaves, the last of its source; return its MLflow run."""
        with self._locked(spec.model), self._mlflow.asking():
            return tracking.keep(self._mlflow, spec.model, attempt)

    def rejections(self, model: str) -> tuple[Rejection, ...]:
        """Return the retrains of a model that ended without a version, the oldest first."""
        with self._mlflow.asking():
            return tracking.rejections(self._mlflow, model)

    def records(self, run_id: str, folder: Path) -> tuple[Path, ...]:
        """Copy the records of an MLflow run, of a version or a rejection, into a folder: its JSON files."""
        with self._mlflow.asking():
            return tracking.records(self._mlflow, run_id, folder)

    def native(self, model: str, version: str, folder: Path) -> Path | None:
        """Copy a version's pipeline, see `retraining.native`, into a folder; None where it has none.

        Raises
        ------
        NotFound
            There is no such version.
        """
        run_id = self._versions.get(model, version).run_id
        with self._mlflow.asking():
            return tracking.native(self._mlflow, run_id, folder)

    def tag(self, model: str, version: str, key: str, value: str) -> None:
        """Set the tag ``trimtab.<key>`` of a version."""
        self._versions.get(model, version)
        self._versions.tag(model, version, key, value)

    def attach(self, model: str, version: str, files: Iterable[Path], under: str) -> None:
        """Put files into a folder of a version's run, in place of those of the same names.

        Raises
        ------
        NotFound
            There is no such version.
        """
        run_id = self._versions.get(model, version).run_id
        with self._mlflow.asking():
            for file in files:
                self._mlflow.client.log_artifact(run_id, str(file), under)

    def _create(self, spec: ModelSpec, release: Release) -> str:
        """Return the release's version, registered with its files and its reference, but no alias."""
        from monitors import references  # noqa: PLC0415 - pandas, which only who publishes needs

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
        found = [item for item in self.versions(model) if item.source == source]
        return found[-1].version if found else None

    def _log(self, spec: ModelSpec, release: Release) -> str:
        with self._mlflow.asking():
            return tracking.log(self._mlflow, spec, release)

    def _keep_rollout(self, model: str, version: Version, rollout: Rollout | None) -> None:
        if rollout is not None:
            with self._mlflow.asking():
                rollouts.keep(self._mlflow, model, version, rollout)

    def _locked(self, model: str) -> AbstractContextManager[None]:
        return held(self._settings.home / "registry" / f"{model}.lock")
