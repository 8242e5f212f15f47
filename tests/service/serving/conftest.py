import http.client
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

TIDES = """
model: tides
task: binary
data: {inference_log: tides/log, labels: tides/labels, id: id, time: at, target: {name: late}}
features: {depth: numeric, spring: boolean, port: categorical}
"""
TOKEN = "sesame"
SERVE = """
import logging, sys
from pathlib import Path
import spec
from serving import server
logging.basicConfig(level=logging.INFO)
model, slot, port = spec.load(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
server.run(model, slot, spec.Settings.from_env(), "127.0.0.1", port)
"""
HERE = Path(__file__).parent


def request(identity: str, depth: float = 2.5) -> dict[str, Any]:
    """One row."""
    return {
        "id": identity,
        "parameters": {"event_time": "2024-02-29T12:00:00Z"},
        "inputs": [
            {"name": "depth", "shape": [1], "datatype": "FP64", "data": [depth]},
            {"name": "spring", "shape": [1], "datatype": "BOOL", "data": [True]},
            {"name": "port", "shape": [1], "datatype": "BYTES", "data": ["Brest"]},
        ],
    }


@dataclass
class Server:
    """One model server process and a client of it."""

    home: Path
    slot: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    connections: dict[int, http.client.HTTPConnection] = field(default_factory=dict)
    """One a thread."""

    def call(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Send a request on this thread's connection; give back status and JSON."""
        connection = self.connection()
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        try:
            connection.request(method, path, content, headers or {})
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            raise
        kind = response.getheader("content-type", "")
        return response.status, json.loads(text) if kind == "application/json" else text.decode()

    def connection(self) -> http.client.HTTPConnection:
        """The connection of the calling thread."""
        fresh = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        return self.connections.setdefault(threading.get_ident(), fresh)

    def infer(self, identity: str, **headers: str) -> tuple[int, Any]:
        """Ask for one prediction."""
        return self.call("POST", "/v2/models/tides/infer", request(identity), headers)

    def load(self, token: str = TOKEN, **parameters: Any) -> tuple[int, Any]:
        """Ask for another version."""
        headers = {"authorization": f"Bearer {token}"}
        return self.call("POST", "/v2/repository/models/tides/load", {"parameters": parameters}, headers)

    def metric(self, series: str) -> float:
        """The value of one series, 0 if it is not there."""
        lines = self.call("GET", "/metrics")[1].splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(series)), 0.0)

    def total(self, name: str) -> float:
        """The sum of all series whose names and labels begin so."""
        lines = self.call("GET", "/metrics")[1].splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    def await_total(self, name: str, value: float) -> None:
        """Ask until the series together have the value."""
        pause = threading.Event()
        while self.total(name) < value:
            pause.wait(0.01)

    def grpc_address(self, number: int = 0) -> str:
        """Where it listens for gRPC, as its log says."""
        found: list[str] = re.findall(r"gRPC on (\S+)", self.log.read_text())
        return found[number]

    def rows(self) -> list[dict[str, Any]]:
        """All rows of the inference log in Delta."""
        return DeltaTable(self.home / "tides/log").to_pyarrow_table().to_pylist()

    def await_status(self, path: str, status: int = 200, seconds: float = 60) -> None:
        """Ask until the path answers with the status."""
        pause = threading.Event()
        for _ in range(int(seconds / 0.05)):
            if self.process.poll() is not None:
                pytest.fail(f"the server ended: {self.log.read_text()}")
            try:
                if self.call("GET", path)[0] == status:
                    return
            except OSError:
                pass
            pause.wait(0.05)
        pytest.fail(f"{path} did not answer {status} in {seconds} s: {self.log.read_text()}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; give back the exit code."""
        self.process.send_signal(number)
        return self.process.wait(30)


class Traffic:
    """Clients that ask until the server goes away, and remember what was answered."""

    def __init__(self, server: Server, clients: int = 3) -> None:
        self.name = secrets.token_hex(4)
        self.answered: list[list[str]] = [[] for _ in range(clients)]
        self.failed: list[tuple[int, Any]] = []
        self.threads = [threading.Thread(target=self._ask, args=(server, one)) for one in range(clients)]
        for thread in self.threads:
            thread.start()

    def _ask(self, server: Server, client: int) -> None:
        for number in range(100_000):
            identity = f"{self.name}-{client}-{number}"
            try:
                status, body = server.infer(identity)
            except (OSError, http.client.HTTPException):
                return
            if status == 200:
                self.answered[client].append(body["id"])
            else:
                self.failed.append((status, body))

    def wait_for(self, answers: int) -> None:
        """Let the traffic flow until so many requests were answered."""
        pause = threading.Event()
        while self.count() < answers:
            pause.wait(0.01)

    def count(self) -> int:
        """How many requests were answered."""
        return sum(map(len, self.answered))

    def ended(self) -> list[str]:
        """The answered ids, when all clients have noticed the end."""
        for thread in self.threads:
            thread.join()
        assert self.failed == []
        return [identity for each in self.answered for identity in each]


Start = Callable[..., Server]


@pytest.fixture
def ask() -> type[Traffic]:
    """Ask a server with several clients until it goes away."""
    return Traffic


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an MLflow store of the model's versions, and their ONNX files."""
    folder = tmp_path_factory.mktemp("store")
    program = [sys.executable, str(HERE / "registry_store.py"), uri(folder), str(folder)]
    subprocess.run(program, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a slow model."""
    file = tmp_path_factory.mktemp("slow") / "slow.onnx"
    subprocess.run([sys.executable, str(HERE / "slow_model.py"), str(file)], check=True)
    return file


def uri(folder: Path) -> str:
    """The tracking URI of a store."""
    return f"sqlite:///{folder / 'mlflow.db'}"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A state folder with the model's YAML and the serving token."""
    (tmp_path / "tides.yaml").write_text(TIDES)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "serving").write_text(f"{TOKEN}\n")
    return tmp_path


@pytest.fixture
def start(home: Path, store: Path) -> Iterator[Start]:
    """Start model servers on free ports; whatever still runs at the end is killed."""
    servers: list[Server] = []

    def begin(
        slot: str = "blue",
        *,
        loaded: str | None = "1",
        mlflow_uri: str | None = None,
        file: Path | None = None,
        options: tuple[str, ...] = (),
        within: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
    ) -> Server:
        if loaded is not None and file is None:
            remember(home, store, slot, loaded)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        log = home / f"{slot}-{len(servers)}.log"
        surroundings = os.environ | {
            "TRIMTAB_HOME": str(home),
            "TRIMTAB_MODELS": str(home),
            "TRIMTAB_MLFLOW_URI": mlflow_uri or uri(store),
            **(environment or {}),
        }
        command = [*within, *program(home, slot, port, file, options)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, env=surroundings, stdin=subprocess.PIPE, stdout=output, stderr=output
            )
        server = Server(home, slot, port, process, log)
        servers.append(server)
        server.await_status("/v2/health/ready" if loaded else "/v2/health/live")
        return server

    yield begin
    for server in servers:
        server.process.kill()
        server.process.wait()
        server.process.stdin.close()
        for connection in server.connections.values():
            connection.close()


def program(home: Path, slot: str, port: int, file: Path | None, options: tuple[str, ...]) -> list[str]:
    """The command that serves: the function itself, or `trimtab serve` where a file or options are given."""
    if file is not None:
        options = ("--file", str(file), *options)
    if not options:
        return [sys.executable, "-c", SERVE, str(home / "tides.yaml"), slot, str(port)]
    command = [sys.executable, "-m", "trimtab", "serve", "tides", "--slot", slot, "--port", str(port)]
    return [*command, "--until-eof", *options]


def remember(home: Path, store: Path, slot: str, version: str) -> None:
    """Leave a slot as a server that had loaded the version leaves it, unless one already did."""
    state = home / "slots" / f"tides-{slot}.json"
    if state.exists():
        return
    folder = home / "slots" / f"tides-{slot}" / f"{version}-seed"
    folder.mkdir(parents=True)
    shutil.copy(store / f"{version}.onnx", folder / "model.onnx")
    content = {"schema_version": 1, "model": "tides", "slot": slot, "version": version}
    state.write_text(json.dumps(content | {"file": f"{version}-seed/model.onnx"}))
