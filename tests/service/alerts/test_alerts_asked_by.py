"""What a person asks for on the command line arrives at a real Airflow."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.service, pytest.mark.timeout(300)]

MODELS, PAUSED = ["flights", "parked"], ["parked"]
FLIGHTS = Path(__file__).parents[3] / "models" / "flights.yaml"


def trimtab(airflow: Any, home: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run a command for the models `flights` and `parked`, with an Airflow of its own."""
    models = home / "models"
    models.mkdir(exist_ok=True)
    for name in MODELS:
        text = FLIGHTS.read_text("utf-8").replace("model: flights", f"model: {name}", 1)
        (models / f"{name}.yaml").write_text(text, "utf-8")
    own = {"TRIMTAB_AIRFLOW_URL": airflow.url, "TRIMTAB_AIRFLOW_PASSWORD_FILE": str(airflow.password_file)}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRIMTAB")}
    command = (sys.executable, "-m", "trimtab", *argv, "--home", str(home), "--models", str(models))
    return subprocess.run(command, capture_output=True, text=True, check=False, env=kept | own)


def test_a_rollout_knows_who_asked_for_it(airflow: Any, tmp_path: Path) -> None:
    """`--as` is in the run's configuration, whence the lineage has it; else whose process it was."""
    named = trimtab(airflow, tmp_path, "rollout", "flights", "--as", "ada")
    plain = trimtab(airflow, tmp_path, "rollout", "flights", "7")

    assert (0, 0) == (named.returncode, plain.returncode), named.stderr + plain.stderr
    first, second = airflow.runs("rollout_flights")
    assert {"asked_by": "ada", "version": None} == {"version": None} | first["conf"]
    assert {"asked_by": getpass.getuser(), "version": "7"} == second["conf"]
    url = f"{airflow.url}/dags/rollout_flights/runs/{first['dag_run_id']}"
    assert f"{first['dag_run_id']}\n{url}\n" == named.stdout


def test_a_rollout_that_airflow_would_not_start_is_refused(airflow: Any, tmp_path: Path) -> None:
    """A paused DAG keeps its runs waiting for ever: the command says so, and starts none."""
    done = trimtab(airflow, tmp_path, "rollout", "parked", "--as", "ada")

    assert done.returncode != 0
    assert "rollout_parked is paused" in done.stderr
    assert [] == airflow.runs("rollout_parked")
