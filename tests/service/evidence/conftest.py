"""A real Prometheus that scrapes a small target, and what is asked of it."""

from __future__ import annotations

import http.server
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from rollout.evidence import collect
from rollout.observations import Evidence
from rollout.steps import Step
from spec import SHADOW, ModelSpec, Settings, loads

HEAD = """
model: flights
task: binary
data: {{inference_log: log, labels: labels, id: id, time: t, target: {{name: late}}}}
features: {{x: numeric}}
rollout: {{gates: {{{gates}}}}}
"""
SERVED = 'trimtab_predictions_total{{model="flights",version="{v}",slot="{s}",shadow="{c}",outcome="{o}"}}'
LABELS = '{{model="flights",version="{v}",slot="{s}",shadow="{c}",'
TIMED = "trimtab_prediction_duration_seconds_bucket" + LABELS + 'le="{le}"}}'
PASSED = 'envoy_cluster_upstream_rq_xx{{envoy_cluster_name="flights-{s}",envoy_response_code_class="{k}"}}'
SLOT = {"1": "blue", "2": "green", "3": "green"}


@dataclass
class Target:
    """Counters, served as Prometheus text; `scrapes` counts how often they were read."""

    values: dict[str, float] = field(default_factory=dict)
    scrapes: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def now(self, values: Mapping[str, float], *, fresh: bool = False) -> None:
        """Change counters (or begin anew, as a restart does) and return once they were scraped."""
        with self.changed:
            self.values = dict(values) if fresh else self.values | values
            seen = self.scrapes
            assert self.changed.wait_for(lambda: self.scrapes >= seen + 2, timeout=20)

    def text(self) -> bytes:
        """Return the exposition and count the scrape."""
        with self.changed:
            self.scrapes += 1
            self.changed.notify_all()
            return "".join(f"{name} {value}\n" for name, value in self.values.items()).encode()

    @staticmethod
    def slots() -> dict[str, float]:
        """Return that the champion is in blue, the challenger in green."""
        info = 'trimtab_slot_info{{model="flights",version="{}",slot="{}"}}'
        return {info.format("1", "blue"): 1, info.format("2", "green"): 1}

    @staticmethod
    def served(version: str, copies: str, ok: int, error: int) -> dict[str, float]:
        """Return requests of a version, as its model server counts them."""
        told = {"ok": ok, "error": error}
        return {SERVED.format(v=version, s=SLOT[version], c=copies, o=name): told[name] for name in told}

    @staticmethod
    def timed(version: str, copies: str, fast: int, every: int) -> dict[str, float]:
        """Return durations of a version; `fast` within 50 ms."""
        counts = {"0.025": fast // 2, "0.05": fast, "+Inf": every}
        slot = SLOT[version]
        return {TIMED.format(v=version, s=slot, c=copies, le=le): count for le, count in counts.items()}

    @staticmethod
    def passed(slot: str, ok: int, failed: int) -> dict[str, float]:
        """Return requests to a slot's cluster, as Envoy counts them."""
        return {PASSED.format(s=slot, k="2"): ok, PASSED.format(s=slot, k="5"): failed}


@dataclass
class Scraped:
    """A running Prometheus and its target."""

    target: Target
    settings: Settings
    spec: ModelSpec

    def collect(self, since: datetime, step: Step = SHADOW) -> Evidence:
        """Collect what was scraped since a wall time."""
        return collect(self.spec, self.settings, "2", "1", since, datetime.now(UTC), step)

    @staticmethod
    def asking(gates: str) -> ModelSpec:
        """Return the model with other gates."""
        return loads(HEAD.format(gates=gates))


@pytest.fixture(scope="session")
def spec() -> ModelSpec:
    """A model that asks for 50 ms."""
    return Scraped.asking("latency_p99: 50ms")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, spec: ModelSpec) -> Iterator[Scraped]:
    """Prometheus that scrapes one target five times a second."""
    home, target = tmp_path_factory.mktemp("prometheus"), Target()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = target.text()
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as http.server calls it
            pass

    with ExitStack() as stack:
        server = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        url = stack.enter_context(running(home, server.server_port))
        env = {"TRIMTAB_HOME": str(home), "TRIMTAB_PROMETHEUS_URL": url}
        yield Scraped(target, Settings.from_env(env), spec)


@contextmanager
def running(home: Path, target: int) -> Iterator[str]:
    """Run Prometheus on a target; give its address once it is ready."""
    jobs = [{"job_name": "t", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}]
    config = {"global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"}, "scrape_configs": jobs}
    (home / "prometheus.yml").write_text(json.dumps(config))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    flags = {
        "config.file": home / "prometheus.yml",
        "storage.tsdb.path": home / "data",
        "web.listen-address": address,
        "log.level": "error",
    }
    process = subprocess.Popen(["prometheus", *(f"--{key}={value}" for key, value in flags.items())])
    try:
        deadline = time.monotonic() + 30
        while not ready(address):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(20)


def ready(address: str) -> bool:
    """Return whether Prometheus answers."""
    try:
        return httpx.get(f"http://{address}/-/ready", timeout=1, trust_env=False).is_success
    except httpx.TransportError:
        return False


@pytest.fixture
def target(prometheus: Scraped) -> Target:
    """The target, with two versions that have served already before the test's step."""
    made = prometheus.target
    before = made.served("1", "false", 1000, 7) | made.served("1", "true", 0, 0)
    before |= made.served("2", "true", 300, 3) | made.served("2", "false", 50, 2)
    for version, copies in (("1", "false"), ("1", "true"), ("2", "false"), ("2", "true")):
        before |= made.timed(version, copies, 100, 101)
    made.now(made.slots() | before, fresh=True)
    return made
