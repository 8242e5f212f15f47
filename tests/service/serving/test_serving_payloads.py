"""The payload receiver as its command starts it: CloudEvents over loopback, killed in between."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import spec
from monitors.tables import inference_log

pytestmark = pytest.mark.service

SECRET = "Ada-Lovelace-7"
TOKEN = "open-payloads"
RUNNING = re.compile(r"Uvicorn running on http://127\.0\.0\.1:(\d+)")
Start = Callable[[], "Receiver"]


class Receiver:
    """One process of `trimtab payload-receiver`, and a client of it."""

    def __init__(self, home: Path, log: Path) -> None:
        self.log = log
        environment = os.environ | {"TRIMTAB_HOME": str(home), "TRIMTAB_MODELS": str(home)}
        program = [sys.executable, "-m", "trimtab", "payload-receiver", "tides"]
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [*program, "--port", "0", "--version", "7"], env=environment, stdout=output, stderr=output
            )
        self.port = self._await_port()

    def _await_port(self) -> int:
        pause = threading.Event()
        for _ in range(1200):
            if found := RUNNING.search(self.log.read_text()):
                return int(found[1])
            if self.process.poll() is not None:
                break
            pause.wait(0.05)
        pytest.fail(f"the receiver did not start: {self.log.read_text()}")

    def send(self, kind: str, identity: str, body: object) -> int:
        """Deliver an event as KServe's logger does; give back the status."""
        about = {
            "Ce-Specversion": "1.0", "Ce-Id": identity, "Ce-Source": "http://localhost:9081/",
            "Ce-Type": f"org.kubeflow.serving.inference.{kind}", "Ce-Time": "2024-02-29T12:00:00.123456789Z",
            "Ce-Inferenceservicename": "tides", "Ce-Namespace": "harbour", "Ce-Component": "predictor",
            "Ce-Endpoint": "", "Ce-Metadata": "{}", "Content-Type": "application/json",
            "Authorization": f"Bearer {TOKEN}",
        }  # fmt: skip
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("POST", "/", json.dumps(body).encode(), about)
            return connection.getresponse().status
        finally:
            connection.close()

    def ask(self, identity: str, port: str = "Brest") -> int:
        """Deliver a request."""
        return self.send("request", identity, {"instances": [[2.5, True, port]]})

    def answer(self, identity: str) -> int:
        """Deliver a response."""
        return self.send("response", identity, {"predictions": [[0.75, 0.25]]})

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; give back the exit code."""
        self.process.send_signal(number)
        return self.process.wait(30)


@pytest.fixture
def receiver(home: Path) -> Iterator[Start]:
    """Start receivers of one home; whatever still runs at the end is killed."""
    (home / "secrets" / "payload").write_text(TOKEN)
    started: list[Receiver] = []

    def begin() -> Receiver:
        started.append(Receiver(home, home / f"receiver-{len(started)}.log"))
        return started[-1]

    yield begin
    for one in started:
        one.process.kill()
        one.process.wait()


def rows(home: Path) -> list[dict[str, Any]]:
    """What monitors read of the log."""
    model = spec.load(home / "tides.yaml")
    return inference_log.read(model, spec.Settings.from_env({"TRIMTAB_HOME": str(home)})).to_pylist()


def test_pairs_survive_kill_9_and_are_rows_exactly_once(receiver: Start, home: Path) -> None:
    """Killed between requests and responses, and again behind them: each prediction is one row."""
    before = receiver()
    asked = [f"asked-{number}" for number in range(20)]
    assert {before.ask(one) for one in asked} == {200}
    assert {before.answer(one) for one in ("first-a", "first-b")} == {200}
    assert before.stop(signal.SIGKILL) == -signal.SIGKILL

    between = receiver()
    assert {between.answer(one) for one in asked} == {200}
    assert {between.ask(one) for one in ("first-a", "first-b", *asked)} == {200}
    assert between.stop(signal.SIGKILL) == -signal.SIGKILL

    after = receiver()
    assert {after.answer(one) for one in asked} == {200}
    assert after.stop() == 0
    found = rows(home)
    assert Counter(row["prediction_id"] for row in found) == Counter(["first-a", "first-b", *asked])
    assert {(row["version"], row["slot"], *row["scores"]) for row in found} == {("7", "blue", 0.25)}


def test_a_private_value_never_touches_the_disk(receiver: Start, home: Path) -> None:
    """Neither the half that waits, nor the finished row, nor the log of the receiver holds it."""
    file = home / "tides.yaml"
    text = file.read_text().replace("port: categorical", "port: {type: categorical, private: tokenize}")
    file.write_text(text)
    (home / "secrets" / "private").write_text("0123456789abcdef0123456789abcdef")
    waiting = receiver()
    assert waiting.ask("a", SECRET) == 200
    assert waiting.ask("b", SECRET) == 200
    waiting.stop(signal.SIGKILL)
    halves = [one for one in (home / "payloads/tides").iterdir() if b'"port":' in one.read_bytes()]
    done = receiver()
    assert {done.answer("a"), done.answer("b")} == {200}
    assert done.stop() == 0

    assert halves
    tokens = {row["f_port"] for row in rows(home)}
    assert len(tokens) == 1
    assert SECRET not in tokens
    everything = [file for file in home.rglob("*") if file.is_file()]
    assert [file for file in everything if SECRET.encode() in file.read_bytes()] == []


def test_one_receiver_a_model_and_none_without_a_token(receiver: Start, home: Path) -> None:
    """A second process is refused while the first lives; without the token's file there is no start."""
    first = receiver()
    program = [sys.executable, "-m", "trimtab", "payload-receiver", "tides", "--port", "0"]
    options = ["--home", str(home), "--models", str(home)]
    second = subprocess.run([*program, *options], check=False, capture_output=True, text=True, timeout=60)
    assert (second.returncode, "Another payload receiver holds" in second.stderr) == (3, True)
    assert first.stop() == 0

    (home / "secrets" / "payload").unlink()
    third = subprocess.run([*program, *options], check=False, capture_output=True, text=True, timeout=60)
    assert (third.returncode, "must be a readable secret file" in third.stderr) == (3, True)
