from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
import yaml

from alerts.alertmanager import Timing, config
from alerts.receiver import create_app
from alerts.requests import episode
from spec import Clock, ModelSpec, Settings, loads, set_clock

pytestmark = pytest.mark.service

MODELS = (
    "once",
    "many",
    "twice",
    "cooling",
    "busy",
    "rolling",
    "resting",
    "strict",
    "again",
    "relogin",
    "loop",
)
PAUSED = ("resting",)
START = datetime(2026, 11, 22, 8, tzinfo=UTC)
NOON = datetime(2013, 6, 1, 12, tzinfo=UTC)
TOKEN = "token-of-the-receiver"
Served = Callable[..., AbstractContextManager[str]]


def model(name: str) -> ModelSpec:
    """Make a small spec with a cooldown of a day."""
    return loads(
        f"{{model: {name}, task: binary, features: {{x: numeric}}, retrain: {{cooldown: 1d}}, "
        "data: {inference_log: a, labels: b, id: id, time: t, target: {name: y}}}"
    )


SPECS = {name: model(name) for name in (*MODELS, "unseen")}


def surroundings(home: Path, airflow_url: str, password_file: Path | None = None) -> Settings:
    """Make the settings of a receiver on a replay's clock, which stands at `NOON`."""
    set_clock(home / "clock", NOON)
    (home / "token").write_text(TOKEN + "\n", "utf-8")
    (home / "password").write_text("secret", "utf-8")
    settings = Settings.from_env(
        {
            "TRIMTAB_HOME": str(home),
            "TRIMTAB_CLOCK": str(home / "clock"),
            "TRIMTAB_AIRFLOW_URL": airflow_url,
            "TRIMTAB_AIRFLOW_PASSWORD_FILE": str(password_file or home / "password"),
            "TRIMTAB_RECEIVER_TOKEN_FILE": str(home / "token"),
        }
    )
    return replace(settings, clock=Clock(home / "clock"))


@pytest.fixture
def served(wait_for: Callable[..., None]) -> Served:
    """Serve a receiver from a thread; give its URL."""

    @contextmanager
    def serve(settings: Settings, stale_token: str = "") -> Iterator[str]:
        app = create_app(SPECS, settings)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            config = uvicorn.Config(app, log_level="warning", lifespan="on")
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            try:
                wait_for(f"{url}/health")
                app.state.desk._airflow._token = stale_token
                yield url
            finally:
                server.should_exit = True
                thread.join()

    return serve


@dataclass
class Receiver:
    """A receiver that is served, and the clock it reads."""

    url: str
    settings: Settings

    def deliver(self, name: str, token: str = TOKEN, **changed: Any) -> httpx.Response:
        """Deliver a notification as Alertmanager does."""
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.post(
            f"{self.url}/alerts", json=notification(name, **changed), headers=headers, timeout=60
        )

    def outcome(self, name: str, **changed: Any) -> tuple[int, str, str]:
        """Deliver, and return status, outcome and run id of the only result."""
        answer = self.deliver(name, **changed)
        (result,) = answer.json()["results"]
        return answer.status_code, result["outcome"], result["run_id"]

    def metric(self, series: str) -> float:
        """Read one series of the receiver's own metrics."""
        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == series)

    def move_clock(self, by: timedelta) -> None:
        """Move the replay's clock; it is seen after the clock's own short memory."""
        set_clock(self.settings.home / "clock", NOON + by)
        while self.settings.clock.now() != NOON + by:
            time.sleep(0.005)


def notification(name: str, starts: datetime = START, **labels: str) -> dict[str, Any]:
    """Make Alertmanager's webhook body for one firing alert that asks for a retrain."""
    firing = {
        "status": labels.pop("status", "firing"),
        "labels": {
            "alertname": "TrimtabRetrainNeeded",
            "model": name,
            "version": "3",
            "cause": "performance",
            "action": "retrain",
        }
        | labels,
        "annotations": {"summary": "worse", "description": "0.61 below 0.68", "runbook_url": "x"},
        "startsAt": starts.isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus",
        "fingerprint": "ab",
    }
    return {
        "version": "4",
        "groupKey": group(name),
        "status": "firing",
        "receiver": "airflow",
        "alerts": [firing],
    }


def group(name: str) -> str:
    """Return the group key that Alertmanager makes of the retrain route."""
    return f'{{}}/{{action="retrain"}}:{{action="retrain", model="{name}"}}'


@pytest.fixture
def receiver(airflow: Any, served: Served, tmp_path: Path) -> Iterator[Receiver]:
    """Serve a receiver in front of the real Airflow."""
    settings = surroundings(tmp_path, airflow.url, airflow.password_file)
    with served(settings) as url:
        yield Receiver(url, settings)


def test_an_episode_starts_one_run_however_often_it_is_delivered(airflow: Any, receiver: Receiver) -> None:
    """The first delivery starts the run and tells it why; the next is a duplicate and starts nothing."""
    run_id = f"alert-{episode(group('once'), START)}"

    assert receiver.outcome("once") == (200, "triggered", run_id)
    assert receiver.outcome("once") == (200, "duplicate", run_id)
    (run,) = airflow.runs("retrain_once")
    assert run["dag_run_id"] == run_id
    assert run["conf"]["requested_at"] == NOON.isoformat()
    assert run["conf"]["version"] == "3"


def test_ten_deliveries_to_two_receivers_at_once_start_one_run(
    airflow: Any, receiver: Receiver, served: Served, tmp_path: Path
) -> None:
    """However many deliver at the same time, to however many receivers, Airflow's run id lets one pass.

    Airflow on SQLite may answer 500 to writes that meet: the receiver says 503, and the alert comes again.
    """
    (tmp_path / "second").mkdir()
    settings = surroundings(tmp_path / "second", airflow.url)
    with served(settings) as url, ThreadPoolExecutor(10) as pool:
        both = [receiver, Receiver(url, settings)]
        answers = list(pool.map(lambda number: both[number % 2].outcome("many"), range(10)))

    outcomes = Counter((status, outcome) for status, outcome, _ in answers)
    assert outcomes.keys() <= {(200, "triggered"), (200, "duplicate"), (503, "unavailable")}
    assert outcomes[200, "triggered"] <= 1
    assert receiver.outcome("many")[:2] in {(200, "duplicate"), (200, "triggered")}
    assert len(airflow.runs("retrain_many")) == 1


def test_an_unsolved_episode_is_tried_again_after_the_cooldown(airflow: Any, receiver: Receiver) -> None:
    """A finished run does not silence its alert for ever, and the cooldown is counted by the clock."""
    _, _, first = receiver.outcome("twice")
    airflow.finish("retrain_twice", first)

    assert receiver.outcome("twice") == (200, "cooldown", first)
    receiver.move_clock(timedelta(days=1))
    assert receiver.outcome("twice") == (200, "triggered", f"{first}.2")
    assert receiver.outcome("twice") == (200, "duplicate", f"{first}.2")
    assert len(airflow.runs("retrain_twice")) == 2


def test_a_new_episode_within_the_cooldown_is_refused(airflow: Any, receiver: Receiver) -> None:
    """A flapping alert does not retrain the model every time, whoever started the last retrain."""
    airflow.start("retrain_cooling", "by-hand", {"requested_at": (NOON - timedelta(hours=23)).isoformat()})
    airflow.finish("retrain_cooling", "by-hand")
    answer = receiver.deliver("cooling")

    assert answer.status_code == 200
    (result,) = answer.json()["results"]
    assert result["outcome"] == "cooldown"
    assert "the cooldown of 1d ends at 2013-06-01T13:00:00+00:00" in result["reason"]
    assert len(airflow.runs("retrain_cooling")) == 1


@pytest.mark.parametrize(("name", "dag"), [("busy", "retrain_busy"), ("rolling", "rollout_rolling")])
def test_a_model_that_is_being_changed_is_busy(name: str, dag: str, airflow: Any, receiver: Receiver) -> None:
    """While a retrain or a rollout runs nothing is started; when it is over the next repeat is."""
    airflow.start(dag, "by-hand")

    assert receiver.outcome(name) == (200, "busy", "by-hand")
    airflow.finish(dag, "by-hand")
    assert receiver.outcome(name)[:2] == (200, "triggered")


def test_a_paused_dag_is_not_given_a_run_that_would_never_start(airflow: Any, receiver: Receiver) -> None:
    """Alertmanager is to come again, a metric tells people, unpausing lets the next repeat through."""
    assert receiver.outcome("resting")[:2] == (503, "paused")
    assert airflow.runs("retrain_resting") == []
    assert receiver.metric('trimtab_receiver_dag_paused{model="resting"}') == 1

    airflow.call("PATCH", "retrain_resting", json={"is_paused": False})
    assert receiver.outcome("resting")[:2] == (200, "triggered")
    assert receiver.metric('trimtab_receiver_dag_paused{model="resting"}') == 0


def test_a_resolved_alert_ends_the_wait_for_a_paused_dag(receiver: Receiver, airflow: Any) -> None:
    """When nobody wants the retrain any more, nobody is told that it cannot start."""
    airflow.call("PATCH", "retrain_resting", json={"is_paused": True})
    assert receiver.deliver("resting").status_code == 503
    answer = receiver.deliver("resting", status="resolved")

    assert (answer.status_code, answer.json()["outcome"]) == (200, "ignored")
    assert receiver.metric('trimtab_receiver_dag_paused{model="resting"}') == 0


def test_what_airflow_does_not_accept_is_told(airflow: Any, receiver: Receiver) -> None:
    """A run that breaks the DAG's own form is a fault of the set-up: 422 with Airflow's words."""
    answer = receiver.deliver("strict")

    assert answer.status_code == 422
    (result,) = answer.json()["results"]
    assert result["outcome"] == "not_accepted"
    assert "'3' is not one of ['0']" in result["reason"]
    assert airflow.runs("retrain_strict") == []


def test_a_model_whose_dags_airflow_has_not_read_yet_is_tried_again(receiver: Receiver) -> None:
    """A DAG that is not there may be there soon: 503."""
    assert receiver.outcome("unseen")[:2] == (503, "unavailable")


def test_a_refused_token_is_fetched_again(airflow: Any, served: Served, tmp_path: Path) -> None:
    """A token that Airflow no longer knows (a new signing key) costs one more login, not a retrain."""
    settings = surroundings(tmp_path, airflow.url)
    with served(settings, stale_token="of-another-key") as url:
        assert Receiver(url, settings).outcome("again")[:2] == (200, "triggered")


def test_a_wrong_password_is_unavailable_and_a_repaired_one_works_without_a_restart(
    airflow: Any, served: Served, tmp_path: Path
) -> None:
    """Airflow's 401 after a fresh login is 503; the password's file is read again each time."""
    settings = surroundings(tmp_path, airflow.url)
    settings.airflow_password_file.write_text("wrong", "utf-8")
    with served(settings) as url:
        receiver = Receiver(url, settings)
        answer = receiver.deliver("relogin")
        settings.airflow_password_file.write_text("secret", "utf-8")

        assert answer.status_code == 503
        assert "does not let user 'trimtab' in (401)" in answer.text
        assert "wrong" not in answer.text
        assert receiver.outcome("relogin")[:2] == (200, "triggered")


def test_alertmanager_gets_one_run_out_of_an_alert_that_it_repeats(
    airflow: Any,
    receiver: Receiver,
    tmp_path: Path,
    free_port: Callable[[], int],
    wait_for: Callable[..., None],
) -> None:
    """A real Alertmanager before it, a real Airflow behind: many deliveries, one run."""
    quick = Timing(*(timedelta(milliseconds=ms) for ms in (10, 200, 600_000, 200)))
    token = receiver.settings.receiver_token_file
    routes = config(SPECS, receiver_url=receiver.url, receiver_token_file=token, timing=quick)
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(routes), "utf-8")
    url = f"127.0.0.1:{free_port()}"
    folders = [f"--config.file={tmp_path / 'alertmanager.yml'}", f"--storage.path={tmp_path / 'data'}"]
    command = [
        "prometheus-alertmanager",
        *folders,
        f"--web.listen-address={url}",
        "--cluster.listen-address=",
    ]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(f"http://{url}/-/ready", process)
        alert = notification("loop")["alerts"][0]
        firing = [{key: alert[key] for key in ("labels", "annotations", "startsAt")}]
        httpx.post(f"http://{url}/api/v2/alerts", json=firing).raise_for_status()
        while receiver.metric('trimtab_receiver_requests_total{outcome="duplicate"}') < 3:
            time.sleep(0.05)
    finally:
        process.terminate()
        process.wait()

    assert receiver.metric('trimtab_receiver_requests_total{outcome="triggered"}') == 1
    assert len(airflow.runs("retrain_loop")) == 1


def test_the_receiver_runs_as_a_process_and_ends_on_sigterm(
    tmp_path: Path, free_port: Callable[[], int], wait_for: Callable[..., None]
) -> None:
    """`run` serves until SIGTERM and shuts down in good order."""
    port = free_port()
    surroundings(tmp_path, "http://127.0.0.1:9")
    script = (
        "from alerts.receiver import run; from spec import Settings; "
        f"run({{}}, Settings.from_env(), '127.0.0.1', {port})"
    )
    env = os.environ | {
        "TRIMTAB_HOME": str(tmp_path),
        "TRIMTAB_RECEIVER_TOKEN_FILE": str(tmp_path / "token"),
    }
    process = subprocess.Popen([sys.executable, "-c", script], env=env)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process)
        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=20) in {0, -signal.SIGTERM}
    finally:
        process.kill()
