"""A house with Airflow: versions are rolled out by the real DAG, whose judge looks at a real Prometheus."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from retraining.registry import Registry
from retraining.release import Release
from spec import ModelSpec, Settings, read_secret
from trimtab.stack import prepare

AIRFLOW = ("airflow-db", "airflow-api", "airflow-scheduler", "airflow-dags", "airflow-triggerer")


@dataclass
class Rollouts:
    """A house with Airflow, whose champion is in slot blue."""

    house: Any
    make_release: Callable[[int], Release]
    number: int = 0

    @property
    def spec(self) -> ModelSpec:
        """The model."""
        found: ModelSpec = self.house.stack.specs["tides"]
        return found

    @property
    def settings(self) -> Settings:
        """Where everything is."""
        found: Settings = self.house.stack.settings
        return found

    @property
    def registry(self) -> Registry:
        """The versions."""
        return Registry(self.settings)

    def release(self) -> Release:
        """The next release."""
        self.number += 1
        return self.make_release(self.number)

    def begin(self) -> tuple[str, str]:
        """Register the next release and have it rolled out; return its version and run."""
        version = self.registry.publish(self.spec, self.release())
        run = f"chaos-{version}"
        body = {"dag_run_id": run, "logical_date": None, "conf": {"version": version}}
        self.airflow("POST", "dagRuns", json=body)
        return version, run

    @contextmanager
    def canary(self) -> Iterator[tuple[Any, str, str]]:
        """Roll a new version out until it has its quarter and is judged; its users, version and run."""
        with self.house.users() as users:
            version, run = self.begin()
            self.wait(lambda: version in users.versions_since(0), 90, "the canary")
            begun = self.house.split().lease_until
            self.wait(lambda: self._renewed(begun), 60, "the judge's first look")
            assert users.failures == []
            yield users, version, run

    def returned(self, users: Any, version: str, within: float) -> float:
        """Wait until the champion has all traffic; return when the challenger answered last."""
        self.wait(lambda: self.house.split().settled, within, "the return to the champion")
        settled = time.time()
        users.wait_for(50)
        assert version not in users.versions_since(settled)
        return float(users.last_of(version))

    def ended(self, run: str, version: str, within: float = 120) -> str:
        """Wait until Airflow has ended the run; return what became of the version."""
        ends = {"success", "failed"}
        self.wait(lambda: self.airflow("GET", f"dagRuns/{run}")["state"] in ends, within, f"the end of {run}")
        known = {found.version: found for found in self.registry.versions("tides")}
        return known[version].status

    @staticmethod
    def wait(condition: Callable[[], object], seconds: float, what: str) -> None:
        """Wait for something that another process does."""
        deadline, pause = time.monotonic() + seconds, threading.Event()
        while not condition():
            assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
            pause.wait(0.1)

    def _renewed(self, begun: datetime) -> bool:
        until = self.house.split().lease_until
        return until is not None and until > begun

    def airflow(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        """Ask Airflow's API about the model's rollouts."""
        login = {
            "username": self.settings.airflow_user,
            "password": read_secret(self.settings.airflow_password_file),
        }
        with httpx.Client(base_url=self.settings.airflow_url, trust_env=False, timeout=30) as airflow:
            token = airflow.post("/auth/token", json=login).raise_for_status().json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            answer = airflow.request(method, f"/api/v2/dags/rollout_tides/{path}", headers=headers, **more)
            found: dict[str, Any] = answer.raise_for_status().json()
        return found


MakeRollouts = Callable[[str, Callable[[int], Release]], AbstractContextManager[Rollouts]]


@pytest.fixture(scope="module")
def rolling_out(tmp_path_factory: pytest.TempPathFactory, make_house: Callable[..., Any]) -> MakeRollouts:
    """Run a stack with Airflow, MLflow and Prometheus for a model's YAML and its releases."""
    home, models = (tmp_path_factory.mktemp(name) for name in ("home", "models"))
    return partial(_rolling_out, home, models, make_house)


@contextmanager
def _rolling_out(
    home: Path,
    models: Path,
    make_house: Callable[..., Any],
    yaml: str,
    make_release: Callable[[int], Release],
) -> Iterator[Rollouts]:
    """Yield a stack whose release 1 is the champion, in slot blue."""
    (models / "tides.yaml").write_text(yaml)
    stack = prepare(home, models, scrape_interval=timedelta(seconds=1), announce=lambda _: None)
    house = make_house(stack)
    names = [*house.parts("tides"), "mlflow", "prometheus", "slack", *AIRFLOW]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.environment().items():
            patch.setenv(name, value)
        try:
            stack.start(names, owned=True)
            stack.wait_ready(300, names=names)
            made = Rollouts(house, make_release)
            made.registry.adopt(made.spec, made.release())
            url = f"{stack.settings.gateway_url}/v2/models/tides/ready"
            made.wait(lambda: httpx.get(url, trust_env=False).is_success, 120, "the champion")
            made.wait(lambda: made.airflow("GET", "dagRuns"), 120, "the DAG")
            yield made
        finally:
            for process in stack.members():
                process.send_signal(signal.SIGCONT)
            stack.stop()
