"""The MLflow server: SQLite, artifacts through the server, one worker, a password where it can have one."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from trimtab.stack.databases import write_ahead
from trimtab.stack.ports import HOST
from trimtab.stack.processes import Process
from trimtab.stack.secrets import secret, write_private

USER = "trimtab"


def can_ask_for_a_password() -> bool:
    """Whether the packages of MLflow's basic-auth app are installed (``mlflow[auth]``)."""
    return find_spec("flask_wtf") is not None


def prepare(home: Path) -> None:
    """Create the folder, the database file and the configuration of the users."""
    folder = home / "mlflow"
    folder.mkdir(parents=True, exist_ok=True)
    write_ahead(folder / "mlflow.db")
    users = f"sqlite:///{folder / 'users.db'}"
    lines = ["[mlflow]", "default_permission = READ", f"database_uri = {users}", f"admin_username = {USER}"]
    lines += ["authorization_function = mlflow.server.auth:authenticate_request_basic_auth"]
    lines += ["auth_cache_ttl_seconds = 300"]  # a password hash a request is slow
    write_private(folder / "users.ini", "\n".join(lines) + "\n")


def client_environment(home: Path, port: int) -> dict[str, str]:
    """Return what an MLflow client needs to reach the server."""
    env = {"TRIMTAB_MLFLOW_URI": f"http://{HOST}:{port}"}
    if can_ask_for_a_password():
        env |= {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": secret(home, "mlflow")}
    return env


def process(home: Path, port: int) -> Process:
    """Return the server's process."""
    folder = home / "mlflow"
    argv = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    argv += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--serve-artifacts"]
    argv += ["--artifacts-destination", str(folder / "artifacts")]
    env = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    if can_ask_for_a_password():
        argv += ["--app-name", "basic-auth"]
        env |= {
            "MLFLOW_AUTH_CONFIG_PATH": str(folder / "users.ini"),
            "MLFLOW_AUTH_ADMIN_PASSWORD": secret(home, "mlflow"),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secret(home, "mlflow-session"),
        }
    return Process("mlflow", tuple(argv), env, f"http://{HOST}:{port}/health", sweep=True)
