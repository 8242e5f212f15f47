"""The model servers of the bench: how each is started for one core, and what its processes take of it."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.peers import environments
from bench.peers.client import QUIET, Failed
from bench.speed.served_model import MODELS, Served
from bench.speed.served_wire import Inference, Mlflow, Records, Wire

OURS, MLSERVER, MLFLOW, FASTAPI = "trimtab", "mlserver", "mlflow_serve", "fastapi_app"
UNLOGGED, SPREAD = f"{OURS}_unlogged", f"{OURS}_spread"
_WITHOUT_A_LOG = Path(__file__).with_name("unlogged_server.py")
_ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
_START_S, _STOP_S, _POLL_S = 120, 30, 0.1
_QUIET_S, _QUIET_SHARE, _QUIET_LIMIT_S = 0.4, 0.03, 15

Command = tuple[list[str], Mapping[str, str]]


@dataclass(frozen=True)
class Kind:
    """One server.

    Parameters
    ----------
    settings
        How it is set up, told in the report.
    ready
        Path that answers 200 once the model is loaded.
    command
        Makes the program and its environment, from the model, an empty folder and a free port.
    """

    settings: str
    ready: str
    wire: Wire
    command: Callable[[Served, Path, int], Command]


def _trimtab(served: Served, folder: Path, port: int) -> Command:
    options = ["--slot", "blue", "--port", str(port), "--file", str(served.file)]
    options += ["--home", str(folder), "--models", str(MODELS)]
    return [sys.executable, "-m", "trimtab", "serve", served.spec.model, *options], {}


def _unlogged(served: Served, folder: Path, port: int) -> Command:
    command, environment = _trimtab(served, folder, port)
    options = command[command.index("serve") :]
    return [command[0], "-P", str(_WITHOUT_A_LOG), *options], environment  # -P: beside it lies a `serving`


def _mlserver(served: Served, folder: Path, port: int) -> Command:
    settings = {
        "debug": False,
        "gzip_enabled": False,
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "parallel_workers": 0,
    }
    model = {
        "name": served.spec.model,
        "implementation": "mlserver_runtime.Onnx",
        "parameters": {"uri": str(served.file)},
    }
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "model-settings.json").write_text(json.dumps(model), encoding="utf-8")
    program = environments.python(MLSERVER).with_name("mlserver")
    return [str(program), "start", str(folder)], {"PYTHONPATH": str(environments.HERE)}


def _mlflow(served: Served, folder: Path, port: int) -> Command:
    python, model = environments.python(MLFLOW), folder / "model"
    script = environments.HERE / "mlflow_serve.py"
    saved = subprocess.run(  # noqa: S603 - a program of ours
        [python, script, served.file, model],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | QUIET,
    )
    if saved.returncode:
        raise Failed(saved.stderr[-2000:])
    options = ["--env-manager", "local", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
    path = f"{python.parent}:{os.environ['PATH']}"
    return [str(python.with_name("mlflow")), "models", "serve", "-m", str(model), *options], {"PATH": path}


def _fastapi(served: Served, _folder: Path, port: int) -> Command:
    program = environments.python(FASTAPI).with_name("uvicorn")
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--no-access-log"]
    environment = {"PYTHONPATH": str(environments.HERE), "FLIGHTS_ONNX": str(served.file)}
    return [str(program), "fastapi_app:app", *options, "--log-level", "warning"], environment


KINDS: dict[str, Kind] = {
    OURS: Kind(
        "trimtab serve --file: log on, metrics on",
        "/v2/health/ready",
        Inference("/v2/models/flights/infer"),
        _trimtab,
    ),
    UNLOGGED: Kind(
        "the same without its inference log, to tell what that costs",
        "/v2/health/ready",
        Inference("/v2/models/flights/infer"),
        _unlogged,
    ),
    SPREAD: Kind(
        "the same with its log, whose commits have the client's core",
        "/v2/health/ready",
        Inference("/v2/models/flights/infer"),
        _trimtab,
    ),
    MLSERVER: Kind(
        "parallel_workers 0, debug off, gzip off, httptools and uvloop, custom runtime, no payload log",
        "/v2/models/flights/ready",
        Inference("/v2/models/flights/infer"),
        _mlserver,
    ),
    MLFLOW: Kind(
        "mlflow models serve, 1 worker, httptools and uvloop, onnx flavour, tensor signature, no log",
        "/ping",
        Mlflow("/invocations"),
        _mlflow,
    ),
    FASTAPI: Kind(
        "uvicorn, 1 worker, httptools and uvloop, no access log, async endpoint, pydantic rows, no log",
        "/ready",
        Records("/predict"),
        _fastapi,
    ),
}


class Server:
    """One running server, its processes on one core.

    Raises
    ------
    Failed
        It did not get ready in time; the message holds the end of what it said.
    """

    def __init__(self, name: str, served: Served, folder: Path, core: int) -> None:
        self.name = name
        self.kind = KINDS[name]
        self.port = free_port()
        environments.make(name)
        folder.mkdir()
        command, environment = self.kind.command(served, folder, self.port)
        self._output = folder / "output.txt"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - a server of the bench
                ["taskset", "-c", str(core), *command],  # noqa: S607 - of every Linux
                env={**os.environ, **QUIET, **_ONE_THREAD, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=folder,
            )
        self._await_ready()

    def ask(self, request: tuple[bytes, dict[str, str]], path: str) -> tuple[bytes, dict[str, str]]:
        """Post a body with its headers; return those of the answer.

        Raises
        ------
        Failed
            The answer is no 200.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("POST", path, *request)
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        if response.status != 200:
            message = f"{self.name}: {response.status} {answer[:500]!r}"
            raise Failed(message)
        return answer, {name.lower(): value for name, value in response.getheaders()}

    def move_children(self, core: int) -> None:
        """Have what it has started run on another core."""
        for each in psutil.Process(self._process.pid).children(recursive=True):
            each.cpu_affinity([core])

    def processor_seconds(self) -> float:
        """Return what its processes, those that live, have taken of the processor so far."""
        root = psutil.Process(self._process.pid)
        times = [each.cpu_times() for each in (root, *root.children(recursive=True))]
        return float(sum(each.user + each.system for each in times))

    def settle(self) -> float:
        """Wait until it does nothing, so that work put off counts; return `processor_seconds`."""
        before = self.processor_seconds()
        for _ in range(int(_QUIET_LIMIT_S / _QUIET_S)):
            time.sleep(_QUIET_S)
            now = self.processor_seconds()
            if now - before <= _QUIET_SHARE * _QUIET_S:
                return now
            before = now
        return before

    def stop(self) -> None:
        """End it and all that it started."""
        if self._process.poll() is not None:
            return
        family = psutil.Process(self._process.pid).children(recursive=True)
        self._process.terminate()
        _, alive = psutil.wait_procs(family, _STOP_S)
        for each in alive:
            each.kill()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _await_ready(self) -> None:
        for _ in range(int(_START_S / _POLL_S)):
            if self._process.poll() is not None:
                break
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
                connection.request("GET", self.kind.ready)
                if connection.getresponse().status == 200:
                    return
            except OSError:
                pass  # it does not listen yet
            finally:
                connection.close()
            time.sleep(_POLL_S)
        self.stop()
        message = f"{self.name} did not start\n{self._output.read_text(errors='replace')[-2000:]}"
        raise Failed(message)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
