"""A real Airflow to talk to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

DAGS = """
from airflow.sdk import DAG, Param

for _model in {models}:
    _told = {{"schedule": None, "is_paused_upon_creation": _model in {paused}}}
    _told["params"] = {{"version": Param("0", enum=["0"])}} if _model == "strict" else {{}}
    for _kind in ("retrain", "rollout"):
        with DAG(f"{{_kind}}_{{_model}}", **_told) as _dag:
            globals()[_dag.dag_id] = _dag
"""
# One process for both: importing Airflow takes seconds.
PREPARE = """
import sys
from airflow.__main__ import main

for command in (["db", "migrate"], ["dags", "reserialize"]):
    sys.argv = ["airflow", *command]
    main()
"""


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Find a port that nobody listens on."""

    def find() -> int:
        with socket.create_server(("127.0.0.1", 0)) as server:
            return int(server.getsockname()[1])

    return find


@pytest.fixture(scope="session")
def wait_for() -> Callable[..., None]:
    """Wait until a server answers 2xx; fail at once if its process has ended."""

    def wait(url: str, process: subprocess.Popen[bytes] | None = None, seconds: float = 180) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert process is None or process.poll() is None, f"{url}: the server ended"
            with suppress(httpx.TransportError):
                if httpx.get(url, timeout=5).is_success:
                    return
            time.sleep(0.1)  # a starting server has nothing to wait for
        pytest.fail(f"{url} did not answer within {seconds} s")

    return wait


@dataclass
class RealAirflow:
    """An Airflow API server with its own database; runs stay queued, for nothing executes them."""

    url: str
    password_file: Path

    def call(self, method: str, path: str, **content: Any) -> Any:
        """Call the API as the service user."""
        who = {"username": "trimtab", "password": self.password_file.read_text("utf-8")}
        token = httpx.post(f"{self.url}/auth/token", json=who).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx.request(
            method, f"{self.url}/api/v2/dags/{path}", headers=headers, timeout=30, **content
        )
        answer.raise_for_status()
        return answer.json()

    def runs(self, dag: str) -> list[dict[str, Any]]:
        """Return the runs of a DAG, oldest first."""
        found: list[dict[str, Any]] = self.call("GET", f"{dag}/dagRuns")["dag_runs"]
        return found

    def finish(self, dag: str, run_id: str) -> None:
        """Let a run have succeeded."""
        self.call("PATCH", f"{dag}/dagRuns/{run_id}", json={"state": "success"})

    def start(self, dag: str, run_id: str, conf: dict[str, Any] | None = None) -> None:
        """Start a run as a person would."""
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf or {}}
        self.call("POST", f"{dag}/dagRuns", json=body)


@pytest.fixture(scope="module")
def airflow(
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
    free_port: Callable[[], int],
    wait_for: Callable[..., None],
) -> Iterator[RealAirflow]:
    """Start a real Airflow API server on SQLite, with the two DAGs of each of the module's MODELS."""
    home = tmp_path_factory.mktemp("airflow")
    (home / "dags").mkdir()
    dags = DAGS.format(models=request.module.MODELS, paused=request.module.PAUSED)
    (home / "dags" / "both.py").write_text(dags, "utf-8")
    (home / "password").write_text("secret", "utf-8")
    (home / "passwords.json").write_text(json.dumps({"trimtab": "secret"}), "utf-8")
    port = free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")} | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "trimtab:user",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__API_AUTH__JWT_SECRET": "s" * 64,
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    }
    serve = ["api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with (home / "log").open("wb") as log:
        subprocess.run([sys.executable, "-c", PREPARE], env=env, stdout=log, stderr=log, check=True)
        command = [sys.executable, "-m", "airflow", *serve]
        server = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)
        try:
            wait_for(f"http://127.0.0.1:{port}/api/v2/monitor/health", server)
            yield RealAirflow(f"http://127.0.0.1:{port}", home / "password")
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
