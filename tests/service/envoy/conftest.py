"""A real Envoy with two model servers behind it."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from rollout.routers.envoy import EnvoyRouter, bootstrap, command
from spec import ModelSpec, Settings, loads

ENVOY = str(Path(sys.executable).with_name("envoy"))
SPECS: dict[str, ModelSpec] = {
    name: loads(f"""
model: {name}
task: binary
data: {{inference_log: log, labels: labels, id: id, time: t, target: {{name: late}}}}
features: {{x: numeric}}
""")
    for name in ("flights", "hotels")
}


@dataclass
class Slot:
    """A model server that only remembers who asked what."""

    name: str
    status: int = 200
    seen: list[dict[str, str]] = field(default_factory=list)

    @contextmanager
    def serving(self) -> Iterator[int]:
        """Listen; the port."""
        slot = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet an answer
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
                request = {"host": self.headers["host"], "id": self.headers["x-request-id"]}
                tester = self.headers["x-trimtab-tester"]
                slot.seen.append({"path": self.path, "body": body, "tester": tester, **request})
                answer = json.dumps({"slot": slot.name}).encode()
                self.send_response(slot.status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST  # noqa: N815 - the name that http.server calls

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as above
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            try:
                yield server.server_port
            finally:
                server.shutdown()
                thread.join()


@dataclass
class Gateway:
    """A running Envoy with two model servers behind it."""

    settings: Settings
    blue: Slot
    green: Slot
    client: httpx.Client
    process: subprocess.Popen[bytes]

    specs: ClassVar = SPECS
    """The models behind the gateway, by name."""

    @property
    def router(self) -> EnvoyRouter:
        """A router of all models."""
        return EnvoyRouter(self.settings, SPECS)

    def infer(self, model: str = "flights", body: str = "{}", **headers: str) -> httpx.Response:
        """Ask for one prediction."""
        return self.client.post(f"/v2/models/{model}/infer", content=body, headers=headers)

    def answered_by(self, count: int) -> Counter[str]:
        """Who answers that many requests."""
        return Counter(str(self.infer().json()["slot"]) for _ in range(count))

    @contextmanager
    def started(self, number: int = 0) -> Iterator[subprocess.Popen[bytes]]:
        """Run another Envoy on the same files, with the admin port of that number."""
        with start(self.settings, number) as process:
            yield process

    @staticmethod
    def until(condition: Callable[[], object], seconds: float = 20) -> None:
        """Wait for something that a server does on its own; fail after some seconds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.02)

    @staticmethod
    def lease(seconds: float = 60) -> datetime:
        """Some wall time from now."""
        return datetime.now(UTC) + timedelta(seconds=seconds)

    @staticmethod
    def free_ports(count: int) -> list[int]:
        """Ports that nobody listens on."""
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
        ports = [int(one.getsockname()[1]) for one in sockets]
        for one in sockets:
            one.close()
        return ports


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """Two model servers and an Envoy before them."""
    blue, green = Slot("blue"), Slot("green")
    with ExitStack() as stack:
        urls = {
            slot.name: f"http://127.0.0.1:{stack.enter_context(slot.serving())}" for slot in (blue, green)
        }
        port, admin = Gateway.free_ports(2)
        env = {
            "TRIMTAB_HOME": str(tmp_path),
            "TRIMTAB_GATEWAY_URL": f"http://127.0.0.1:{port}",
            "TRIMTAB_ENVOY_ADMIN_URL": f"http://127.0.0.1:{admin}",
            "TRIMTAB_SLOTS": json.dumps(dict.fromkeys(SPECS, urls)),
        }
        settings = Settings.from_env(env)
        bootstrap(settings, SPECS, port, admin)
        process = stack.enter_context(start(settings))
        client = stack.enter_context(httpx.Client(base_url=settings.gateway_url, timeout=10, trust_env=False))
        yield Gateway(settings, blue, green, client, process)


@contextmanager
def start(settings: Settings, number: int = 0) -> Iterator[subprocess.Popen[bytes]]:
    """Run an Envoy on the files that `bootstrap` wrote."""
    with subprocess.Popen([*command(settings, ENVOY, number), "--concurrency", "1"]) as process:
        try:
            Gateway.until(lambda: answers(f"{settings.envoy_admin_urls[number]}/ready"))
            yield process
        finally:
            process.kill()


def answers(url: str) -> bool:
    """Whether a URL answers with success."""
    try:
        return httpx.get(url, timeout=1, trust_env=False).is_success
    except httpx.TransportError:
        return False
