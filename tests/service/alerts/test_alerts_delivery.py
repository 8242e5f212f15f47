from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from alerts import alertmanager, prometheus
from alerts.alertmanager import Slack, Timing
from alerts.prometheus import Target, Targets
from alerts.requests import Notification, RetrainRequest
from alerts.rules import rule_files
from spec import loads

pytestmark = pytest.mark.service

SPECS = {
    "flights": loads(
        "{model: flights, task: binary, features: {x: numeric}, notify: {slack: '#ml-flights'}, "
        "data: {inference_log: a, labels: b, id: id, time: t, target: {name: y}}}"
    )
}
QUICK = Timing(*(timedelta(milliseconds=ms) for ms in (50, 1000, 600_000, 1500)))
SPEED = 1e6
EXPOSITION = """\
trimtab_model_performance{model="flights",version="3",metric="roc_auc",bound="lower"} 0.59
trimtab_model_performance{model="flights",version="3",metric="roc_auc",bound="value"} 0.61
trimtab_model_performance{model="flights",version="3",metric="roc_auc",bound="upper"} 0.63
trimtab_model_performance_floor{model="flights",version="3",metric="roc_auc"} 0.68
trimtab_model_info{model="flights",version="3",stage="champion"} 1
trimtab_slot_info{model="flights",version="3",slot="blue"} 1
trimtab_triage_decision{model="flights",version="3",action="retrain",cause="performance",why="Harm."} 1
process_start_time_seconds 1
"""


@dataclass(frozen=True)
class Delivery:
    """One request that a listener got."""

    path: str
    authorization: str | None
    body: bytes


@dataclass
class Listener:
    """An HTTP server that keeps what it is sent; it serves metrics, and refuses when it is told to."""

    port: int = 0
    received: queue.Queue[Delivery] = field(default_factory=queue.Queue)
    kept: list[Delivery] = field(default_factory=list)
    refusals: int = 0

    def next(self, wanted: Callable[[Delivery], bool], seconds: float = 30, *, old: bool = True) -> Delivery:
        """Take the first delivery that is wanted, of the kept `old` ones or the next; others are kept."""
        found = next((one for one in self.kept if old and wanted(one)), None)
        if found is not None:
            self.kept.remove(found)
            return found
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                delivery = self.received.get(timeout=left)
            except queue.Empty:
                break
            if wanted(delivery):
                return delivery
            self.kept.append(delivery)
        pytest.fail(f"nothing such came within {seconds} s")

    def message(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait for a Slack message whose attachment is wanted; return the whole message."""

        def is_wanted(delivery: Delivery) -> bool:
            return delivery.path == "/slack" and wanted(json.loads(delivery.body)["attachments"][0])

        message: dict[str, Any] = json.loads(self.next(is_wanted).body)
        return message


@contextmanager
def listening() -> Iterator[Listener]:
    """Serve a listener from threads."""
    listener = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, EXPOSITION.encode(), "text/plain; version=0.0.4")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/alerts" and listener.refusals:
                listener.refusals -= 1
                self._answer(503, b"", "text/plain")
            else:
                self._answer(200, b"ok", "text/plain")
            listener.received.put(Delivery(self.path, self.headers["authorization"], body))

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        listener.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield listener
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def program(*arguments: object, ready: str, log: Path) -> Iterator[None]:
    """Run a server until it is ready; end it afterwards."""
    with log.open("wb") as output:
        process = subprocess.Popen([*map(str, arguments)], stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 30
        while not answers(ready):
            assert process.poll() is None, log.read_text("utf-8")
            assert time.monotonic() < deadline, log.read_text("utf-8")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def answers(url: str) -> bool:
    """Whether a server answers 2xx."""
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False


@dataclass
class House:
    """A real Alertmanager, a real Prometheus, and the listener that is all else to them."""

    listener: Listener
    alertmanager: str
    prometheus: str

    def post(self, *alerts: dict[str, str], resolved: bool = False) -> None:
        """Send alerts to Alertmanager as Prometheus does."""
        now = datetime.now(UTC)
        times = {"startsAt": (now - timedelta(minutes=1)).isoformat()}
        if resolved:
            times["endsAt"] = now.isoformat()
        annotations = {"summary": "a summary", "description": "a description"}
        body = [{"labels": labels, "annotations": annotations, **times} for labels in alerts]
        httpx.post(f"{self.alertmanager}/api/v2/alerts", json=body).raise_for_status()

    def query(self, expression: str) -> list[dict[str, str]]:
        """Return the label sets of an instant query."""
        answer = httpx.get(f"{self.prometheus}/api/v1/query", params={"query": expression})
        return [sample["metric"] for sample in answer.json()["data"]["result"]]


def configure(home: Path, sink: str, gone: str, router: str) -> None:
    """Write both programs' files: the sink is every target but a slot that is gone, and takes every alert."""
    (home / "token").write_text("receivers-token\n", "utf-8")
    (home / "slack").write_text(f"{sink}/slack", "utf-8")
    routed = alertmanager.config(
        SPECS,
        receiver_url=sink,
        receiver_token_file=home / "token",
        slack=Slack(url_file=home / "slack"),
        watchdog_url=f"{sink}/watchdog",
        timing=QUICK,
    )
    targets = Targets(
        exporter=Target(sink),
        receiver=Target(sink),
        slots={"flights": {"blue": sink, "green": gone}},
        envoy_admins=[sink],
        alertmanager=Target(router),
    )
    watched = prometheus.config(
        targets, rules=rule_files(home / "rules", SPEED), interval=timedelta(milliseconds=250)
    )
    (home / "alertmanager.yml").write_text(yaml.safe_dump(routed), "utf-8")
    (home / "prometheus.yml").write_text(yaml.safe_dump(watched), "utf-8")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[House]:
    """Start the house on the configurations that `alerts` makes."""
    home = tmp_path_factory.mktemp("delivery")
    router, metrics = free_port(), free_port()
    with ExitStack() as stack:
        listener = stack.enter_context(listening())
        sink, gone = (f"http://127.0.0.1:{port}" for port in (listener.port, free_port()))
        configure(home, sink, gone, f"http://127.0.0.1:{router}")
        stack.enter_context(
            program(
                "prometheus-alertmanager",
                f"--config.file={home / 'alertmanager.yml'}",
                f"--storage.path={home / 'alertmanager'}",
                f"--web.listen-address=127.0.0.1:{router}",
                "--cluster.listen-address=",
                ready=f"http://127.0.0.1:{router}/-/ready",
                log=home / "alertmanager.log",
            )
        )
        stack.enter_context(
            program(
                "prometheus",
                f"--config.file={home / 'prometheus.yml'}",
                f"--storage.tsdb.path={home / 'prometheus'}",
                f"--web.listen-address=127.0.0.1:{metrics}",
                "--rules.alert.resend-delay=1s",  # the first alerts fire before Alertmanager is discovered
                ready=f"http://127.0.0.1:{metrics}/-/ready",
                log=home / "prometheus.log",
            )
        )
        yield House(listener, f"http://127.0.0.1:{router}", f"http://127.0.0.1:{metrics}")


def test_a_lost_performance_goes_from_metric_to_receiver(house: House) -> None:
    """Prometheus judges, Alertmanager delivers with the token, the receiver's reader understands."""
    delivery = house.listener.next(lambda one: one.path == "/alerts")
    (alerts,) = Notification.read(delivery.body).retrains().values()
    request = RetrainRequest.of("group", alerts, datetime.now(UTC))

    assert delivery.authorization == "Bearer receivers-token"
    assert (request.model, request.version, request.reason) == ("flights", "3", "performance")
    assert request.description.startswith("Harm. A retrain of flights version 3 is requested")


def test_people_are_told_in_the_models_channel(house: House) -> None:
    """The alert that starts a retrain reaches Slack too, with what happened, the runbook and a link."""
    message = house.listener.message(lambda text: "RetrainNeeded" in text["title"])

    (text,) = message["attachments"]
    assert message["channel"] == "#ml-flights"
    assert text["title"] == "[CRITICAL] TrimtabRetrainNeeded: flights"
    assert text["color"] == "danger"
    assert "*The model needs a retrain*" in text["text"]
    assert "Harm." in text["text"]
    assert "Runbook: docs/runbooks/TrimtabRetrainNeeded.md" in text["text"]
    assert "|Graph>" in text["text"]


def test_a_request_that_is_not_taken_is_repeated_as_the_same_episode(house: House) -> None:
    """After a 503, and again after a 2xx that refused, the same episode is asked for."""
    house.listener.refusals = 2
    bodies = [house.listener.next(lambda one: one.path == "/alerts", old=False).body for _ in range(4)]
    read = [Notification.read(body) for body in bodies]

    episodes = {
        RetrainRequest.of(n.group_key, n.retrains()["flights"], datetime.now(UTC)).episode for n in read
    }
    assert len(episodes) == 1


def test_the_watchdog_is_heard(house: House) -> None:
    """The always-firing alert reaches the dead man's switch and nobody else."""
    delivery = house.listener.next(lambda one: one.path == "/watchdog")

    assert json.loads(delivery.body)["commonLabels"]["alertname"] == "TrimtabWatchdog"


def test_a_slots_metrics_keep_their_labels(house: House) -> None:
    """A model server's own model and slot are not renamed, and a slot that is down is known by both."""
    assert house.query('{__name__=~"trimtab_.+",exported_model!=""}') == []
    (slot,) = house.query('trimtab_slot_info{job="trimtab-serving"}')
    assert (slot["model"], slot["slot"]) == ("flights", "blue")
    (down,) = house.query('up{job="trimtab-serving"} == 0')
    assert (down["model"], down["slot"]) == ("flights", "green")


def test_every_rule_evaluates(house: House) -> None:
    """No rule fails on what a real Prometheus scrapes."""
    groups = httpx.get(f"{house.prometheus}/api/v1/rules").json()["data"]["groups"]

    problems = {
        rule["name"]: rule["lastError"] for group in groups for rule in group["rules"] if "lastError" in rule
    }
    assert problems == {}


def test_a_frozen_figure_raises_no_alert(house: House) -> None:
    """While a monitor is stale the alerts made from it are held back, and those of others are not."""
    stale = {"alertname": "TrimtabMonitorStale", "model": "fares", "monitor": "drift", "severity": "warning"}
    drift = {"alertname": "TrimtabDataDrift", "model": "fares", "monitor": "drift", "severity": "warning"}
    quality = {"alertname": "TrimtabDataQuality", "model": "fares", "monitor": "quality", "check": "volume"}
    house.post(stale, drift, quality)

    assert muted(house, "fares") == {"TrimtabDataDrift"}


def test_a_fault_of_the_data_is_not_trained_in(house: House) -> None:
    """Broken inputs hold the retrain of their version back; drifted ones do not."""
    for model, check in (("ships", "null_rate"), ("trains", "out_of_range")):
        lost = {
            "alertname": "TrimtabRetrainNeeded",
            "model": model,
            "version": "1",
            "action": "retrain",
        }
        fault = {"alertname": "TrimtabDataQuality", "model": model, "version": "1", "check": check}
        house.post(lost, fault)

    assert muted(house, "ships") == {"TrimtabRetrainNeeded"}
    assert muted(house, "trains") == set()


def test_one_message_says_what_was_decided_and_found(house: House) -> None:
    """While the triage's alert fires, those of single monitors of the same version are held back."""
    decided = {"alertname": "TrimtabFixInfra", "model": "buses", "version": "1", "severity": "warning"}
    drift = {"alertname": "TrimtabDataDrift", "model": "buses", "severity": "warning", "monitor": "drift"}
    house.post(decided, drift | {"version": "1"}, drift | {"version": "2"})

    assert muted(house, "buses") == {"TrimtabDataDrift"}


def test_unequal_groups_are_told_whatever_is_decided(house: House) -> None:
    """A retrain that is asked for holds back what it may mend, such as a worse slice, and no unfairness."""
    common = {"model": "loans", "version": "1"}
    decided = {"alertname": "TrimtabRetrainNeeded", "severity": "critical", "action": "retrain"}
    house.post(
        common | decided,
        common | {"alertname": "TrimtabWorseSlice", "severity": "info", "monitor": "slices"},
        common | {"alertname": "TrimtabUnequalGroups", "severity": "warning", "monitor": "slices"},
    )

    assert muted(house, "loans") == {"TrimtabWorseSlice"}


def test_the_end_of_an_alert_is_told(house: House) -> None:
    """People hear that it is over, in green."""
    alert = {"alertname": "TrimtabDataDrift", "model": "flights", "severity": "warning", "monitor": "drift"}
    house.post(alert)
    house.listener.message(
        lambda text: "DataDrift" in text["title"] and text["title"].startswith("[WARNING]")
    )
    house.post(alert, resolved=True)
    message = house.listener.message(lambda text: text["title"] == "[RESOLVED] TrimtabDataDrift: flights")

    assert message["attachments"][0]["color"] == "good"


def muted(house: House, model: str) -> set[str]:
    """Return the alerts of a model that Alertmanager holds back."""
    alerts = httpx.get(f"{house.alertmanager}/api/v2/alerts", params={"filter": f"model={model}"}).json()
    return {alert["labels"]["alertname"] for alert in alerts if alert["status"]["inhibitedBy"]}
