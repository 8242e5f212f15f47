from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput, TaskDeferred

from dags import ending, notices, operators, steps
from dags.approval import StepApproval
from dags.triggers import VerdictTrigger
from monitors.results.store import Store
from rollout.verdict import Verdict
from spec import ModelSpec, Settings, Unavailable, load, loads

SINCE = {"wall": "2013-04-01T00:00:00+00:00", "clock": "2013-04-01T00:00:00+00:00"}
ROLLOUT = {"challenger": "2", "champion": "1", "slot": "green", "began": SINCE["clock"], "run": "run-7"}


def verdict(decision: str, *, harm: bool = False) -> Verdict:
    """Return what the judge says of the step at 25 %, with a gate that shows harm if there is any."""
    told = {"model": "flights", "challenger": "2", "champion": "1", "step": 0.25, "at": SINCE["wall"]}
    gates = [{"gate": "errors", "outcome": "rollback" if harm else "hold", "limit": 0.01}]
    return Verdict.model_validate(
        told | {"decision": decision, "reason": f"It is to {decision}.", "gates": gates}
    )


class Airflow:
    """What a trigger asks of its surroundings: the judge's next words, and whether a newer run is queued."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.says: list[Verdict | Exception] = []
        self.newer = [False]
        self.looks = 0
        monkeypatch.setattr(steps, "look", self._look)
        monkeypatch.setattr(ending, "newer_waits", self._newer)
        monkeypatch.setattr("dags.looks.LOOKS_PER_LEASE", 1e6)
        monkeypatch.setattr("dags.looks.FIRST_S", 0.0)

    def _look(self, *_: object) -> Verdict:
        self.looks += 1
        said = self.says.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    def _newer(self, model: str) -> bool:
        assert "flights" == model
        return self.newer.pop(0) if len(self.newer) > 1 else self.newer[0]


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    """Surroundings of a trigger."""
    return Airflow(monkeypatch)


def wait(step: int | None = 2, until: str | None = None) -> dict[str, Any]:
    """Return how the wait ends."""

    async def first() -> dict[str, Any]:
        trigger = VerdictTrigger(model="flights", step=step, rollout=ROLLOUT, since=SINCE, until=until)
        ended: dict[str, Any] = (await anext(trigger.run())).payload
        return ended

    return asyncio.run(asyncio.wait_for(first(), 10))


def in_an_hour() -> str:
    """Return a time by which a person may still answer."""
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


def test_a_step_waits_until_it_is_decided(airflow: Airflow) -> None:
    """Held steps and a Prometheus that is away go on; the decision ends the wait with the whole verdict."""
    airflow.says = [verdict("hold"), Unavailable("away"), verdict("promote")]

    ended = wait()

    assert 3 == airflow.looks
    assert ("promote", "It is to promote.") == (ended["decision"], ended["reason"])
    assert verdict("promote").model_dump(mode="json") == ended["verdict"]


def test_a_newer_rollout_ends_the_wait_before_another_look(airflow: Airflow) -> None:
    """A queued run of the model's rollout supersedes the one that holds the traffic."""
    airflow.says = [verdict("hold")]
    airflow.newer = [False, True]

    assert ending.superseded() == wait()
    assert 1 == airflow.looks


def test_while_a_person_is_asked_only_harm_ends_the_wait(airflow: Airflow) -> None:
    """Passing gates do not answer for the person; harm at the step before takes the question back."""
    airflow.says = [verdict("promote"), verdict("hold"), verdict("promote"), verdict("rollback", harm=True)]

    assert "rollback" == wait(until=in_an_hour())["decision"]
    assert 4 == airflow.looks


def test_while_a_person_is_asked_the_passed_step_has_no_deadline(airflow: Airflow) -> None:
    """It has passed: a gate that has no data for a moment after that does not answer for the person."""
    airflow.says = [verdict("rollback"), verdict("promote"), verdict("rollback", harm=True)]

    assert verdict("rollback", harm=True).summary() == wait(until=in_an_hour())["summary"]
    assert 3 == airflow.looks


def test_nobody_is_waited_for_beyond_the_deadline(airflow: Airflow) -> None:
    """Silence is no yes."""
    ended = wait(until=datetime.now(UTC).isoformat())

    assert ("rollback", 0) == (ended["decision"], airflow.looks)
    assert "nobody answered" in ended["reason"]


def take_back(run: str) -> None:
    """What `trimtab rollback` writes for a run that has not ended."""
    settings = Settings.from_env()
    told = {"outcome": ending.TAKEN_BACK, "run": run, "version": "2"}
    with Store(settings.results_url) as store:
        store.record_event("flights", "rollout", "taken back by ada", settings.clock.now(), told)


@pytest.mark.parametrize("step", [None, 2])
def test_a_rollout_that_is_taken_back_ends_its_wait(airflow: Airflow, step: int | None) -> None:
    """Before the first step, too, where there is no lease to lose; its ending names who did it."""
    take_back("run-7")

    assert ending.broken("taken back by ada") == wait(step=step, until=in_an_hour())
    assert 0 == airflow.looks


def test_a_run_does_not_end_for_another_that_was_taken_back(airflow: Airflow) -> None:
    """The same version may be rolled out again."""
    take_back("run-6")
    airflow.says = [verdict("promote")]

    assert "promote" == wait()["decision"]


def test_a_results_store_that_is_away_ends_no_wait(airflow: Airflow) -> None:
    """It is no database: the judge goes on, for whoever took a canary back has ended its lease."""
    Path(Settings.from_env().results_url.removeprefix("sqlite:///")).write_bytes(b"no database" * 200)
    airflow.says = [verdict("promote")]

    assert "promote" == wait()["decision"]


def test_before_the_first_step_nothing_is_judged(airflow: Airflow) -> None:
    """Without traffic there is no evidence; a newer rollout ends this wait, too."""
    airflow.newer = [False, False, True]

    assert ending.SUPERSEDED == wait(step=None, until=in_an_hour())["decision"]
    assert 0 == airflow.looks


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """The events that are written."""
    events: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(notices, "record", lambda *args, **more: events.append((args[3], more)))
    return events


@pytest.fixture
def question() -> StepApproval:
    """The question before 50 %."""
    return StepApproval(
        task_id="approve_step_50",
        subject="May it?",
        model="flights",
        before="50%",
        step=2,
        rollout=json.dumps(ROLLOUT),
        since=json.dumps(SINCE),
        patience=timedelta(hours=1),
    )


def answer(chosen: str) -> dict[str, Any]:
    """Return what Airflow hands on when a person has answered."""
    who = {"id": "7", "name": "ada"}
    return {
        "chosen_options": [chosen],
        "params_input": {},
        "responded_at": datetime.now(UTC),
        "responded_by_user": who,
    }


def test_a_question_waits_deferred(question: StepApproval, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task does not park, which would stop the judging: its trigger goes on, and renews the lease."""

    def parked(*_: object) -> None:
        raise TaskAwaitingInput(method_name="execute_complete")

    renewed: list[str] = []
    monkeypatch.setattr(steps, "renew", lambda spec, _: renewed.append(spec.model))
    monkeypatch.setattr(ApprovalOperator, "execute", parked)

    with pytest.raises(TaskDeferred) as deferred:
        question.execute({})
    assert ["flights"] == renewed

    trigger = deferred.value.trigger
    assert isinstance(trigger, VerdictTrigger)
    assert ("flights", 2, ROLLOUT, SINCE) == (trigger.model, trigger.step, trigger.rollout, trigger.since)
    assert trigger.until is not None
    assert timedelta(minutes=59) < datetime.fromisoformat(trigger.until) - datetime.now(UTC)
    assert operators.LONGEST_WAIT == deferred.value.timeout


def test_a_step_tells_since_when_before_it_waits(monkeypatch: pytest.MonkeyPatch, task: Any) -> None:
    """A person may mark a step as passed while it waits; the question behind it still judges by its begin."""
    monkeypatch.setattr(steps, "begin", lambda *_: SINCE)
    step = operators.StepOperator(task_id="step_25", model="flights", step=2, rollout=json.dumps(ROLLOUT))

    with pytest.raises(TaskDeferred) as deferred:
        step.execute({"ti": task})

    assert SINCE == task.pushed["since"]
    assert isinstance(deferred.value.trigger, VerdictTrigger)
    assert (SINCE, None) == (deferred.value.trigger.since, deferred.value.trigger.until)


def test_a_yes_is_kept_with_who_said_it(
    question: StepApproval, noted: list[tuple[str, dict[str, Any]]], task: Any
) -> None:
    """The next tasks and the auditor read the name."""
    said = question.execute_complete({"ti": task}, answer("Approve"))

    assert "ada before 50%" == said
    assert [
        ("ada said yes to 50% for version 2", {"outcome": "approved", "version": "2", "by": "ada"})
    ] == noted


def test_a_no_rolls_back(question: StepApproval, noted: list[tuple[str, dict[str, Any]]], task: Any) -> None:
    """The task fails at once, without another try, and leaves who said no for the roll-back."""
    with pytest.raises(AirflowFailException, match="ada said no to 50%"):
        question.execute_complete({"ti": task}, answer("Reject"))

    assert ending.broken("ada said no to 50%") == task.pushed[ending.KEY]
    assert [] == noted


def test_harm_while_asking_rolls_back(question: StepApproval, task: Any) -> None:
    """The trigger's verdict ends the question."""
    with pytest.raises(AirflowFailException, match="ROLLBACK"):
        question.execute_complete({"ti": task}, ending.judged(verdict("rollback")))

    assert "rollback" == task.pushed["verdict"]["decision"]


@pytest.fixture
def asking() -> ModelSpec:
    """Flights, where a person is asked before shadow and before 50 %."""
    text = Path("models/flights.yaml").read_text("utf-8")
    assert "approval" not in text
    spec = loads(text.replace("rollout:\n", "rollout:\n  approval: {before: [shadow, 50%]}\n", 1))
    assert load(Path("models/flights.yaml")).rollout.steps == spec.rollout.steps
    return spec


def test_a_question_stands_before_its_step_and_leads_to_the_roll_back(asking: ModelSpec) -> None:
    """The order of the tasks is the order of what happens, and a no at any of them is rolled back."""
    from dags.rollout_dag import build  # reads its surroundings when it is imported

    dag = build(asking)
    order = ["load", "approve_shadow", "shadow", "step_5", "step_25", "approve_step_50", "step_50"]
    order += ["step_100", "promote"]

    assert all(later in dag.task_dict[task].downstream_task_ids for task, later in pairwise(order))
    assert set(order) == dag.task_dict["roll_back"].upstream_task_ids
    first, second = dag.task_dict["approve_shadow"], dag.task_dict["approve_step_50"]
    assert isinstance(first, StepApproval)
    assert isinstance(second, StepApproval)
    assert (None, 2) == (first.step, second.step)
    assert "step_25" in second.since
    assert "step_25" in (second.body or "")
