"""A lease ends with who would act on the judge's decision: the scheduler, as Airflow's API tells of it."""

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

from dags import ending, exclusion, steps
from dags.experiment_waiting import ExperimentTrigger
from dags.scheduler import Scheduler
from dags.triggers import VerdictTrigger
from rollout.observations import Evidence
from rollout.routers.memory import MemoryRouter
from rollout.split import Split
from spec import ModelSpec, Settings, load

SPEC: ModelSpec = load(Path("models/flights.yaml"))
BEGAN = "2013-04-01T00:00:00+00:00"
ROLLOUT = {"challenger": "2", "champion": "1", "slot": "green", "began": BEGAN}
SINCE = {"wall": BEGAN, "clock": BEGAN}


class Door(BaseHTTPRequestHandler):
    """Airflow's API, as far as its health; `beat` is the scheduler's last heartbeat."""

    status = 200
    beat: datetime | None = None

    def do_GET(self) -> None:
        """Tell it."""
        assert "/api/v2/monitor/health" == self.path
        told = self.beat.isoformat() if self.beat else None
        health = {"status": "unhealthy", "latest_scheduler_heartbeat": told}
        body = json.dumps({"scheduler": health}).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Door]]:
    """A running API."""
    door = type("Airflow", (Door,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), door) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        monkeypatch.setenv("TRIMTAB_AIRFLOW_URL", f"http://127.0.0.1:{server.server_port}")
        yield door
        server.shutdown()
        thread.join()


def ago(seconds: float) -> datetime:
    """A moment before now."""
    return datetime.now(UTC) - timedelta(seconds=seconds)


def test_a_scheduler_lives_as_of_its_last_heartbeat(airflow: type[Door]) -> None:
    """However old it is, and never later than now, whatever its clock says."""
    airflow.beat = ago(40)
    assert airflow.beat == Scheduler().alive(Settings.from_env())

    airflow.beat = ago(-300)
    assert airflow.beat > Scheduler().alive(Settings.from_env())


def test_an_api_that_falls_silent_leaves_what_it_told_last(airflow: type[Door]) -> None:
    """Without it no task runs either; one that never told anything is no reason to end a canary."""
    airflow.beat, airflow.status = ago(3), 500
    before = datetime.now(UTC)
    scheduler = Scheduler()

    assert before <= scheduler.alive(Settings.from_env())
    airflow.status = 200
    assert airflow.beat == scheduler.alive(Settings.from_env())
    airflow.status = 500
    assert airflow.beat == scheduler.alive(Settings.from_env())
    airflow.status, last, airflow.beat = 200, airflow.beat, None
    assert last == scheduler.alive(Settings.from_env())


@pytest.fixture
def router(monkeypatch: pytest.MonkeyPatch) -> MemoryRouter:
    """A canary in memory whose evidence is seen, but tells nothing."""
    memory = MemoryRouter(["flights"])
    memory.apply(
        "flights",
        Split(weights={"blue": 75, "green": 25}, lease_until=datetime.now(UTC) + timedelta(hours=1)),
    )
    monkeypatch.setattr(steps, "_router", lambda _: memory)
    monkeypatch.setattr("dags.experiment._router", lambda _: memory)
    monkeypatch.setattr("rollout.evidence.collect", _nothing)
    monkeypatch.setattr(ending, "newer_waits", lambda _: False)
    monkeypatch.setattr(exclusion, "rollout_wants", lambda _: False)
    return memory


def _nothing(spec: ModelSpec, *_: object, **__: object) -> Evidence:
    now = datetime.now(UTC)
    return Evidence(model=spec.model, challenger="2", champion="1", step=0.25, began=now, at=now)


@pytest.mark.parametrize("what", ["rollout", "experiment"])
def test_a_lease_is_renewed_from_the_last_heartbeat_on(
    airflow: type[Door], router: MemoryRouter, what: str
) -> None:
    """With the scheduler dead for some seconds the lease is that much shorter, look after look."""
    airflow.beat = ago(10)
    found = ROLLOUT | {"terms": {"share": 0.25, "for": "14d"}}
    trigger: Any = (
        VerdictTrigger(model="flights", step=2, rollout=ROLLOUT, since=SINCE)
        if what == "rollout"
        else ExperimentTrigger(model="flights", found=found, since=SINCE)
    )

    for _ in range(2):
        asyncio.run(trigger._look())
        assert airflow.beat + SPEC.rollout.lease == router.read("flights").lease_until
