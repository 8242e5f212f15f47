"""The whole stack, started by the command line and stopped by it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trimtab import slack
from trimtab.stack import Stack, survivors

pytestmark = [pytest.mark.service, pytest.mark.timeout(900)]

MODELS = Path(__file__).parents[3] / "models"
TRIMTAB = (sys.executable, "-m", "trimtab")


def trimtab(*argv: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a command on a home and return what came of it."""
    command = (*TRIMTAB, *argv, "--home", str(home))
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Start a stack with `trimtab up`; it is stopped with `trimtab down`, and nothing is left."""
    folder = tmp_path_factory.mktemp("stack")
    done = trimtab("up", "--models", str(MODELS), "--timeout", "600", "--json", home=folder)
    try:
        assert done.returncode == 0, done.stderr
        assert {door["name"] for door in json.loads(done.stdout)} >= {"gateway", "airflow", "mlflow"}
        yield folder
    finally:
        stopped = trimtab("down", home=folder)
        assert stopped.returncode == 0, stopped.stderr
        assert survivors.find(folder) == []


@pytest.fixture(scope="module")
def stack(home: Path) -> Stack:
    """Give the stack that runs."""
    return Stack.open(home, announce=lambda _: None)


def pid_of(stack: Stack, name: str) -> int:
    """Return the pid of a process of the stack, 0 while it has none."""
    return next(row.pid for row in stack.status() if row.name == name)


def post(url: str, content: Any) -> int:
    """POST JSON and return the HTTP status."""
    request = urllib.request.Request(url, json.dumps(content).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.parametrize("name", ["mlflow", "alertmanager", "flights-blue"])
def test_a_killed_server_comes_back(stack: Stack, name: str) -> None:
    """A server that is killed with SIGKILL answers again by itself."""
    first = pid_of(stack, name)
    os.kill(first, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while pid_of(stack, name) in {0, first}:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    stack.wait_ready(300, names=[name])


def test_the_status_is_one_answer(home: Path, stack: Stack) -> None:
    """The status names every process with its cost, and the slots of every model."""
    stack.wait_ready(300)
    done = trimtab("status", "--json", home=home)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert {row["name"] for row in told["processes"]} == set(stack.processes)
    assert all(row["memory_bytes"] > 0 for row in told["processes"] if row["state"] == "running")
    assert [slot["weight"] for slot in told["models"][0]["slots"]] == [100, 0]
    assert "flights" in trimtab("status", "flights", home=home).stdout


def test_a_second_up_changes_nothing(home: Path, stack: Stack) -> None:
    """Starting what runs leaves every process alone."""
    before = {row.name: row.pid for row in stack.status()}
    done = trimtab("up", "--models", str(MODELS), "--timeout", "300", home=home)
    assert done.returncode == 0, done.stderr
    assert {row.name: row.pid for row in stack.status()} == before


def test_prometheus_reaches_every_target(stack: Stack) -> None:
    """Every server of the stack is scraped."""
    deadline, down = time.monotonic() + 60, ["all"]
    while down:
        assert time.monotonic() < deadline, down
        with urllib.request.urlopen(f"{stack.url('prometheus')}/api/v1/targets") as answer:
            targets = json.load(answer)["data"]["activeTargets"]
        down = [target["scrapeUrl"] for target in targets if target["health"] != "up"]
        time.sleep(0.2)
    assert {target["labels"]["job"] for target in targets} >= {"trimtab-exporter", "trimtab-serving", "envoy"}


def test_nobody_writes_to_airflow_without_a_token(stack: Stack) -> None:
    """Airflow and the receiver refuse a request that shows no credential."""
    run = {"logical_date": None}
    assert post(f"{stack.url('airflow')}/api/v2/dags/retrain_flights/dagRuns", run) == 401
    assert post(f"{stack.url('receiver')}/alerts", {}) == 401


def test_a_retrain_that_fails_is_told_to_people(home: Path, stack: Stack) -> None:
    """A retrain asked for on the command line runs in Airflow; its failure reaches Slack."""
    messages = slack.messages_file(home)
    done = trimtab("retrain", "flights", "--json", home=home)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["url"].startswith(stack.url("airflow"))
    deadline = time.monotonic() + 240
    while not messages.exists() or "retrain failed" not in messages.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.5)


@pytest.mark.chaos
def test_up_after_a_killed_supervisor_starts_anew(home: Path, stack: Stack) -> None:
    """After kill -9 of supervisord `up` ends what it left behind and starts on the same ports."""
    leader = stack.supervisor.pid()
    assert leader is not None
    os.kill(leader, signal.SIGKILL)
    done = trimtab("up", "--models", str(MODELS), "--timeout", "600", home=home)
    assert done.returncode == 0, done.stderr
    again = Stack.open(home)
    assert again.ports == stack.ports
    assert again.supervisor.pid() not in {None, leader}


@pytest.fixture
def listens_to_ctrl_c() -> Iterator[None]:
    """Undo what a shell does to jobs in the background, whose children inherit that they ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.chaos
@pytest.mark.usefixtures("listens_to_ctrl_c")
def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C while the stack starts stops all that was started and exits 130."""
    command = (*TRIMTAB, "up", "--models", str(MODELS), "--home", str(tmp_path))
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as up:
        deadline = time.monotonic() + 60
        while len(survivors.find(tmp_path)) < 5:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        up.send_signal(signal.SIGINT)
        _, told = up.communicate(timeout=120)
    left = survivors.find(tmp_path)
    survivors.end(left)
    assert (up.returncode, left) == (130, []), told
