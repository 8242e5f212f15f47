"""The versions of models as MLflow keeps them: aliases, tags and the model's file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from retraining.registry.connection import Connection, quiet
from retraining.registry.records import Alias, Version
from spec import NotFound, did_you_mean


class Versions:
    """What is read from, and written to, MLflow's registry of models."""

    def __init__(self, mlflow: Connection) -> None:
        self._mlflow = mlflow

    def all(self, model: str) -> tuple[Version, ...]:
        """Return all versions of a model, oldest first; none for a model that is not registered."""
        aliases = self.aliases(model)
        found: list[Any] = []
        token: str | None = None
        with self._mlflow.asking():
            while token != "":
                page = self._mlflow.client.search_model_versions(f"name = '{model}'", 200, page_token=token)
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

    def get(self, model: str, version: str) -> Version:
        """Return one version.

        Raises
        ------
        NotFound
            There is no such version; the message names those that there are.
        """
        known = {item.version: item for item in self.all(model)}
        if version not in known:
            msg = f"{model} has no version {version!r} in the registry. {did_you_mean(version, known)}"
            raise NotFound(msg)
        return known[version]

    def aliases(self, model: str) -> dict[str, str]:
        """Return the version that each alias of a model names."""
        with self._mlflow.asking():
            found = self._mlflow.client.search_registered_models(f"name = '{model}'")
        return {alias: str(version) for item in found for alias, version in item.aliases.items()}

    def named(self, model: str, alias: Alias) -> str | None:
        """Return the version that an alias names; None where there is none."""
        return self.aliases(model).get(alias)

    def set_alias(self, model: str, alias: Alias, version: str) -> None:
        """Let an alias name a version."""
        with self._mlflow.asking():
            self._mlflow.client.set_registered_model_alias(model, alias, version)

    def delete_alias(self, model: str, alias: Alias) -> None:
        """Let an alias name nothing."""
        with self._mlflow.asking():
            self._mlflow.client.delete_registered_model_alias(model, alias)

    def tag(self, model: str, version: str, key: str, value: str) -> None:
        """Set the tag ``trimtab.<key>`` of a version."""
        with self._mlflow.asking():
            self._mlflow.client.set_model_version_tag(model, version, f"trimtab.{key}", value)

    def download(self, model: str, version: str, path: Path) -> None:
        """Copy the file of a version's model that is called as `path` is to there; it appears whole."""
        with quiet():
            import mlflow.artifacts

        path.parent.mkdir(parents=True, exist_ok=True)
        with self._mlflow.asking(), tempfile.TemporaryDirectory(dir=path.parent) as draft:
            source = self._mlflow.client.get_model_version_download_uri(model, version)
            uri = self._mlflow.settings.mlflow_uri
            with quiet():
                mlflow.artifacts.download_artifacts(f"{source}/{path.name}", dst_path=draft, tracking_uri=uri)
            os.replace(Path(draft) / path.name, path)
