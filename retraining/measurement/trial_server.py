"""A model server of its own for one ONNX file: the real one, in a process that nothing of production sees."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import psutil

from spec import ModelSpec, Refused, Unavailable
from spec.quality import Door

_HOST = "127.0.0.1"
_READY_LIMIT_S = 60.0
_ANSWER_LIMIT_S = 30.0
_LOG_LIMIT_S = 5.0
_STOP_LIMIT_S = 15.0
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.005, 0.1
_OK = 200
_ERROR = re.compile(r"^\S+ ERROR \S+: (.+)$", re.MULTILINE)
_PENDING = re.compile(r"^trimtab_log_pending_rows\{.*\} [1-9]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class TrialServer:
    """A model server that is ready, and one connection to it.

    Parameters
    ----------
    start_seconds
        From the start of the process until it was ready.
    """

    model: str
    process: psutil.Process
    connection: http.client.HTTPConnection
    start_seconds: float

    def infer(self, body: bytes) -> bytes:
        """Return the answer to an inference request.

        Raises
        ------
        Refused
            The answer is an error, or there is none.
        """
        return self._ask("POST", f"/v2/models/{self.model}/infer", body)

    def metrics(self) -> str:
        """Return what Prometheus would see."""
        return self._ask("GET", "/metrics").decode()

    def await_log(self) -> None:
        """Return when all that was answered is in the log, or after five seconds."""
        deadline = monotonic() + _LOG_LIMIT_S
        while _PENDING.search(self.metrics()) and monotonic() < deadline:
            with suppress(psutil.TimeoutExpired):
                self.process.wait(_LAST_PAUSE_S)

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        try:
            self.connection.request(method, path, body)
            answer = self.connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            msg = f"The model server broke off over {path}: {error or type(error).__name__}"
            raise Refused(msg) from error
        if answer.status != _OK:
            msg = f"The model server answered {answer.status}: {_told(content)}"
            raise Refused(msg)
        return content


@contextmanager
def trial_server(spec: ModelSpec, file: Path) -> Iterator[TrialServer]:
    """Serve a file while the context is entered.

    The server has a home of its own, which is deleted at the end, and logs what it answers there. It stops
    when it is left or this process ends, however that comes about.

    Raises
    ------
    Refused
        The server does not start with this file; with its reason.
    Unavailable
        It was not ready within a minute.
    """
    with TemporaryDirectory(prefix="trimtab-trial-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        log = home / "server.log"
        started = monotonic()
        child = _start(spec, file.absolute(), home, log)
        try:
            port = _await_port(child, log, started + _READY_LIMIT_S)
            connection = http.client.HTTPConnection(_HOST, port, timeout=_ANSWER_LIMIT_S)
            server = TrialServer(spec.model, psutil.Process(child.pid), connection, monotonic() - started)
            try:
                yield server
            finally:
                connection.close()
        finally:
            _stop(child)


def _start(spec: ModelSpec, file: Path, home: Path, log: Path) -> subprocess.Popen[bytes]:
    models = home / "models"
    models.mkdir()
    (models / f"{spec.model}.yaml").write_text(_trial(spec), "utf-8")
    own = {"TRIMTAB_HOME": str(home), "TRIMTAB_MODELS": str(models)}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRIMTAB_")}
    options = ["--slot", "blue", "--file", str(file), "--host", _HOST, "--port", "0", "--until-eof"]
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "trimtab", "serve", spec.model, *options],
            env=inherited | own,
            stdin=subprocess.PIPE,  # its end, which comes with ours, ends the server
            stdout=output,
            stderr=output,
        )


def _trial(spec: ModelSpec) -> str:
    """Return a model's YAML whose log stays in the home, and whose door lets every row in as it is."""
    data = spec.data.model_copy(update={"inference_log": "log"})
    quality = spec.monitor.quality
    if quality.door is Door.REJECT:
        quality = quality.model_copy(update={"door": Door.FLAG})
    monitor = spec.monitor.model_copy(update={"quality": quality})
    # The rows to be asked hold tokens already, and the trial has no key.
    features = {
        name: one.model_copy(update={"private": None}) if one.private == "tokenize" else one
        for name, one in spec.features.items()
    }
    trial = spec.model_copy(update={"data": data, "monitor": monitor, "features": features})
    return trial.model_dump_json(by_alias=True, exclude_unset=True)


def _await_port(child: subprocess.Popen[bytes], log: Path, deadline: float) -> int:
    """Return the port that the server listens on, once it is ready."""
    pause = _FIRST_PAUSE_S
    while monotonic() < deadline:
        for port in _ports(child.pid):
            if _is_ready(port):
                return port
        try:
            child.wait(pause)
        except subprocess.TimeoutExpired:
            pause = min(pause * 1.5, _LAST_PAUSE_S)
        else:
            msg = f"The model server does not start with the file: {_reason(log)}"
            raise Refused(msg)
    msg = f"The model server was not ready after {_READY_LIMIT_S:.0f} s: {_reason(log)}"
    raise Unavailable(msg)


def _ports(pid: int) -> list[int]:
    try:
        connections = psutil.Process(pid).net_connections("tcp4")
    except psutil.Error:  # it is about to end
        return []
    return [one.laddr.port for one in connections if one.status == psutil.CONN_LISTEN]


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection(_HOST, port, timeout=_ANSWER_LIMIT_S)
    try:
        connection.request("GET", "/v2/health/ready")
        return connection.getresponse().status == _OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdin is not None:
        child.stdin.close()


def _reason(log: Path) -> str:
    """Return the first error in a server's log in one line; its last line, where it did not come so far."""
    text = log.read_text("utf-8", "replace").strip()
    if told := _ERROR.search(text):
        return told[1]
    return text.rpartition("\n")[2] or "it said nothing"


def _told(content: bytes) -> str:
    try:
        return str(json.loads(content)["error"])
    except (ValueError, KeyError, TypeError):
        return repr(content[:200])
