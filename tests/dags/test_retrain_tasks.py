from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from alerts import history
from monitors.results.store import Store
from spec import DataError, Problem, Settings

# skops asks every loaded module for scipy's functions when it is imported, Airflow's retired ones too.
pytestmark = pytest.mark.filterwarnings("ignore::airflow.utils.deprecation_tools.DeprecatedImportWarning")

RUN = "alert-0123456789abcdef.2"
PARAMS = {"model": "flights", "reason": "performance", "episode": "0123456789abcdef", "alert": None}


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Run the function of a task of the retrain DAG as Airflow does, in a run by that name."""
    from dags import retrain_dag

    pushed: dict[str, Any] = {}
    instance = SimpleNamespace(xcom_push=pushed.__setitem__)
    context = {"run_id": RUN, "params": PARAMS, "ti": instance}
    monkeypatch.setattr(retrain_dag, "get_current_context", lambda: context)
    dag = vars(retrain_dag)["retrain_flights"]
    return lambda name: dag.task_dict[name].python_callable()


def events() -> list[Any]:
    """Return what was written of retrains."""
    with Store(Settings.from_env().results_url) as store:
        return list(store.events("flights", kinds=history.KINDS))


def test_the_start_names_its_run_and_episode(
    task: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lineage joins by is in the event: the run's id as Airflow has it, and the alert's episode."""
    monkeypatch.setattr(
        "retraining.prepare.prepare", lambda *_: SimpleNamespace(model_dump=lambda **_: {"rows": 9})
    )

    assert {"rows": 9} == task("prepare")

    (began,) = events()
    assert ("started", RUN) == (began.payload["outcome"], began.payload["run"])
    assert "0123456789abcdef" == began.payload["request"]["episode"]


def test_a_rejected_candidate_is_noted_once_and_kept(
    task: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends after `validate`; rejected again it is one loss still, and its card is written anew."""
    verdict = SimpleNamespace(accepted=False, reasons=("worse",))
    kept: list[Any] = []
    monkeypatch.setattr("retraining.validate.validate", lambda *_: verdict)
    monkeypatch.setattr("retraining.rejection.rejected", lambda *given: kept.append(given[2:]))

    assert [False, False] == [task("validate"), task("validate")]

    request = {name: value for name, value in PARAMS.items() if name != "model"}
    assert [(RUN, {"run": RUN} | request)] * 2 == kept
    assert 1 == history.rejected(events())


@pytest.mark.parametrize("stage", ["prepare", "tune", "train", "optimize", "validate"])
def test_a_stage_that_refuses_is_accounted_for(
    task: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """The task fails with the reasons, which are kept under the run and the stage."""

    def refuse(*_: object) -> None:
        raise DataError([Problem("history", "must hold labelled rows", "none")])

    kept: list[Any] = []
    monkeypatch.setattr(f"retraining.{stage}.{stage}", refuse)
    monkeypatch.setattr("retraining.rejection.refused", lambda *given: kept.append(given[2:5]))

    with pytest.raises(DataError, match="must hold labelled rows"):
        task(stage)

    assert [(RUN, stage, ["history: must hold labelled rows; found none"])] == kept
