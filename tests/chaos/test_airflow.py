"""The same deaths with the real judge: a rollout of Airflow's, whose triggerer looks at Prometheus."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from retraining.registry import Registry
from retraining.release import Release
from rollout.guard import INTERVAL_S
from spec import ModelSpec, read_secret
from trimtab.stack import prepare

pytestmark = [pytest.mark.chaos, pytest.mark.service, pytest.mark.timeout(600)]

LEASE_S = 20.0
LOOK_S = 2.0
MARGIN_S = 5.0
STEP_S = 90.0
MODEL = f"""
model: tides
task: regression
data: {{inference_log: tides/log, labels: tides/labels, id: id, time: at, target: {{name: height}}}}
features: {{depth: numeric}}
rollout:
  steps: [25%, 100%]
  gates: {{errors: 1%}}
  min_requests: 1000000
  deadline: {STEP_S:.0f}s
  lease: {LEASE_S:.0f}s
"""
AIRFLOW = ("airflow-db", "airflow-api", "airflow-scheduler", "airflow-dags", "airflow-triggerer")


@dataclass
class Rollouts:
    """A house with Airflow, whose champion is in slot blue."""

    house: Any
    onnx: Path
    number: int = 0

    @property
    def spec(self) -> ModelSpec:
        """The model."""
        return self.house.stack.specs["tides"]

    def release(self) -> Release:
        """Another release of the one model that there is."""
        self.number += 1
        times = pd.date_range("2024-01-01", periods=200, freq="h", tz="UTC")
        depth = pd.Series(range(200), dtype="float64")
        frame = pd.DataFrame({"at": times, "depth": depth, "height": depth, "prediction": depth})
        window = (times[0].to_pydatetime(), times[-1].to_pydatetime())
        return Release(f"chaos/{self.number}", self.onnx, frame, {"depth": 1.0}, {}, window)

    @contextmanager
    def canary(self) -> Iterator[tuple[Any, str, str]]:
        """Roll a new version out until it has its quarter and is judged; its users, version and run."""
        version = Registry(self.house.stack.settings).publish(self.spec, self.release())
        run = f"chaos-{version}"
        body = {"dag_run_id": run, "logical_date": None, "conf": {"version": version}}
        with self.house.users() as users:
            self._airflow("POST", "dagRuns", json=body)
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

    def ended(self, run: str, version: str) -> str:
        """Wait until Airflow has ended the run; return what became of the version."""
        ends = {"success", "failed"}
        self.wait(lambda: self._airflow("GET", f"dagRuns/{run}")["state"] in ends, 120, f"the end of {run}")
        known = {found.version: found for found in Registry(self.house.stack.settings).versions("tides")}
        return str(known[version].status)

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

    def _airflow(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        settings = self.house.stack.settings
        login = {"username": settings.airflow_user, "password": read_secret(settings.airflow_password_file)}
        with httpx.Client(base_url=settings.airflow_url, trust_env=False, timeout=30) as airflow:
            token = airflow.post("/auth/token", json=login).raise_for_status().json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            answer = airflow.request(method, f"/api/v2/dags/rollout_tides/{path}", headers=headers, **more)
            found: dict[str, Any] = answer.raise_for_status().json()
        return found


@pytest.fixture(scope="module")
def rollouts(
    tmp_path_factory: pytest.TempPathFactory, make_house: Callable[..., Any], onnx_file: Path
) -> Iterator[Rollouts]:
    """A stack with Airflow, MLflow and Prometheus, and a champion in slot blue."""
    home, models = (tmp_path_factory.mktemp(name) for name in ("home", "models"))
    (models / "tides.yaml").write_text(MODEL)
    stack = prepare(home, models, scrape_interval=timedelta(seconds=1), announce=lambda _: None)
    house = make_house(stack)
    names = [*house.parts("tides"), "mlflow", "prometheus", *AIRFLOW]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.environment().items():
            patch.setenv(name, value)
        try:
            stack.start(names, owned=True)
            stack.wait_ready(300, names=names)
            made = Rollouts(house, onnx_file)
            Registry(stack.settings).adopt(made.spec, made.release())
            url = f"{stack.settings.gateway_url}/v2/models/tides/ready"
            made.wait(lambda: httpx.get(url, trust_env=False).is_success, 120, "the champion")
            made.wait(lambda: made._airflow("GET", "dagRuns"), 120, "the DAG")
            yield made
        finally:
            for process in stack.members():
                process.send_signal(signal.SIGCONT)
            stack.stop()


def test_a_triggerer_that_dies_loses_the_canary(rollouts: Rollouts, told: Callable[..., None]) -> None:
    """Kept down, it renews nothing: all traffic is the champion's within the lease; its run then ends."""
    with rollouts.canary() as (users, version, run):
        killed = rollouts.house.kill_for_good("airflow-triggerer")
        last = rollouts.returned(users, version, LEASE_S + INTERVAL_S + MARGIN_S)
        told(users, last - killed)
        rollouts.house.revive("airflow-triggerer")
        assert rollouts.ended(run, version) == "rejected"

    assert users.failures == []
    assert last - killed < LEASE_S + INTERVAL_S + MARGIN_S


def test_a_triggerer_that_hangs_loses_the_canary(rollouts: Rollouts, told: Callable[..., None]) -> None:
    """When it goes on, it is refused and the version is rejected; the traffic stays."""
    with rollouts.canary() as (users, version, run):
        pid = rollouts.house.pid("airflow-triggerer")
        stopped = _family(pid, signal.SIGSTOP)
        last = rollouts.returned(users, version, LEASE_S + INTERVAL_S + MARGIN_S)
        told(users, last - stopped)
        resumed = _family(pid, signal.SIGCONT)
        assert rollouts.ended(run, version) == "rejected"
        assert version not in users.versions_since(resumed)

    assert users.failures == []


def test_a_judge_without_prometheus_loses_the_canary(rollouts: Rollouts, told: Callable[..., None]) -> None:
    """It sees nothing, so it renews nothing, however young the step is."""
    with rollouts.canary() as (users, version, run):
        killed = rollouts.house.kill_for_good("prometheus")
        last = rollouts.returned(users, version, LEASE_S + LOOK_S + INTERVAL_S + MARGIN_S)
        told(users, last - killed)
        rollouts.house.revive("prometheus")
        assert rollouts.ended(run, version) == "rejected"

    assert users.failures == []


def test_what_is_decided_without_a_scheduler_loses_the_canary(
    rollouts: Rollouts, told: Callable[..., None]
) -> None:
    """The judge goes on alone and renews while it holds; nobody acts on its decision, and the lease ends."""
    with rollouts.canary() as (users, version, run):
        began = datetime.now(UTC)
        killed = rollouts.house.kill_for_good("airflow-scheduler")
        last = rollouts.returned(users, version, STEP_S + LEASE_S + INTERVAL_S + 2 * MARGIN_S)
        told(users, last - killed)
        assert datetime.now(UTC) - began > timedelta(seconds=LEASE_S + INTERVAL_S + MARGIN_S)
        rollouts.house.revive("airflow-scheduler")
        assert rollouts.ended(run, version) == "rejected"

    assert users.failures == []


def test_a_challenger_that_stays_down_is_rolled_back(rollouts: Rollouts, told: Callable[..., None]) -> None:
    """The champion answers for it, the gateway counts what it hid, and the judge sees the harm."""
    with rollouts.canary() as (users, version, run):
        users.wait_for(500, 60)
        killed = rollouts.house.kill_for_good("tides-green")
        try:
            rollouts.returned(users, version, STEP_S)
            told(users, time.time() - killed)
            assert rollouts.ended(run, version) == "rejected"
        finally:
            rollouts.house.revive("tides-green")

    assert len(users.failures) <= users.clients


def test_a_challenger_that_hangs_is_rolled_back(rollouts: Rollouts, told: Callable[..., None]) -> None:
    """Its requests are given up after ten seconds, and these errors end it; the champion's are answered."""
    with rollouts.canary() as (users, version, run):
        users.wait_for(500, 60)
        pid = rollouts.house.pid("tides-green")
        stopped = _family(pid, signal.SIGSTOP)
        try:
            rollouts.returned(users, version, STEP_S)
            told(users, time.time() - stopped)
            assert rollouts.ended(run, version) == "rejected"
        finally:
            _family(pid, signal.SIGCONT)

    assert all("504" in one.failure for one in users.failures), users.failures[0]


def _family(pid: int, number: int) -> float:
    """Signal a process and all that it has started."""
    import psutil

    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        os.kill(process.pid, number)
    return time.time()
