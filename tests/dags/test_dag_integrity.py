from __future__ import annotations

import copy
import importlib
import json
import os
import subprocess
import sys
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import ParamValidationError

HEAVY = [
    "numpy",
    "pandas",
    "sklearn",
    "pyarrow",
    "deltalake",
    "mlflow",
    "lightgbm",
    "onnxruntime",
    "evidently",
]


@pytest.fixture
def dagbag() -> Any:
    """The DAGs of the folder, parsed as Airflow parses them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Airflow's own deprecations
        from airflow.dag_processing.dagbag import DagBag

        return DagBag(dag_folder=str(Path("dags").absolute()))


def test_every_dag_file_parses_without_an_error(dagbag: Any) -> None:
    """The DAG folder holds a retrain, a rollout and an experiment DAG a model, and no import error."""
    assert {} == dagbag.import_errors
    assert {"retrain_flights", "rollout_flights", "experiment_flights"} == set(dagbag.dags)


def test_every_dag_is_documented_and_runs_one_at_a_time(dagbag: Any) -> None:
    """Each DAG shows its triage notes in the UI, is tagged with its model and never overlaps itself."""
    for dag in dagbag.dags.values():
        assert "Triage" in dag.doc_md
        assert {"trimtab", "flights"} == set(dag.tags)
        assert 1 == dag.max_active_runs
        assert dag.schedule is None
        assert all(task.doc_md or task.task_id == "roll_out" for task in dag.tasks)


def test_a_rollout_has_a_task_for_each_step_and_a_way_back_from_all(dagbag: Any) -> None:
    """The steps stand in the spec's order, and every task before the end leads to the roll-back."""
    dag = dagbag.dags["rollout_flights"]
    order = ["load", "shadow", "step_5", "step_25", "step_50", "step_100", "promote"]

    assert all(later in dag.task_dict[task].downstream_task_ids for task, later in pairwise(order))
    assert set(order) == dag.task_dict["roll_back"].upstream_task_ids
    assert "one_failed" == dag.task_dict["roll_back"].trigger_rule


def test_an_experiment_gives_the_traffic_back_however_it_ends(dagbag: Any) -> None:
    """The way back runs after the split whether that broke or not, and before the report, which may wait."""
    dag = dagbag.dags["experiment_flights"]
    order = ["load", "hold", "give_back", "report"]

    assert set(order) == set(dag.task_dict)
    assert all({later} == dag.task_dict[task].downstream_task_ids for task, later in pairwise(order))
    assert "all_done" == dag.task_dict["give_back"].trigger_rule


def test_the_forms_refuse_what_the_receiver_would_never_send(dagbag: Any) -> None:
    """A run's conf is checked against the params' JSON schemas before anything runs."""
    good = {"model": "flights", "reason": "performance", "requested_at": "2013-04-01T00:00:00+00:00"}

    def asked(**conf: object) -> dict[str, Any]:
        params = copy.deepcopy(dagbag.dags["retrain_flights"].params)
        params.update(good | conf)
        resolved: dict[str, Any] = params.validate()
        return resolved

    assert "performance" == asked()["reason"]
    for wrong in ({"reason": "zzz"}, {"model": "other"}, {"alert": 5}):
        with pytest.raises(ParamValidationError, match=next(iter(wrong))):
            asked(**wrong)


def test_parsing_imports_nothing_heavy() -> None:
    """A DAG file is parsed without any of the packages that take seconds to import."""
    script = (
        "import sys, dags.retrain_dag, dags.rollout_dag, dags.experiment_dag, json;"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, check=True, text=True
    )

    assert [] == json.loads(done.stdout.splitlines()[-1])


def test_the_trigger_is_found_without_the_dag_folder(tmp_path: Path) -> None:
    """The triggerer, which has no DAG folder on its path, imports the trigger by its serialized name."""
    from dags.triggers import VerdictTrigger

    since = {"wall": "w", "clock": "c"}
    arguments: dict[str, Any] = {"model": "flights", "step": 0, "rollout": {}, "since": since, "until": None}
    path, kept = VerdictTrigger(**arguments).serialize()
    module, _, name = path.rpartition(".")
    script = f"import {module} as m; print(m.{name}.__name__)"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True, check=True, text=True, cwd=tmp_path, env=dict(os.environ),
    )  # fmt: skip

    assert arguments == kept
    assert "VerdictTrigger" == done.stdout.split()[-1]


def test_every_module_that_is_no_dag_file_is_ignored_by_the_processor() -> None:
    """`.airflowignore` names exactly the modules that make no DAG."""
    ignored = set(Path("dags/.airflowignore").read_text("utf-8").split())
    modules = {path.name for path in Path("dags").glob("*.py")}

    assert {"retrain_dag.py", "rollout_dag.py", "experiment_dag.py"} == modules - ignored
    assert ignored <= modules


def test_dags_survive_serialization(dagbag: Any) -> None:
    """What the scheduler stores can be read back with the same tasks."""
    serialized = importlib.import_module("airflow.serialization.serialized_objects").DagSerialization
    for dag in dagbag.dags.values():
        back = serialized.from_dict(serialized.to_dict(dag))
        assert set(dag.task_dict) == set(back.task_dict)


def test_no_module_of_the_dag_folder_hides_a_room() -> None:
    """Airflow puts the DAG folder first on the path, so a file named as a room would be imported for it."""
    rooms = {path.parent.name for path in Path().glob("*/__init__.py")}

    assert not rooms & {path.stem for path in Path("dags").glob("*.py")}
