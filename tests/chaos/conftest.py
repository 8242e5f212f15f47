"""A gateway with two versions behind it, users who ask all the time, and parts of it that die."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import signal
import threading
import time
import xmlrpc.client
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import onnx
import pandas as pd
import psutil
import pytest
from onnx import TensorProto, helper

from retraining.registry import Reign
from retraining.release import Release
from rollout import leases
from rollout.routers.envoy import EnvoyRouter
from rollout.split import Split
from rollout.steps import at_step
from trimtab.stack import Stack, prepare
from trimtab.stack.ports import ENVOYS
from trimtab.stack.supervisor_config import GROUP

MODEL = """
model: {model}
task: regression
data: {{inference_log: {model}/log, labels: {model}/labels, id: id, time: at, target: {{name: height}}}}
features: {{depth: numeric}}
"""
CHAMPION, CHALLENGER = "1", "2"
_PAUSE_S = 0.01


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request came to; times are of the wall, in Unix seconds."""

    sent: float
    received: float
    version: str = ""
    failure: str = ""
    asked: bytes = b""
    content: bytes = b""


@dataclass
class Users:
    """Clients that ask one after the other until they are told to stop, and keep every answer.

    A client whose connection breaks opens the next one, as a user would. Each goes through `bodies` in its
    order, again and again.
    """

    gateway: str
    model: str
    bodies: Sequence[bytes]
    clients: int = 2
    answers: list[Answer] = field(default_factory=list)
    """In no order; a list's `append` is atomic."""

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()
        self.wait_for(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, more: int, seconds: float = 30) -> None:
        """Return when so many more requests have ended."""
        wanted = len(self.answers) + more
        until(lambda: len(self.answers) >= wanted, seconds, f"{more} more answers")

    def _ask(self) -> None:
        host, _, port = self.gateway.removeprefix("http://").partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        for body in itertools.cycle(self.bodies):
            if self._stop.is_set():
                break
            sent = time.time()
            version, failure, content = "", "", b""
            try:
                connection.request("POST", f"/v2/models/{self.model}/infer", body)
                response = connection.getresponse()
                content = response.read()
                if response.status == http.client.OK:
                    version = str(json.loads(content)["model_version"])
                else:
                    failure = f"{response.status}: {content.decode()}"
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                failure = repr(error)
            self.answers.append(Answer(sent, time.time(), version, failure, body, content))
            self._stop.wait(_PAUSE_S)
        connection.close()

    @property
    def failures(self) -> list[Answer]:
        """Those that got no answer, in order."""
        return sorted((one for one in self.answers if one.failure), key=lambda one: one.sent)

    def last_of(self, version: str) -> float:
        """When the last request was sent that a version answered; 0 for none."""
        return max((one.sent for one in self.answers if one.version == version), default=0.0)

    def versions_since(self, moment: float) -> set[str]:
        """Who answered the requests that were sent later than a moment."""
        return {one.version for one in self.answers if one.sent > moment and not one.failure}


@dataclass
class House:
    """A stack without Airflow: Envoys, two model servers with a version each, the guard, a supervisor."""

    stack: Stack
    model: str

    @property
    def router(self) -> EnvoyRouter:
        """A router of all models."""
        return EnvoyRouter(self.stack.settings, self.stack.specs)

    def users(self) -> Users:
        """Return users of the model who begin to ask when they are entered."""
        body = {"inputs": [{"name": "depth", "shape": [1], "datatype": "FP64", "data": [2.5]}]}
        return self.users_of([json.dumps(body).encode()])

    def users_of(self, bodies: Sequence[bytes]) -> Users:
        """Return users who ask so."""
        return Users(self.stack.settings.gateway_url, self.model, bodies)

    def canary(self, lease_s: float, model: str | None = None) -> None:
        """Give the challenger in slot green a quarter, under a lease that nobody renews yet."""
        until = datetime.now(UTC) + timedelta(seconds=lease_s)
        leases.begin(self.router, model or self.model, at_step("blue", 0.25, until))

    def split(self) -> Split:
        """What the router says of the model."""
        return self.router.read(self.model)

    def pid(self, name: str) -> int:
        """Return the pid of a process, 0 while it has none."""
        return next(row.pid for row in self.stack.status() if row.name == name)

    def kill(self, name: str) -> float:
        """Kill -9 a process, which the supervisor starts again; return when."""
        os.kill(self.pid(name), signal.SIGKILL)
        return time.time()

    def signal(self, name: str, number: int) -> float:
        """Signal a process and all that it has started; return when."""
        process = psutil.Process(self.pid(name))
        for one in [process, *process.children(recursive=True)]:
            one.send_signal(number)
        return time.time()

    def kill_for_good(self, name: str) -> float:
        """Kill -9 a process and keep it down; return since when it is.

        The supervisor may start it again before it is told not to: a scheduler has time for a heartbeat then.
        """
        self.kill(name)
        until(lambda: self._stopped(name), 30, f"the end of {name}")
        return time.time()

    def _stopped(self, name: str) -> bool:
        """Ask the supervisor to leave a process down; it refuses while it has none to stop."""
        with self.stack.supervisor._proxy() as proxy, contextlib.suppress(xmlrpc.client.Fault):
            proxy.stopProcess(f"{GROUP}:{name}")
            return True
        return False

    def revive(self, *names: str) -> None:
        """Start what is down, and wait until it can be used."""
        self.stack.start(names)
        self.stack.wait_ready(60, names=names)

    def settle(self) -> None:
        """Wait until everything runs, and give all traffic to the champion in slot blue."""
        self.stack.start(self.parts(self.model))
        self.stack.wait_ready(60, names=self.parts(self.model))
        self.router.apply(self.model, Split())

    @staticmethod
    def parts(model: str) -> tuple[str, ...]:
        """Names of the processes that are started."""
        return (*ENVOYS, f"{model}-blue", f"{model}-green", "guard")


def until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait for something that another process does on its own; fail after some seconds."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        pause.wait(0.02)


@pytest.fixture(scope="session", name="until")
def until_fixture() -> Callable[..., None]:
    """Wait for what another process does."""
    return until


@pytest.fixture
def told(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Say what users had of it, for whoever runs with `--capture=no`."""

    def tell(users: Users, seconds: float | None = None) -> None:
        last = "" if seconds is None else f"; the challenger's last answer {seconds:.1f} s after"
        counts = f"{len(users.failures)} of {len(users.answers)} requests failed"
        print(f"\n{request.node.name}: {counts}{last}")  # noqa: T201 - the figures of docs/rollout.md

    return tell


@pytest.fixture(scope="session", name="strangers")
def strangers_fixture() -> Callable[[Sequence[Answer], Sequence[Reign]], list[Answer]]:
    """Find the answers of versions that the registry did not name then."""
    return strangers


def strangers(answers: Sequence[Answer], reigns: Sequence[Reign]) -> list[Answer]:
    """Return the answers whose version the registry did not name at any moment that they were under way."""
    return [one for one in answers if not one.failure and not any(_names(reign, one) for reign in reigns)]


def _names(reign: Reign, answer: Answer) -> bool:
    return (
        reign.version == answer.version
        and reign.start is not None
        and reign.start.timestamp() <= answer.received
        and (reign.end is None or answer.sent <= reign.end.timestamp())
    )


@pytest.fixture(scope="session", name="release")
def release_fixture() -> Callable[[Path, int], Release]:
    """Make a release of a model file."""
    return release


def release(onnx_file: Path, number: int) -> Release:
    """Return a release of a model of the depth, whose target is the height."""
    times = pd.date_range("2024-01-01", periods=200, freq="h", tz="UTC")
    depth = pd.Series(range(200), dtype="float64")
    frame = pd.DataFrame({"at": times, "depth": depth, "height": depth, "prediction": depth})
    window = (times[0].to_pydatetime(), times[-1].to_pydatetime())
    return Release(f"chaos/{number}", onnx_file, frame, {"depth": 1.0}, {}, window)


@pytest.fixture(scope="session")
def make_house() -> Callable[[Stack], House]:
    """Make a house of a stack that runs a model `tides`."""
    return lambda stack: House(stack, "tides")


@pytest.fixture(scope="session")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that answers the depth."""
    return graph(tmp_path_factory.mktemp("onnx") / "model.onnx")


@pytest.fixture(scope="module")
def tides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Two models, of which `tides` is served: version 1 in slot blue, version 2 in slot green."""
    home, models = (tmp_path_factory.mktemp(name) for name in ("home", "models"))
    for model in ("tides", "waves"):
        (models / f"{model}.yaml").write_text(MODEL.format(model=model))
    for slot, version in (("blue", CHAMPION), ("green", CHALLENGER)):
        seed(home, "tides", slot, version)
    stack = prepare(home, models, announce=lambda _: None)
    house = House(stack, "tides")
    try:
        stack.start(house.parts("tides"), owned=True)
        stack.wait_ready(120, names=house.parts("tides"))
        yield house
    finally:
        for process in stack.members():
            process.send_signal(signal.SIGCONT)  # a test that failed may have left one stopped
        stack.stop()
    assert [] == [process for process in stack.members() if psutil.pid_exists(process.pid)]


@pytest.fixture
def house(tides: House) -> Iterator[House]:
    """The house with everything running and all traffic at the champion."""
    tides.settle()
    yield tides
    tides.settle()


def seed(home: Path, model: str, slot: str, version: str) -> None:
    """Leave a slot as a server that had loaded a version leaves it."""
    folder = home / "slots" / f"{model}-{slot}" / f"{version}-seed"
    folder.mkdir(parents=True)
    graph(folder / "model.onnx")
    state: dict[str, Any] = {"schema_version": 1, "model": model, "slot": slot, "version": version}
    state["file"] = f"{version}-seed/model.onnx"
    (home / "slots" / f"{model}-{slot}.json").write_text(json.dumps(state))


def graph(path: Path) -> Path:
    """Write a model that answers the depth."""
    depth = helper.make_tensor_value_info("depth", TensorProto.FLOAT, [None, 1])
    height = helper.make_tensor_value_info("variable", TensorProto.FLOAT, [None, 1])
    made = helper.make_graph([helper.make_node("Identity", ["depth"], ["variable"])], "g", [depth], [height])
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))
    return path
