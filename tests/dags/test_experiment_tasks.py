"""An experiment from its begin to its report, on a router in memory; and who makes room for whom."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

import rollout.slots
from dags import exclusion, experiment, steps
from dags.experiment_waiting import ROOM, ExperimentTrigger, HoldOperator
from rollout.experiment.report import Report
from rollout.routers.memory import MemoryRouter
from rollout.split import Split
from spec import ModelSpec, Refused, Settings, Unavailable, load
from spec.experiment import Experiment

SPEC: ModelSpec = load(Path("models/flights.yaml"))
TERMS = Experiment().but(share=0.25, early=True)
ENDLESS = Report(
    model="flights",
    challenger="7",
    champion="6",
    terms=TERMS,
    began=datetime(2013, 4, 1, tzinfo=UTC),
    at=datetime(2013, 4, 2, tzinfo=UTC),
    alpha=0.05,
    requests_per_user=1,
    comparisons=(),
    limits=(),
)


class Registry:
    """What the tasks ask of `retraining.registry.Registry`, without MLflow."""

    files: dict[str, list[Path]]
    tags: dict[str, str]

    def __init__(self, settings: Settings) -> None:
        del settings

    def version(self, model: str, alias: str) -> str | None:
        """As the registry's."""
        del model
        return {"champion": "6", "challenger": "7"}.get(alias)

    def attach(self, model: str, version: str, files: tuple[Path, ...], under: str) -> None:
        """As the registry's."""
        del model
        self.files[f"{version}/{under}"] = list(files)

    def tag(self, model: str, version: str, key: str, value: str) -> None:
        """As the registry's."""
        del model
        self.tags[f"{version}/{key}"] = value


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> type[Registry]:
    """Version 6 is champion, 7 the challenger."""
    monkeypatch.setattr(Registry, "files", {}, raising=False)
    monkeypatch.setattr(Registry, "tags", {}, raising=False)
    monkeypatch.setattr("retraining.registry.Registry", Registry)
    return Registry


@pytest.fixture
def router(monkeypatch: pytest.MonkeyPatch) -> MemoryRouter:
    """Traffic in memory, and slots that load whatever they are told to."""
    memory = MemoryRouter(["flights"])
    monkeypatch.setattr(steps, "_router", lambda _: memory)
    monkeypatch.setattr(experiment, "_router", lambda _: memory)
    monkeypatch.setattr(rollout.slots, "load", lambda *_: None)
    monkeypatch.setattr(rollout.slots, "loaded", lambda *_: "7")
    return memory


class Empty(BaseHTTPRequestHandler):
    """A Prometheus that answers and has scraped nothing yet."""

    def do_GET(self) -> None:
        """Answer any query with no series."""
        kind = "matrix" if "query_range" in self.path else "vector"
        text = json.dumps({"status": "success", "data": {"resultType": kind, "result": []}}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_GET  # noqa: N815 - as http.server calls it

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as above
        """Say nothing."""


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """A home, and a Prometheus that knows nothing."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        yield Settings.from_env({"TRIMTAB_HOME": str(tmp_path), "TRIMTAB_PROMETHEUS_URL": url})
        server.shutdown()
        thread.join()


@pytest.fixture
def found(registry: type[Registry], router: MemoryRouter, settings: Settings) -> dict[str, Any]:
    """What `load` hands to the next tasks, as Airflow keeps it."""
    del registry, router
    plain: dict[str, Any] = json.loads(json.dumps(experiment.load(SPEC, settings, None, TERMS)))
    return plain


def test_it_holds_the_split_looks_and_gives_the_traffic_back(
    found: dict[str, Any], registry: type[Registry], router: MemoryRouter, settings: Settings
) -> None:
    """The split is set under a lease that each look renews; at its end nothing is left but the report."""
    since = experiment.begin(SPEC, settings, found)
    held = router.read("flights")
    seen = experiment.look(SPEC, settings, found, since)
    renewed = router.read("flights")
    experiment.give_back(SPEC, settings)
    told = experiment.finish(SPEC, settings, found, "Its time is over: 2w.")

    assert {"blue": 75, "green": 25} == held.weights
    assert "green" == held.mirror
    assert held.lease_until is not None
    assert renewed.lease_until is not None
    assert held.lease_until < renewed.lease_until
    assert ("7", "6", "") == (seen.challenger, seen.champion, seen.end)
    assert Split(champion="blue") == router.read("flights")
    (place,) = registry.files
    assert place.startswith("7/experiments/")
    assert ["report.json", "report.md", "report.html"] == [file.name for file in registry.files[place]]
    assert "Its time is over: 2w." in registry.files[place][1].read_text("utf-8")
    assert {"7/experiment": told} == registry.tags


def test_it_begins_again_where_it_stopped(
    found: dict[str, Any], router: MemoryRouter, settings: Settings
) -> None:
    """A task that is tried again finds its split and goes on under its lease."""
    experiment.begin(SPEC, settings, found)
    held = router.read("flights")
    experiment.begin(SPEC, settings, found)

    assert held.same_routes(router.read("flights"))


def test_traffic_of_a_rollout_is_not_touched(
    registry: type[Registry], router: MemoryRouter, settings: Settings
) -> None:
    """Neither loading nor setting the split takes anything from a canary that is under way."""
    del registry
    found = experiment.load(SPEC, settings, "7", TERMS)
    canary = Split(weights={"blue": 95, "green": 5}, lease_until=datetime.now(UTC) + timedelta(minutes=1))
    router.apply("flights", canary)

    with pytest.raises(Refused, match="is not idle"):
        experiment.load(SPEC, settings, "7", TERMS)
    with pytest.raises(Refused, match="is under way"):
        experiment.begin(SPEC, settings, found)
    assert canary == router.read("flights")


def test_a_rollout_does_not_begin_on_the_traffic_of_an_experiment(
    found: dict[str, Any], settings: Settings
) -> None:
    """Whatever Airflow says, the split itself excludes: the other way round as well."""
    experiment.begin(SPEC, settings, found)

    with pytest.raises(Refused, match="is not idle"):
        steps.load_challenger(SPEC, settings, "7")


def test_lost_traffic_ends_it_with_what_was_seen_before(
    found: dict[str, Any], router: MemoryRouter, settings: Settings
) -> None:
    """After the guard has returned the traffic a look is refused, and leaves the report of the one before."""
    since = experiment.begin(SPEC, settings, found)
    before = experiment.look(SPEC, settings, found, since)
    router.apply("flights", Split())

    with pytest.raises(Refused, match="lease"):
        experiment.look(SPEC, settings, found, since)
    assert before == experiment.newest(settings, "flights")


def test_a_blind_look_neither_renews_nor_keeps(
    found: dict[str, Any], router: MemoryRouter, settings: Settings
) -> None:
    """A minute after its begin nothing is known of the live requests: the lease runs on towards its end."""
    experiment.begin(SPEC, settings, found)
    held = router.read("flights")
    since = {"wall": (datetime.now(UTC) - timedelta(minutes=2)).isoformat(), "clock": found["began"]}

    experiment.look(SPEC, settings, found, since)

    assert held == router.read("flights")
    assert experiment.newest(settings, "flights") is None


def test_what_ended_before_a_look_has_no_report(
    found: dict[str, Any], registry: type[Registry], settings: Settings
) -> None:
    """Nothing seen is said in a sentence, and nothing is kept with the version."""
    assert "nothing was seen" in experiment.finish(SPEC, settings, found, "The lease was lost.")
    assert {} == registry.files


def test_the_newest_report_is_that_of_the_last_begin(
    found: dict[str, Any], settings: Settings, router: MemoryRouter
) -> None:
    """Reports are kept by experiment, so an older one is not mistaken for the newest."""
    since = experiment.begin(SPEC, settings, found)
    experiment.look(SPEC, settings, found, since)
    older = found | {"began": "2013-01-01T00:00:00+00:00", "challenger": "5"}
    experiment.look(SPEC, settings, older, since)

    newest = experiment.newest(settings, "flights")
    assert newest is not None
    assert "7" == newest.challenger
    del router


class Airflow:
    """What the trigger asks of its surroundings: what looks find, and whether a rollout waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.finds: list[str | Exception] = []
        self.rollout = [False]
        self.looks = 0
        monkeypatch.setattr(experiment, "look", self._look)
        monkeypatch.setattr(exclusion, "rollout_wants", self._wants)
        monkeypatch.setattr("dags.looks.LOOKS_PER_LEASE", 1e6)
        monkeypatch.setattr("dags.looks.FIRST_S", 0.0)

    def _look(self, *_: object) -> Report:
        self.looks += 1
        found = self.finds.pop(0)
        if isinstance(found, Exception):
            raise found
        return ENDLESS.model_copy(update={"end": found})

    def _wants(self, model: str) -> bool:
        assert "flights" == model
        return self.rollout.pop(0) if len(self.rollout) > 1 else self.rollout[0]


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    """Surroundings of a trigger."""
    return Airflow(monkeypatch)


def wait() -> str:
    """Return how the wait ends."""

    async def first() -> str:
        trigger = ExperimentTrigger(model="flights", found={}, since={})
        ended: str = (await anext(trigger.run())).payload
        return ended

    return asyncio.run(asyncio.wait_for(first(), 10))


def test_it_waits_until_something_ends_it(airflow: Airflow) -> None:
    """A look without an end and a Prometheus that is away go on; the first end is the answer."""
    airflow.finds = ["", Unavailable("away"), "Harm is shown: errors."]

    assert "Harm is shown: errors." == wait()
    assert 3 == airflow.looks


def test_a_rollout_ends_the_wait_before_another_look(airflow: Airflow) -> None:
    """A rollout that is queued or waits for room has the traffic next."""
    airflow.finds = [""]
    airflow.rollout = [False, True]

    assert ROOM == wait()
    assert 1 == airflow.looks


def test_a_lost_lease_ends_the_wait(airflow: Airflow) -> None:
    """What the guard took is not asked for again."""
    airflow.finds = [Refused("The lease was lost.")]

    assert "The lease was lost." == wait()


def test_the_trigger_is_found_again_after_a_restart() -> None:
    """What Airflow keeps of a wait is enough to go on with it."""
    found, since = {"challenger": "7"}, {"wall": "w", "clock": "c"}
    path, kept = ExperimentTrigger(model="flights", found=found, since=since).serialize()

    assert "dags.experiment_waiting.ExperimentTrigger" == path
    assert {"model": "flights", "found": found, "since": since} == kept


def held(task: Any) -> None:
    """Let a task begin to hold the split of an experiment."""
    HoldOperator(task_id="hold", model="flights", found=json.dumps({"challenger": "7"})).execute({"ti": task})


def test_the_way_back_knows_that_a_split_was_set(monkeypatch: pytest.MonkeyPatch, task: Any) -> None:
    """What an experiment has set it tells the task that gives the traffic back."""
    since = {"wall": "w", "clock": "c"}
    monkeypatch.setattr(experiment, "begin", lambda *_: since)
    with pytest.raises(TaskDeferred):
        held(task)

    assert {"since": since} == task.pushed


def test_the_way_back_knows_that_no_split_was_set(monkeypatch: pytest.MonkeyPatch, task: Any) -> None:
    """Only after its own begin does an experiment give traffic back: else it would end a rollout's canary."""

    def refuses(*_: object) -> None:
        msg = "is under way"
        raise Refused(msg)

    monkeypatch.setattr(experiment, "begin", refuses)
    with pytest.raises(AirflowFailException, match="is under way"):
        held(task)

    assert {} == task.pushed


def test_a_rollout_waits_until_the_experiment_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins once no experiment of the model runs; one that never ends is told, not waited for."""
    runs = [1, 1, 0]
    asked: list[tuple[str, ...]] = []

    def answer(dag_id: str, *states: str) -> int:
        asked.append((dag_id, *states))
        return runs.pop(0) if runs else 1

    monkeypatch.setattr(exclusion, "_runs", answer)
    monkeypatch.setattr(exclusion, "_ASK_EVERY_S", 0.0)
    exclusion.wait_for_room("flights")
    assert [("experiment_flights", "running")] * 3 == asked

    monkeypatch.setattr(exclusion, "PATIENCE_S", 0.01)
    with pytest.raises(Unavailable, match="did not make room"):
        exclusion.wait_for_room("flights")


def test_an_experiment_goes_behind_rollouts_that_run_or_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rollout that is only queued counts: it was asked for, and goes first."""
    asked: list[tuple[str, ...]] = []

    def answer(*told: str) -> int:
        asked.append(told)
        return 1

    monkeypatch.setattr(exclusion, "_runs", answer)

    assert exclusion.rollout_wants("flights")
    assert [("rollout_flights", "queued", "running")] == asked
