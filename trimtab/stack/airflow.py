"""Airflow on one machine: SQLite, a LocalExecutor of four, one process a component.

Told here and nowhere else why each setting differs from Airflow's default.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from configparser import RawConfigParser
from importlib.metadata import version
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

from spec import Problem, SettingsError
from trimtab.stack.databases import write_ahead
from trimtab.stack.ports import HOST
from trimtab.stack.processes import Process
from trimtab.stack.secrets import secret, write_private

USER = "trimtab"
ADMIN = "admin"
_PARALLELISM = 4


def prepare(home: Path, port: int) -> None:
    """Write ``airflow.cfg`` and the password file; create the database file in WAL mode."""
    folder = home / "airflow"
    folder.mkdir(parents=True, exist_ok=True)
    passwords = {USER: secret(home, "airflow"), ADMIN: secret(home, "airflow-admin")}
    write_private(home / "secrets" / "airflow-passwords.json", json.dumps(passwords))
    write_private(file(home), render(settings(home, port)))
    write_ahead(folder / "airflow.db")


def file(home: Path) -> Path:
    """Return where Airflow's configuration is."""
    return home / "airflow" / "airflow.cfg"


def settings(home: Path, port: int) -> dict[str, dict[str, object]]:
    """Return Airflow's settings, by section."""
    folder, url = home / "airflow", f"http://{HOST}:{port}"
    return {
        "core": {
            "executor": "LocalExecutor",
            "parallelism": _PARALLELISM,  # the default of 32 starts 32 workers
            "dags_folder": dags_folder(),
            "load_examples": False,
            "dagbag_import_timeout": 120,  # a busy machine
            "dags_are_paused_at_creation": False,
            "execution_api_server_url": f"{url}/execution/",
            "fernet_key": secret(home, "airflow-fernet"),
            "simple_auth_manager_users": f"{USER}:user,{ADMIN}:admin",
            "simple_auth_manager_passwords_file": home / "secrets" / "airflow-passwords.json",
        },
        "database": {"sql_alchemy_conn": f"sqlite:///{folder / 'airflow.db'}"},
        "api": {
            "host": HOST,
            "port": port,
            "base_url": url,
            "workers": 1,
            "secret_key": secret(home, "airflow-jwt"),
            "expose_config": False,
        },
        "api_auth": {"jwt_secret": secret(home, "airflow-jwt")},
        "logging": {
            "logging_level": "WARNING",  # tasks and servers write less
            "base_log_folder": home / "logs" / "airflow",
        },
        "dag_processor": {
            "refresh_interval": 2,  # a new model's DAG is seen in seconds
            "min_file_process_interval": 60,
            "parsing_processes": 1,
            "dag_file_processor_timeout": 120,  # as above
        },
        "workers": {
            "execution_api_timeout": 60,  # a busy server; a task that gives up fails untold
            "min_heartbeat_interval": 2,  # the end of a worker is noticed so late
        },
        "scheduler": {
            "scheduler_heartbeat_sec": 1,
            "scheduler_idle_sleep_time": 0.2,  # a task waits this long for its turn
            "task_instance_heartbeat_sec": 10,
            "catchup_by_default": False,
        },
        "triggerer": {"capacity": 100},
        "usage_data_collection": {"enabled": False},
    }


def processes(home: Path, port: int, env: Mapping[str, str]) -> list[Process]:
    """Return the migration and the four components; `env` is what tasks see."""
    base = {"AIRFLOW_HOME": str(home / "airflow"), "_AIRFLOW_SKIP_DB_TESTS": "0"} | dict(env)
    migrated = home / "airflow" / f"migrated-{version('apache-airflow')}"
    url = f"http://{HOST}:{port}/api/v2/monitor/health"
    components = {
        "airflow-api": ("metadatabase", "api-server", "--workers", "1"),
        "airflow-scheduler": ("scheduler", "scheduler", "--skip-serve-logs"),
        "airflow-dags": ("dag_processor", "dag-processor"),
        "airflow-triggerer": ("triggerer", "triggerer", "--skip-serve-logs"),
    }
    found = [
        Process(name, (sys.executable, "-m", "airflow", *argv), base, url, healthy, after=(migrated,))
        for name, (healthy, *argv) in components.items()
    ]
    migrate, done = shlex.join([sys.executable, "-m", "airflow", "db", "migrate"]), shlex.quote(str(migrated))
    script = f"[ -e {done} ] || {{ {migrate} && touch {done}; }}"
    return [Process("airflow-db", ("/bin/sh", "-c", script), base, once=True), *found]


def render(settings: Mapping[str, Mapping[str, object]]) -> str:
    """Return the settings as the text of ``airflow.cfg``."""
    config = RawConfigParser()
    for section, options in settings.items():
        config[section] = {name: str(value).replace("%", "%%") for name, value in options.items()}
    text = StringIO()
    config.write(text)
    return text.getvalue()


def dags_folder() -> Path:
    """Return the folder of the installed DAGs."""
    found = find_spec("dags")
    if found is None or found.origin is None:
        raise SettingsError([Problem("dags", "must be installed with Trimtab", "no such package")])
    return Path(found.origin).parent
