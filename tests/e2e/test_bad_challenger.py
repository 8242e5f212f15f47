from __future__ import annotations

import asyncio
import contextlib
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console

from monitors.results.store import Store
from retraining.dataset import rows as training_rows
from retraining.graphs.export import to_onnx
from retraining.graphs.scorer import Scorer
from retraining.registry import Registry
from retraining.release import Release, band, population
from rollout import leases
from rollout.routers import connect
from spec import ModelSpec, Settings, read_secret
from trimtab.demo.champion import notebook_model
from trimtab.demo.flights import load_flights
from trimtab.demo.run import MODEL, Plan, bring_up, fresh_stack, live_flights
from trimtab.demo.traffic import Replay
from trimtab.slack import messages_file
from trimtab.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.service, pytest.mark.timeout(900)]

ROLLED_BACK_WITHIN_S = 300.0


class Scene:
    """A stack with a champion under traffic, on which nothing else retrains."""

    def __init__(self, stack: Stack, past: pd.DataFrame, champion: str) -> None:
        self.stack = stack
        self.past = past
        self.champion = champion
        self.settings: Settings = stack.settings
        self.spec: ModelSpec = stack.specs[MODEL]
        self.registry = Registry(stack.settings)

    def challenge(self, onnx_file: Path, source: str) -> str:
        """Register a version with the champion's credentials, as if a retrain had let it through."""
        scorer = Scorer(self.spec.task, self.registry.onnx(MODEL, self.champion))
        recent = self.past.tail(2000)
        times, truth = recent["scheduled_departure"], training_rows.target(self.spec, recent)
        scores = scorer.predict(training_rows.inputs(self.spec, recent))
        credentials = Release(
            source=source,
            onnx=onnx_file,
            population=population(self.spec, scorer, recent),
            importances=dict.fromkeys(self.spec.features, 1 / len(self.spec.features)),
            performance=band(self.spec, truth, scores, times),
            window=(times.min().to_pydatetime(), times.max().to_pydatetime()),
        )
        return self.registry.publish(self.spec, credentials)

    def roll_out(self, version: str) -> None:
        """Start the rollout as a person would, and return when it has ended."""
        run = self.start(version)
        self.until(lambda: self.ended(run), f"the end of {run}")

    def start(self, version: str) -> str:
        """Start the rollout of a version; return the path of its run."""
        body = {"dag_run_id": f"manual-{version}", "logical_date": None, "conf": {"version": version}}
        self.ask("POST", f"/dags/rollout_{MODEL}/dagRuns", json=body).raise_for_status()
        return f"/dags/rollout_{MODEL}/dagRuns/manual-{version}"

    def ended(self, run: str) -> bool:
        """Whether a run has ended, well or not."""
        return self.ask("GET", run).json()["state"] in {"success", "failed"}

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask Airflow's public API."""
        url = f"{self.settings.airflow_url}/api/v2{path}"
        return httpx.request(method, url, headers=self._login, trust_env=False, timeout=30, **more)

    def until(self, seen: Callable[[], bool], what: str) -> None:
        """Return once it is seen; Airflow has no way to wait for it."""
        deadline = time.monotonic() + ROLLED_BACK_WITHIN_S
        while time.monotonic() < deadline:
            if seen():
                return
            threading.Event().wait(1.0)
        pytest.fail(f"{what} was not seen within {ROLLED_BACK_WITHIN_S:.0f} s")

    def outcomes(self, version: str) -> list[str]:
        """What happened to a version's rollout, oldest first."""
        with Store(self.settings.results_url) as store:
            events = store.events(MODEL, kinds=["rollout"])
        return [event.payload["outcome"] for event in events if event.payload.get("version") == version]

    def told(self) -> str:
        """Everything that Slack was told."""
        return messages_file(self.stack.home).read_text("utf-8")

    @cached_property
    def _login(self) -> dict[str, str]:
        login = {
            "username": self.settings.airflow_user,
            "password": read_secret(self.settings.airflow_password_file),
        }
        url = f"{self.settings.airflow_url}/auth/token"
        answer = httpx.post(url, json=login, trust_env=False, timeout=30)
        return {"Authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The flights model; nothing retrains by itself, and a person is asked before live traffic."""
    folder = tmp_path_factory.mktemp("models")
    text = Path("models/flights.yaml").read_text("utf-8")
    for before, after in (
        ("drop: 0.02", "drop: 0.9"),
        ("on: [performance]", "on: []"),
        ("gates: {errors: 1%,", "gates: {latency_p99: 1s, errors: 1%,"),  # a busy machine is no harm here
        ("\nrollout:\n", "\nrollout:\n  approval: {before: 5%}\n"),
    ):
        assert before in text
        text = text.replace(before, after)
    (folder / "flights.yaml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Scene]:
    """A stack with a small first champion, and flights that go by until the tests are done."""
    plan = Plan(
        home=tmp_path_factory.mktemp("bad") / "home", models=models, one_in=3, day_seconds=1.5, trees=20
    )
    console = Console(file=io.StringIO())
    with fresh_stack(plan, console) as stack:
        flights = load_flights()
        champion = bring_up(plan, stack, flights, console)
        past = flights[flights["scheduled_departure"] < datetime(2013, 3, 1, tzinfo=UTC)]
        replay = Replay(stack.specs[MODEL], stack.settings, live_flights(plan, flights), plan.day_seconds)
        with _going_by(replay):
            yield Scene(stack, past, champion)
        assert 0 == replay.progress.failed, replay.progress.first_failure
        assert replay.progress.answers[200] > 5000


class _going_by:  # noqa: N801 - reads as what it does
    """Send the flights in a thread until the block ends."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self._task = self._loop.create_task(self._replay.run())
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._task)
        self._loop.close()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(timedelta(minutes=1).total_seconds())


def test_a_challenger_that_fails_on_a_fifth_of_the_rows_is_rolled_back(scene: Scene, tmp_path: Path) -> None:
    """Errors end it in the shadow step; nobody who asked saw one."""
    broken = tmp_path / "broken.onnx"
    _fail_when_minute_is_past(scene.registry.onnx(MODEL, scene.champion), broken, minute=44)
    version = scene.challenge(broken, "test/broken")

    scene.roll_out(version)

    _assert_rolled_back(scene, version, gate="errors")


@pytest.mark.chaos
def test_a_challenger_with_shuffled_labels_is_rolled_back(scene: Scene, tmp_path: Path) -> None:
    """It answers every request, and worse: the paired metric ends it before it gets any traffic."""
    rows = scene.past.iloc[::5].copy()
    rows["late"] = np.random.default_rng(0).permutation(rows["late"].to_numpy())
    worse = tmp_path / "worse.onnx"
    onnx.save(to_onnx(scene.spec, notebook_model(rows, trees=20)), worse)
    version = scene.challenge(worse, "test/worse")

    scene.roll_out(version)

    _assert_rolled_back(scene, version, gate="quality")


@pytest.mark.chaos
def test_a_person_is_asked_while_the_canary_is_judged_and_a_newer_rollout_overtakes(scene: Scene) -> None:
    """The first waits for a yes and makes room, unblamed; the second gets its yes and its live traffic."""
    same = scene.registry.onnx(MODEL, scene.champion)
    first, second = scene.challenge(same, "test/first"), scene.challenge(same, "test/second")
    before = scene.start(first)
    scene.until(lambda: _asked(scene, before), "the question of the first rollout")
    after = scene.start(second)
    scene.until(lambda: scene.ended(before), "the end of the first rollout")
    scene.until(lambda: _asked(scene, after), "the question of the second rollout")

    assert ["started", "superseded"] == [one for one in scene.outcomes(first) if one != "step"]
    assert "superseded" == {one.version: one.status for one in scene.registry.versions(MODEL)}[first]
    router = connect(scene.settings, scene.stack.specs)
    assert not router.read(MODEL).settled  # in shadow, under a lease that somebody renews
    answer = scene.ask("PATCH", f"{after}/{_QUESTION}/-1/hitlDetails", json={"chosen_options": ["Approve"]})
    answer.raise_for_status()
    scene.until(lambda: 5 == router.read(MODEL).weights["green"], "live traffic at the challenger")
    assert "approved" in scene.outcomes(second)

    leases.release(router, MODEL)
    scene.until(lambda: scene.ended(after), "the end of the second rollout")
    assert "rolled_back" == scene.outcomes(second)[-1]
    assert f"May version {second} of flights go to 5%?" in scene.told()


_QUESTION = "taskInstances/approve_step_5"


def _asked(scene: Scene, run: str) -> bool:
    """Whether the question before 5 % stands in Airflow, unanswered."""
    answer = scene.ask("GET", f"{run}/{_QUESTION}/-1/hitlDetails")
    return answer.is_success and not answer.json()["response_received"]


def _assert_rolled_back(scene: Scene, version: str, gate: str) -> None:
    """The champion has the alias and the traffic, Slack the reason, registry and store the verdict."""
    versions = {found.version: found for found in scene.registry.versions(MODEL)}
    verdict = json.loads(versions[version].tags["trimtab.verdict"])
    split = json.loads((scene.stack.home / "routes" / f"{MODEL}.json").read_text("utf-8"))
    with Store(scene.settings.results_url) as store:
        events = store.events(MODEL, kinds=["rollout"])

    assert scene.champion == scene.registry.version(MODEL, "champion")
    assert "rejected" == versions[version].status
    assert "rollback" == verdict["decision"]
    assert "rollback" == {found["gate"]: found["outcome"] for found in verdict["gates"]}[gate]
    assert {"blue": 100, "green": 0} == split["weights"]
    assert split["mirror"] is None
    assert ("rolled_back", verdict) == (events[-1].payload["outcome"], events[-1].payload["verdict"])
    assert f"rolled back: version {version}" in scene.told()


def _fail_when_minute_is_past(source: Path, target: Path, *, minute: int) -> None:
    """Copy a model, adding a lookup that is out of bounds for rows whose `minute` is larger."""
    model = onnx.load(source)
    graph = model.graph
    output = next(found for found in graph.output if found.name == "probabilities")
    for node in graph.node:
        for index, name in enumerate(node.output):
            if name == "probabilities":
                node.output[index] = "sound_probabilities"
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.array([float(minute)], np.float32), "limit"),
            numpy_helper.from_array(np.array([0.0], np.float32), "one_entry"),
            numpy_helper.from_array(np.array([7], np.int64), "seven"),
        ]
    )
    graph.node.extend(
        [
            helper.make_node("Greater", ["minute", "limit"], ["is_past"]),
            helper.make_node("Cast", ["is_past"], ["as_number"], to=TensorProto.INT64),
            helper.make_node("Mul", ["as_number", "seven"], ["place"]),
            helper.make_node("Gather", ["one_entry", "place"], ["zero"], axis=0),
            helper.make_node("Add", ["sound_probabilities", "zero"], [output.name]),
        ]
    )
    onnx.save(model, target)
