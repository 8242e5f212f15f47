"""MLflow's client, opened when it is first needed, and what its errors mean to us."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from spec import Problem, Refused, Settings, SettingsError, Unavailable

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # the default of 7 waits for minutes; the caller may retry
}
_FORBIDDEN = {"UNAUTHENTICATED", "PERMISSION_DENIED"}
_DOWN = {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"}


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what MLflow warns of while its lazy modules are imported: its own type hints."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Connection:
    """The MLflow server, or database, that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._opened: Any = None

    @property
    def client(self) -> Any:
        """The client; opening it imports MLflow, which takes seconds."""
        if self._opened is None:
            for name, value in _ENVIRONMENT.items():
                os.environ.setdefault(name, value)
            with quiet():
                from mlflow import MlflowClient
                from mlflow.exceptions import MlflowException

            uri = self.settings.mlflow_uri
            try:
                with self.asking():
                    self._opened = MlflowClient(uri, uri)
            except MlflowException as error:
                must, said = "must be an address that MLflow takes", " ".join(str(error).split())[:300]
                raise SettingsError([Problem("TRIMTAB_MLFLOW_URI", must, uri, said)]) from error
        return self._opened

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Turn MLflow's errors into ours: `Unavailable`, or `Refused` for the wrong credentials."""
        with quiet():
            from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            said = " ".join(str(error).split())[:300]
            uri = self.settings.mlflow_uri
            if error.error_code in _FORBIDDEN:
                msg = f"MLflow at {uri} wants other credentials (MLFLOW_TRACKING_USERNAME): {said}"
                raise Refused(msg) from error
            if error.error_code not in _DOWN:
                raise
            msg = f"MLflow at {uri} did not answer: {said}"
            raise Unavailable(msg) from error

    def experiment(self, model: str) -> str:
        """Return the id of the model's experiment; without a server, its files lie in the home."""
        there = self.client.get_experiment_by_name(model)
        if there is not None:
            return str(there.experiment_id)
        served = self.settings.mlflow_uri.startswith("http")
        files = None if served else (self.settings.home / "artifacts" / model).as_uri()
        return str(self.client.create_experiment(model, artifact_location=files))

    def milliseconds(self) -> int:
        """Return the clock's time as MLflow counts it."""
        return int(self.settings.clock.now().timestamp() * 1000)
