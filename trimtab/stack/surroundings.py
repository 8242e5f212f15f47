"""The environment variables of a stack's processes and of its clients."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from spec import SLOTS
from trimtab.stack import airflow, mlflow
from trimtab.stack.layout import Layout
from trimtab.stack.ports import ENVOYS, HOST, PAYLOADS
from trimtab.stack.secrets import secret

LIMITS = {
    "MALLOC_ARENA_MAX": "2",  # threads that allocate keep their memory otherwise
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "",  # compiling everything at each start costs seconds
    "PYTHONUNBUFFERED": "1",  # a log that lags explains nothing
    "NO_PROXY": f"{HOST},localhost",
    "no_proxy": f"{HOST},localhost",
}


def environment(home: Path, layout: Layout) -> dict[str, str]:
    """Return what `Settings.from_env` and an MLflow client read, for the stack in `home`."""
    ports, secrets = layout.ports, home / "secrets"
    env = {
        "TRIMTAB_HOME": str(home),
        "TRIMTAB_MODELS": layout.models,
        "TRIMTAB_PROMETHEUS_URL": url(ports["prometheus"]),
        "TRIMTAB_AIRFLOW_URL": url(ports["airflow"]),
        "TRIMTAB_AIRFLOW_USER": airflow.USER,
        "TRIMTAB_AIRFLOW_PASSWORD_FILE": str(secrets / "airflow"),
        "TRIMTAB_GATEWAY_URL": url(ports["gateway"]),
        "TRIMTAB_ENVOY_ADMIN_URL": ",".join(url(ports[f"{name}-admin"]) for name in ENVOYS),
        "TRIMTAB_SERVING_TOKEN_FILE": str(secrets / "serving"),
        "TRIMTAB_RECEIVER_TOKEN_FILE": str(secrets / "receiver"),
        "TRIMTAB_PAYLOAD_TOKEN_FILE": str(secrets / "payload"),
        "TRIMTAB_SLOTS": json.dumps(slots(ports)),
    }
    if layout.replay:
        env["TRIMTAB_CLOCK"] = str(home / "clock")
    return env | mlflow.client_environment(home, ports["mlflow"])


def slots(ports: dict[str, int]) -> dict[str, dict[str, str]]:
    """Return ``{model: {slot: url}}`` from the ports named ``<model>-<slot>``."""
    found: dict[str, dict[str, str]] = {}
    for name, port in ports.items():
        model, _, slot = name.rpartition("-")
        if slot in SLOTS:
            found.setdefault(model, {})[slot] = url(port)
    return found


def payloads(ports: Mapping[str, int]) -> dict[str, str]:
    """Return ``{model: url}`` of the payload receivers, from the ports named ``<model>-payloads``."""
    behind = f"-{PAYLOADS}"
    return {name.removesuffix(behind): url(port) for name, port in ports.items() if name.endswith(behind)}


def slack_url(home: Path, port: int) -> str:
    """Webhook URL of the stand-in for Slack; its last part is the secret."""
    return f"{url(port)}/services/{secret(home, 'slack')}"


def slack_connection(home: Path, port: int) -> str:
    """Airflow connection (JSON) of the stand-in for Slack."""
    base, _, token = slack_url(home, port).rpartition("/")
    return json.dumps({"conn_type": "slackwebhook", "host": base, "password": token})


def url(port: int) -> str:
    """Return the base URL of a server on this machine."""
    return f"http://{HOST}:{port}"
