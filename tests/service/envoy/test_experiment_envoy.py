"""An experiment on the traffic of a real Envoy, counted by a real Prometheus."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from dags import experiment, steps
from rollout import slots
from rollout.experiment.comparison import Word
from rollout.experiment.report import Report
from rollout.split import Split
from spec import Settings
from spec.experiment import Experiment

pytestmark = pytest.mark.service
FOUND = {"challenger": "7", "champion": "6", "slot": "green"}


class Info(BaseHTTPRequestHandler):
    """What the model servers say of themselves: which version is in which slot."""

    def do_GET(self) -> None:
        """Answer a scrape."""
        text = "".join(
            f'trimtab_slot_info{{model="flights",version="{version}",slot="{slot}"}} 1\n'
            for version, slot in (("6", "blue"), ("7", "green"))
        ).encode()
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as http.server calls it
        """Say nothing."""


@contextmanager
def informing() -> Iterator[int]:
    """Serve `Info`; the port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Info) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def watched(gateway: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """The gateway's settings, with a Prometheus that scrapes it five times a second."""
    monkeypatch.setattr(steps, "_router", lambda _: gateway.router)
    monkeypatch.setattr(experiment, "_router", lambda _: gateway.router)
    with ExitStack() as stack:
        port, address = gateway.free_ports(1)[0], stack.enter_context(informing())
        envoy = gateway.settings.envoy_admin_urls[0].removeprefix("http://")
        jobs = [
            {"job_name": "slots", "static_configs": [{"targets": [f"127.0.0.1:{address}"]}]},
            {
                "job_name": "envoy",
                "metrics_path": "/stats/prometheus",
                "static_configs": [{"targets": [envoy]}],
            },
        ]
        often = {"scrape_interval": "200ms", "scrape_timeout": "200ms"}
        config = tmp_path / "prometheus.yml"
        config.write_text(json.dumps({"global": often, "scrape_configs": jobs}), "utf-8")
        flags = [f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'tsdb'}", "--log.level=error"]
        process = stack.enter_context(
            subprocess.Popen(["prometheus", *flags, f"--web.listen-address=127.0.0.1:{port}"])
        )
        stack.callback(process.terminate)
        url = f"http://127.0.0.1:{port}"
        gateway.until(lambda: _knows(url), 30)
        yield replace(gateway.settings, prometheus_url=url)


def _knows(url: str) -> bool:
    """Whether Prometheus has scraped the gateway."""
    asked = {"query": "envoy_server_live"}
    try:
        answer = httpx.get(f"{url}/api/v1/query", params=asked, timeout=2, trust_env=False)
    except httpx.TransportError:
        return False
    return answer.is_success and bool(answer.json()["data"]["result"])


def test_an_experiment_holds_sees_harm_and_leaves_no_trace(
    gateway: Any, watched: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the callers meet the version; an equal one goes on; harm ends it, and the traffic is back."""
    spec = gateway.specs["flights"]
    monkeypatch.setattr(slots, "loaded", lambda *_: FOUND["challenger"])  # its upstreams name no version
    terms = Experiment().but(**{"for": "1d"}).model_dump(mode="json", by_alias=True)
    found = FOUND | {"began": datetime.now(UTC).isoformat(), "terms": terms}
    since = experiment.begin(spec, watched, found)

    def look(count: int) -> Report:
        """Look until the gateway's count of both versions is there."""
        reports: list[Report] = []

        def counted() -> bool:
            reports.append(experiment.look(spec, watched, found, since))
            return (drawn := reports[-1].drawn) is not None and drawn.of >= count

        gateway.until(counted)
        return reports[-1]

    shares = gateway.answered_by(300)
    equal = look(300)
    gateway.green.status = 503
    for _ in range(150):
        gateway.infer()
    harmed = look(450)
    experiment.give_back(spec, watched)

    assert 0.35 < shares["green"] / 300 < 0.65  # five standard errors
    assert equal.drawn is not None
    assert not equal.drawn.strays(0.5)
    assert "" == equal.end
    assert "Harm is shown: errors." == harmed.end
    errors = harmed.comparisons[0]
    assert ("errors", Word.WORSE, 0.0) == (errors.name, errors.word, errors.champion)
    assert Split(champion="blue") == gateway.router.read("flights")
    assert {"blue": 50} == dict(gateway.answered_by(50))
    assert harmed == experiment.newest(watched, "flights")
